"""The faults: what each does to a host, and how it is undone.

To add one, write a generator of a host: cause the fault, yield, undo it. Its name is its row in the table, and
@fault says what is special about it:

    says     what the run says while the fault is there, a regular expression, and then the host is as it was;
             without it, the run succeeds in spite of the fault
    costs    the fault itself stops the process, so requests fail; else none may
    extra    lines that only the new configuration has, not the one that fixes it
    same     nothing new is rolled out: the run must repair what the fault did to the generation that runs
    options  arguments of haproxy_apply
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple

from consumers import BINARY, FILE
from lab import port_held, reboot, shell

DROP_IN = "/run/systemd/system/haproxy.service.d/99-fault.conf"


class Fault(NamedTuple):
    """See above."""

    name: str
    cause: Callable[[str], Iterator[None]]
    says: str
    costs: bool
    extra: str
    same: bool
    options: dict[str, Any]


FAULTS: list[Fault] = []


def fault(says: str = "", costs: bool = False, extra: str = "", same: bool = False, **options: Any) -> Callable:
    def enter(cause: Callable[[str], Iterator[None]]) -> Callable[[str], Iterator[None]]:
        FAULTS.append(Fault(cause.__name__.replace("_", " "), cause, says, costs, extra, same, options))
        return cause

    return enter


# --- the disk


def fill(host: str, directory: str) -> None:
    """A small file system with what was there, full to its last byte."""
    shell(
        host,
        f"mkdir -p {directory}; cp -a {directory} /run/fault; mount -t tmpfs -o size=256k,mode=0755 fault {directory};"
        f"cp -a /run/fault/. {directory}; rm -r /run/fault;"
        f"cat /dev/zero >{directory}/full 2>/dev/null || df --output=avail {directory} | grep -qx ' *0'",
    )


@fault(says="No space left on device.*are unchanged")
def disk_full(host):
    fill(host, "/etc/haproxy")
    yield
    shell(host, "umount /etc/haproxy")


@fault(says="No space left on device.*are unchanged")
def records_full(host):
    fill(host, "/run/hamesh")
    yield
    shell(host, "umount /run/hamesh")


@fault()
def tmp_full(host):
    fill(host, "/tmp")  # noqa: S108  the very place
    yield
    shell(host, "umount /tmp")


@fault(says="Read-only file system.*are unchanged")
def directory_read_only(host):
    shell(host, "mount --bind /etc/haproxy /etc/haproxy && mount -o remount,ro,bind /etc/haproxy")
    yield
    shell(host, "umount /etc/haproxy")


# --- the binary


@fault(says="/usr/sbin/haproxy is not installed.*role haproxy.*run this again")
def binary_missing(host):
    shell(host, f"mv {BINARY} {BINARY}.away")
    yield
    shell(host, f"mv {BINARY}.away {BINARY}")


def replace_binary(host: str, does: str) -> Iterator[None]:
    """A shell script instead of the binary; `real` in it is the binary."""
    shell(
        host, f"mv {BINARY} {BINARY}.real; cat >{BINARY}; chmod 0755 {BINARY}", f"#!/bin/sh\nreal={BINARY}.real\n{does}"
    )
    yield
    shell(host, f"mv -f {BINARY}.real {BINARY}")


@fault(says="timed out after 3 s", timeout=3)
def binary_hangs_when_it_checks(host):
    yield from replace_binary(host, 'case "$*" in *-c*) exec sleep 600;; esac; exec $real "$@"')


@fault(says="does not print a version of HAProxy|timed out after", timeout=3)
def binary_hangs(host):
    yield from replace_binary(host, "exec sleep 600")


@fault(says="HAPROXY IS NOT SERVING.*systemctl status", costs=True, timeout=3)
def binary_checks_and_does_not_start(host):
    yield from replace_binary(host, 'case "$*" in *-c*|-v) exec $real "$@";; esac; exit 1')


# --- the network


@fault(
    says=r"127.0.0.1:9999: address already in use by python3 \(pid \d+\).*choose another port",
    extra="\nlisten more\n    mode tcp\n    bind 127.0.0.1:9999\n",
)
def port_taken(host):
    with port_held(host, 9999):
        yield


@fault(
    says="192.0.2.7:9999",
    extra="\nlisten more\n    mode tcp\n    bind 192.0.2.7:9999\n",
    timeout=5,
)
def address_of_another_host(host):
    yield


# --- the reload


def drop_in(host: str, reload: str) -> Iterator[None]:
    shell(host, f"mkdir -p {DROP_IN.rpartition('/')[0]}; cat >{DROP_IN}; systemctl daemon-reload", reload)
    yield
    shell(host, f"rm {DROP_IN}; systemctl daemon-reload")


@fault(says="did not come up.*restored and is serving")
def reload_fails(host):
    yield from drop_in(host, "[Service]\nExecReload=\nExecReload=/bin/false\n")


@fault(says="timed out after 3 s.*restored and is serving", timeout=3)
def reload_hangs(host):
    yield from drop_in(host, "[Service]\nExecReload=\nExecReload=/bin/sleep 61\n")
    shell(host, "pkill -f '^/bin/sleep 61'")


@fault(says="still answers|the process runs .*restored and is serving", timeout=3)
def reload_does_nothing(host):
    yield from drop_in(host, "[Service]\nExecReload=\nExecReload=/bin/true\n")


@fault(says="did not come up.*restored and is serving", costs=True)
def reload_kills_the_process(host):
    yield from drop_in(host, "[Service]\nExecReload=\nExecReload=/bin/sh -c 'kill -KILL $MAINPID; sleep 2'\n")


# --- the process


@fault(costs=True)
def unit_in_failed_state(host):
    """Killed again and again until systemd gives up."""
    shell(
        host,
        "for i in $(seq 100); do systemctl kill --signal=KILL haproxy 2>/dev/null;"
        "systemctl is-failed --quiet haproxy && exit 0; sleep 0.2; done; exit 1",
    )
    yield


@fault(says="Systemd cannot start haproxy.service.*unmask the unit")
def unit_masked(host):
    shell(host, "systemctl mask --runtime --quiet haproxy")
    yield
    shell(host, "systemctl unmask --runtime --quiet haproxy")


@fault(costs=True)
def unit_stopped(host):
    shell(host, "systemctl stop haproxy")
    yield


@fault(costs=True, timeout=5)
def processes_hang(host):
    shell(host, "pkill --signal STOP -x haproxy")
    yield


@fault(costs=True, timeout=5)
def stats_socket_gone(host):
    """From 2.6 on a process hands its sockets over to the next, so only a new start makes the name again."""
    shell(host, "rm /run/haproxy/admin.sock")
    yield


@fault(costs=True)
def host_rebooted(host):
    reboot(host)
    yield


@fault(costs=True)
def host_rebooted_with_a_file_cut_to_half(host):
    """The sidecar does not come up by itself."""
    shell(host, f"truncate -s $(($(stat -c %s {FILE}) / 2)) {FILE}")
    reboot(host)
    yield


@fault(timeout=3)
def lock_held_by_somebody_else(host):
    """Any user can lock a file that he can open: that is no run of ours."""
    shell(host, "systemd-run --quiet --unit fault --uid nobody flock /run/hamesh/lock sleep 600; sleep 0.5")
    yield
    shell(host, "systemctl stop fault 2>/dev/null || true")


# --- the file


def edit(host: str, how: str) -> Iterator[None]:
    shell(host, how.format(FILE))
    yield


@fault()
def line_added_by_hand(host):
    yield from edit(host, "echo '# only for today' >>{}")


@fault()
def wrong_line_added_by_hand(host):
    yield from edit(host, "echo 'listen oh no' >>{}")


@fault(same=True)
def edited_under_the_same_generation(host):
    yield from edit(host, "sed -i 's/retries 3/retries 9/' {}")


@fault()
def truncated_to_half(host):
    yield from edit(host, "truncate -s $(($(stat -c %s {0}) / 2)) {0}")


@fault()
def truncated_to_nothing(host):
    yield from edit(host, ": >{}")


@fault()
def file_removed(host):
    yield from edit(host, "rm {}")


@fault()
def file_is_no_text(host):
    yield from edit(host, "head -c 3000 /dev/urandom >{}")


@fault(says="did not come up.*restored and is serving")
def truncated_to_half_and_reload_fails(host):
    shell(host, f"truncate -s $(($(stat -c %s {FILE}) / 2)) {FILE}")
    yield from reload_fails(host)


@fault(says="did not come up.*restored and is serving")
def edited_under_the_same_generation_and_reload_fails(host):
    shell(host, f"sed -i 's/retries 3/retries 9/' {FILE}")
    yield from reload_fails(host)
