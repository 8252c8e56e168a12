"""haproxy_apply on real hosts: the new generation runs, or the old one does and the error says why."""

from __future__ import annotations

import pytest
from lab import module, playbook, port_held, shell
from sidecars import (
    FILE,
    HANG,
    MISNAMED,
    WAYS,
    compiled,
    edited,
    everywhere,
    first_pool,
    generation,
    name_of,
    named,
    nothing_changes,
    once,
    other,
    running,
    servers,
    tell,
)


@everywhere
def test_a_new_generation_is_run_and_the_old_one_kept(host, index):
    text = other(host)
    try:
        result = module(host, "haproxy_apply", content=text).result(host)
        assert result["changed"] is True
        assert (result["generation"], result["previous"]) == (name_of(text), generation(host))
        assert result["method"] == WAYS[host]
        assert running(host) == name_of(text)
        assert shell(host, f"cat $(ls {FILE}.generations/*-{generation(host)}.cfg)") == compiled(host)
        assert set(result["pools"]) == set(index["sidecars"][host]["services"])
        assert all(pool["listener"] == "OPEN" for pool in result["pools"].values())
        assert result["pids"]
    finally:
        back = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (back["generation"], back["changed"]) == (generation(host), True)


@once
def test_check_mode_tells_and_does_nothing(host, index):
    text = other(host)
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", "--check", content=text).result(host)
        assert (result["changed"], result["generation"], result["rolled_back"]) == (True, name_of(text), False)


@once
def test_what_the_binary_rejects_never_gets_to_disk(host, index):
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=other(host, "\nlisten x\n    bogus\n")).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is False
        assert "unknown keyword 'bogus'" in result["msg"]
        assert [(error["text"], error["line"]) for error in result["errors"]] == [
            ("bogus", compiled(host).count("\n") + 3)
        ]


@once
def test_a_port_that_another_program_holds_is_named_with_its_holder(host, index):
    with port_held(host, 9999), nothing_changes(host, index):
        squat = "\nlisten squat\n    mode tcp\n    bind 127.0.0.1:9999\n"
        result = module(host, "haproxy_apply", content=other(host, squat)).result(host)
        assert result["failed"] is True
        assert "squat cannot bind to 127.0.0.1:9999: address already in use by python3 (pid " in result["msg"]


@once
def test_an_address_that_the_host_does_not_have_costs_nothing(host, index):
    with nothing_changes(host, index):
        elsewhere = "\nlisten elsewhere\n    mode tcp\n    bind 192.0.2.7:9999\n"
        result = module(host, "haproxy_apply", content=other(host, elsewhere)).result(host)
        assert (result["failed"], result["rolled_back"]) == (True, False)
        assert "elsewhere cannot bind to 192.0.2.7:9999: cannot assign requested address" in result["msg"]


@once
def test_a_generation_that_cannot_be_proven_is_rolled_back(host, index):
    with nothing_changes(host, index):
        result = module(host, "haproxy_apply", content=other(host, MISNAMED), timeout=4).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is True
        assert "the process runs 'another', not 'hamesh " in result["msg"]
        assert f"The previous generation {generation(host)} was restored and is serving" in result["msg"]


@once
def test_a_reload_that_never_answers_is_rolled_back(host, index):
    hang = "[Service]\\nExecReload=\\nExecReload=/bin/sleep 600\\n"
    shell(host, f"mkdir -p $(dirname {HANG}); printf '{hang}' > {HANG}; systemctl daemon-reload")
    try:
        result = module(host, "haproxy_apply", content=other(host), timeout=4).result(host)
        assert result["failed"] is True
        assert result["rolled_back"] is True
        assert "timed out after 4 s" in result["msg"]
        assert result["generation"] == generation(host)
        assert running(host) == generation(host)
        assert shell(host, f"cat {FILE}") == compiled(host)
    finally:
        shell(host, f"rm {HANG}; pkill -f '[s]leep 600'; systemctl daemon-reload; sleep 1")
    with nothing_changes(host, index):
        pass


@once
def test_a_reload_that_was_lost_is_made_up_for(host, index):
    text = other(host)
    shell(host, f"cat > {FILE}", text)
    assert running(host) == generation(host)
    result = module(host, "haproxy_apply", content=text).result(host)
    assert (result["changed"], result["method"], running(host)) == (True, WAYS[host], name_of(text))
    module(host, "haproxy_apply", content=compiled(host))
    with nothing_changes(host, index):
        pass


@once
def test_a_sidecar_that_was_killed_or_failed_is_started_again(host, index):
    shell(host, "systemctl kill --signal=KILL haproxy; systemctl stop haproxy")
    result = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (result["changed"], result["method"]) == (True, "start")
    with nothing_changes(host, index):
        pass


@once
def test_a_text_without_a_generation_is_refused(host, index):
    with nothing_changes(host, index):
        text = compiled(host).replace("    description", "    # description")
        result = module(host, "haproxy_apply", content=text).result(host)
        assert result["failed"] is True
        assert "no 'description' with the generation" in result["msg"]


@once
@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_a_text_that_is_not_the_one_that_was_compiled_is_refused(host, index, mode):
    text, name = compiled(host), generation(host)
    cut = text[: text.rindex("\nlisten ")]  # HAProxy would take it
    with nothing_changes(host, index):
        for changed in (cut, text.replace("retries 3", "retries 4"), text.replace(name, name_of(other(host)), 1)):
            result = module(host, "haproxy_apply", *mode, content=changed).result(host)
            assert result["failed"] is True
            assert result["msg"].startswith(
                f"The text was changed after it was compiled: its description has generation '{name_of(changed)}', its "
                f"text is generation '{name_of(named(changed))}'; compile again"
            )
        result = module(host, "haproxy_apply", *mode, content=other(host), generation=name).result(host)
        assert result["failed"] is True
        assert f"The text is generation '{name_of(other(host))}', but this run compiled '{name}'" in result["msg"]
        same = module(host, "haproxy_apply", *mode, content=text, generation=name).result(host)
        assert (same["changed"], same["generation"]) == (False, name), same


@once
def test_a_kept_copy_that_is_damaged_is_not_gone_back_to(host, index):
    text, kept = other(host), f"$(ls {FILE}.generations/*-{generation(host)}.cfg)"
    try:
        module(host, "haproxy_apply", content=text)
        shell(host, f"sed -i 's/retries 3/retries 4/' {kept}")
        result = module(host, "haproxy_apply", generation=generation(host)).result(host)
        assert f".generations has no generation '{generation(host)}'" in result["msg"], result
        assert any(
            f"-{generation(host)}.cfg is damaged and was skipped: its description has generation" in warning
            for warning in result["warnings"]
        )
        previous = module(host, "haproxy_apply", "--check", generation="previous").result(host)
        assert previous["generation"] != generation(host), previous
        assert running(host) == name_of(text)
    finally:
        shell(host, f"rm {kept}")
        module(host, "haproxy_apply", content=compiled(host))
    with nothing_changes(host, index):
        pass


@everywhere
def test_what_was_set_by_hand_survives_a_reload_and_a_roll_back(host, index):
    pool, (first, second) = first_pool(host, index)
    text = other(host)
    tell(host, f"set weight {pool}/{first} 30", f"set weight {pool}/{second} 0%", f"disable server {pool}/{second}")
    try:
        by_hand = servers(host, pool)
        assert (by_hand[first][0], by_hand[second][1]) == (30, "MAINT")
        result = module(host, "haproxy_apply", content=text).result(host)
        assert (result["changed"], running(host)) == (True, name_of(text)), result
        assert servers(host, pool) == by_hand
        result = module(host, "haproxy_apply", content=other(host, MISNAMED), timeout=4).result(host)
        assert (result["rolled_back"], running(host)) == (True, name_of(text)), result
        assert servers(host, pool) == by_hand
        # What the inventory changes is the inventory's.
        changed = "\n".join(
            line.replace("weight 100", "weight 50") if line.split()[:2] == ["server", first] else line
            for line in compiled(host).split("\n")
        )
        result = module(host, "haproxy_apply", content=named(changed)).result(host)
        assert (servers(host, pool)[first][0], servers(host, pool)[second][1]) == (50, "MAINT"), result
    finally:
        tell(host, f"enable server {pool}/{second}", f"set weight {pool}/{second} 100%")
        module(host, "haproxy_apply", content=compiled(host))
    with nothing_changes(host, index):
        pass


@everywhere
def test_a_drain_survives_an_edit_of_its_server_unless_that_is_of_its_state(host, index):
    pool, (first, second) = first_pool(host, index)
    drained = {"backend": [first], "pools": [pool], "state": "maint", "wait": 5}
    assert module(host, "haproxy_server", **drained).result(host)["changed"] is True
    try:
        text = edited(host, pool, first, "inter 2000", "inter 3333")
        for mode in [["--check"], []]:
            result = module(host, "haproxy_apply", *mode, content=text).result(host)
            assert (result["kept"], result["overridden"]) == ([f"{pool}/{first}: maintenance"], []), result
            said = f"{pool}/{first}: maintenance, set at run time, is kept"
            assert (said in result.get("warnings", [])) is bool(mode)
        states = servers(host, pool)
        assert (states[first][1], states[second][1]) == ("MAINT", "UP")
        text = edited(host, pool, first, "weight 100", "weight 0")  # as mesh_state: drain makes it
        result = module(host, "haproxy_apply", "--check", content=text).result(host)
        assert result["kept"] == []
        assert result["overridden"] == [
            f"{pool}/{first}: maintenance, set at run time, is overridden: the inventory changed the server's state"
        ]
        assert servers(host, pool) == states
    finally:
        module(host, "haproxy_server", backend=[first], pools=[pool], state="ready")
        module(host, "haproxy_apply", content=compiled(host))
    with nothing_changes(host, index):
        pass


@once
def test_a_pool_that_would_shrink_is_refused_unless_it_is_named(host, index):
    pool, _ = first_pool(host, index)
    head, section = compiled(host).split(f"\nlisten {pool}\n")
    section = section.replace(" weight 100", " weight 0", 2)
    shrunk = named(f"{head}\nlisten {pool}\n{section}")
    for mode in [[], ["--check"]]:
        with nothing_changes(host, index):
            result = module(host, "haproxy_apply", *mode, content=shrunk).result(host)
            assert result["failed"] is True
            assert f"Pool {pool} would shrink from 2 ready servers to 0" in result["msg"]
            assert "mesh_allow_shrink" in result["msg"]
    try:
        assert module(host, "haproxy_apply", content=shrunk, allow_shrink=[pool]).result(host)["changed"] is True
    finally:
        module(host, "haproxy_apply", content=compiled(host))


@once
def test_a_file_that_was_edited_by_hand_and_loaded_is_put_right_and_kept(host, index):
    edited = compiled(host) + "\nlisten by_hand\n    mode tcp\n    bind 127.0.0.1:9999\n"  # the same description
    shell(host, f"rm -f {FILE}.generations/*.found; cat > {FILE}; systemctl reload haproxy; sleep 1", edited)
    shell(host, "(echo >/dev/tcp/127.0.0.1/9999) 2>/dev/null")  # it does listen
    result = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (result["changed"], result["method"]) == (True, WAYS[host]), result
    assert shell(host, "(echo >/dev/tcp/127.0.0.1/9999) 2>/dev/null || echo closed").strip() == "closed"
    assert shell(host, f"cat $(ls {FILE}.generations/*.found | tail -n 1)") == edited
    with nothing_changes(host, index):
        pass


@once
@pytest.mark.parametrize("left", ["half", "nothing"])
def test_a_truncated_file_is_made_whole_without_a_word_lost(host, index, left):
    shell(
        host,
        f"head -c {len(compiled(host)) // 2 if left == 'half' else 0} {FILE} > /run/x; cat /run/x > {FILE}; rm /run/x",
    )
    result = module(host, "haproxy_apply", content=compiled(host)).result(host)
    assert (result["changed"], shell(host, f"cat {FILE}")) == (True, compiled(host)), result
    with nothing_changes(host, index):
        pass


def test_going_back_and_forth(index):
    host = "web1"
    text = other(host)
    try:
        module(host, "haproxy_apply", content=text)
        back = playbook("playbooks/roll-back.yml", "--limit", host)
        assert (back.code, back.changed, running(host)) == (0, {host}, generation(host)), back.output
        again = playbook("playbooks/roll-back.yml", "--limit", host)
        assert (again.code, again.changed, running(host)) == (0, set(), generation(host)), again.output
        assert "is what the last roll-back put in place" in again.output
        forth = playbook("playbooks/roll-back.yml", "--limit", host, "-e", f"rollback_generation={name_of(text)}")
        assert (forth.code, forth.changed, running(host)) == (0, {host}, name_of(text)), forth.output
        none = playbook("playbooks/roll-back.yml", "--limit", host, "-e", "rollback_generation=none")
        assert none.code != 0
        assert "No host has a generation to roll back to" in none.output
        none = module(host, "haproxy_apply", generation="none").result(host)
        assert ".generations has no generation 'none', only " in none["msg"]
        assert generation(host) in none["msg"]
        asked = {"content": compiled(host), "generation": generation(host)}
        stale = module(host, "haproxy_apply", "--check", **asked).result(host)
        assert "ran here before and was replaced" in stale["warnings"][0]
    finally:
        module(host, "haproxy_apply", content=compiled(host))


@once
def test_a_process_that_hangs_or_lost_its_socket_is_repaired(host, index):
    shell(host, "rm /run/haproxy/admin.sock")
    result = module(host, "haproxy_apply", content=compiled(host), timeout=4).result(host)
    assert result["changed"] is True, result
    assert shell(host, "test -S /run/haproxy/admin.sock && echo there").strip() == "there"
    shell(host, "systemctl kill --signal=STOP haproxy")
    result = module(host, "haproxy_apply", content=compiled(host), timeout=4).result(host)
    assert (result["changed"], result["method"]) == (True, "restart"), result
    with nothing_changes(host, index):
        pass
