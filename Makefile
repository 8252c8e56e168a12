# Each target is a line or two over real tools. On a fresh Debian 12, as root: make demo, make test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PACKAGES := python3-venv openssh-client iproute2 iptables podman crun netavark mmdebstrap
PATH := $(CURDIR)/.venv/bin:$(PATH)
export PATH ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help demo test lint unit fuzz lab soak sources faults kvm mutate clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-7s %s\n", $$1, $$2}' Makefile

demo: .venv/done ## Boot the lab, roll out the mesh on it, and show who answers whom
	python tests/lab/demo.py

test: ## Lint, unit tests, and all of it on the lab
	$(MAKE) --jobs=2 --output-sync=target lint unit
	$(MAKE) lab

lint: .venv/done ## ansible-lint, yamllint, ruff, mypy
	yamllint --strict .
	ruff check . && ruff format --check .
	mypy
	ansible-lint --offline

unit: .venv/done ## What can be tested without a host
	pytest tests/unit tests/ansible

fuzz: .venv/done ## Compile 100,000 inventories at random; FUZZ_SEED=N replays, FUZZ_EXAMPLES=N says how many
	python tools/fuzz.py

lab: .venv/done ## Roll out on real hosts, twice, and try what can go wrong, with faults and load in short
	molecule test --scenario-name default

soak: .venv/done ## All reloads and restarts under load, of which `make test` does some: an hour
	LONG=1 molecule test --scenario-name rolling

sources: .venv/done ## HAProxy from package, archive and source, moved from one to the other under requests; HAPROXY_SOURCES=DIR adds old ones
	molecule test --scenario-name sources

faults: .venv/done ## All points at which a run can be killed, of which `make test` takes every third
	LONG=1 molecule test --scenario-name faults

kvm: .venv/done ## A guest with a kernel of its own: all kernel keys, a reboot, and site.yml; emulated, that takes a while
	molecule test --scenario-name kvm

mutate: .venv/done ## Break the product on purpose, place by place, and see a test fail each time
	ansible-playbook -i molecule/inventory molecule/default/create.yml molecule/default/prepare.yml site.yml
	python tools/mutate.py

clean: .venv/done ## Take the lab and all that was built away; the images stay cached
	ansible-playbook -i molecule/inventory molecule/default/destroy.yml
	molecule/kvm/stop
	rm -rf build .venv

# What the controller needs: packages once, Python packages whenever their pins change.
.venv/done: requirements.txt
	dpkg -s $(PACKAGES) >/dev/null 2>&1 || { apt-get update && apt-get install -y --no-install-recommends $(PACKAGES); }
	python3 -m venv .venv
	pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
