# Each target runs other tools in a line or two. On a fresh Debian 12, as root: make demo, make test.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PACKAGES := python3-venv openssh-client iproute2 iptables podman crun netavark mmdebstrap
PATH := $(CURDIR)/.venv/bin:$(PATH)
export PATH ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# What needs no host takes the CPU that the lab leaves.
LAST := nice -n 19

.PHONY: help demo test lint unit fuzz lab soak sources faults life kvm mutate clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-7s %s\n", $$1, $$2}' Makefile

demo: .venv/done ## Boot the lab, roll out the mesh on it, and show which backends answer
	python tests/lab/demo.py

test: .venv/done ## Run linters, unit tests and the tests on the lab, at the same time
	@SECONDS=0; mkdir -p -m 0750 build; $(MAKE) --jobs=2 --output-sync=target lint unit >build/unit.txt 2>&1 & unit=$$!; \
	trap "kill $$unit" INT TERM; $(MAKE) lab; lab=$$?; wait $$unit; unit=$$?; cat build/unit.txt; \
	echo "make test: $$SECONDS s"; exit $$((lab | unit))

lint: .venv/done ## Run ansible-lint, yamllint, ruff and mypy
	$(LAST) yamllint --strict .
	$(LAST) ruff check . && ruff format --check .
	$(LAST) mypy
	$(LAST) ansible-lint --offline

unit: .venv/done ## Run the tests that need no host
	$(LAST) pytest tests/unit tests/ansible

fuzz: .venv/done ## Compile 100,000 random inventories, ask 10,000 hostile processes; FUZZ_SEED=N replays, FUZZ_EXAMPLES=N sets the number
	python tools/fuzz.py

lab: .venv/done ## Roll out twice on the lab and test it, with a short form of faults and soak
	@rm -f build/tests.txt; molecule test --scenario-name default; ended=$$?; cat build/tests.txt 2>/dev/null; exit $$ended

soak: .venv/done ## Reload and restart under load for an hour; SOAK_DEFAULT_DIALECT=1 sets no dialect; `make test` runs a short form
	LONG=1 molecule test --scenario-name rolling

sources: .venv/done ## Move between HAProxy from package, archive and source under requests; HAPROXY_SOURCES=DIR adds old releases
	molecule test --scenario-name sources

faults: .venv/done ## Kill a run at every point; `make test` runs every third
	LONG=1 molecule test --scenario-name faults

life: .venv/done ## Adopt, edit at random, interrupt, retire and uninstall sidecars under load; takes hours
	LONG=1 molecule test --scenario-name life

kvm: .venv/done ## Test kernel keys, a reboot and site.yml on a guest with its own kernel; slow if emulated
	molecule test --scenario-name kvm

mutate: .venv/done ## Break the product on purpose, place by place, and check that a test fails each time
	ansible-playbook -i molecule/inventory molecule/default/create.yml molecule/default/prepare.yml site.yml
	python tools/mutate.py

clean: .venv/done ## Remove the lab and all builds; the images stay cached
	ansible-playbook -i molecule/inventory molecule/default/destroy.yml
	molecule/kvm/stop
	rm -rf build .venv

# Packages of the controller: Debian packages once, Python packages when their pins change.
.venv/done: requirements.txt
	dpkg -s $(PACKAGES) >/dev/null 2>&1 || { apt-get update && apt-get install -y --no-install-recommends $(PACKAGES); }
	python3 -m venv .venv
	pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@
