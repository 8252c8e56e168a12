"""Decisions by the health checks of the fleet: witnesses, plans, drains, problems of a wave; and their messages."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.rollout.gate import (
    View,
    choose_witnesses,
    distribute,
    down_members,
    down_since_plan,
    from_plain,
    plan_drains,
    plan_rollout,
    pool_shortages,
    pools_of,
    problems,
    read_answers,
    read_dialects,
    read_fleet,
    restored_hosts,
    servers_to_await,
    to_plain,
    unseen_services,
)
from ansible.module_utils.hamesh.rollout.messages import (
    announce,
    degraded_pools,
    lossy_reloads,
    summarize,
    unknown_domains,
)
from ansible.module_utils.hamesh.rollout.waves import Policy, RolloutError

# Two pools of two, one of one, and a service without consumers.
INDEX = {
    "services": {
        "users": {"pool": "user", "min_ready": 0.5},
        "files": {"pool": "media", "min_ready": 0.5},
        "mail": {"pool": "mail", "min_ready": 0.5},
        "batch": {"pool": "media", "min_ready": 0.5},
    },
    "pools": {
        "user": [{"name": "user1"}, {"name": "user2"}],
        "media": [{"name": "media1"}, {"name": "media2"}],
        "mail": [{"name": "mail1"}],
    },
    "sidecars": {
        "web1": {"services": ["users", "files", "mail"]},
        "web2": {"services": ["users", "files"]},
        "web3": {"services": ["users"]},
        "web4": {"services": ["users"]},
        "user1": {"services": ["files"]},
        "user2": {"services": ["files"]},
    },
}
FLEET = read_fleet(INDEX)
HYPERVISORS = {"web1": "kvm1", "web2": "kvm1", "web3": "kvm1", "web4": "kvm2", "user1": "kvm3", "user2": "kvm4"}
UP, DOWN, MAINT, DRAINED = ("UP", 100), ("DOWN", 100), ("MAINT", 100), ("UP", 0)


def answers_of(**sidecars):
    """Return the answers of consumers, each with the backends that are not UP there."""
    results = []
    for host, not_up in sidecars.items():
        called = INDEX["sidecars"][host]["services"]
        servers = [f"{service}/{backend}" for service in called for backend in FLEET.members[service]]
        views = {**dict.fromkeys(servers, UP), **not_up}
        rows = [
            {"pool": server.split("/")[0], "server": server.split("/")[1], "status": status, "weight": weight}
            for server, (status, weight) in views.items()
        ]
        results.append({"item": host, "servers": rows})
    return read_answers(results)


def down(hosts, answers, **options):
    return {pool.name: sorted(pool.down) for pool in pools_of(FLEET, hosts, answers, True, **options)}


# --- witnesses and drains


@pytest.mark.parametrize(
    ("hosts", "count", "expected"),
    [
        pytest.param(["user1"], 1, ["user2", "web1"], id="one of the service it serves, one of the service it calls"),
        pytest.param(["mail1"], 3, ["web1"], id="fewer consumers than wanted"),
        pytest.param(["user1", "user2"], 2, ["web1", "web2"], id="no hosts of the wave if there are others"),
        pytest.param(
            ["web1", "web2", "web3"], 1, ["web1", "user1", "web4"], id="a host of the wave if it is the only consumer"
        ),
        pytest.param(["user1"], 2, ["user2", "web1", "web4"], id="on two hypervisors rather than on one"),
        pytest.param(["unknown"], 3, [], id="none for a host without a service"),
    ],
)
def test_witnesses_are_few_other_hosts_on_many_hypervisors(hosts, count, expected):
    assert choose_witnesses(FLEET, hosts, count, HYPERVISORS) == expected


def test_each_consumer_drains_its_backends_of_the_wave():
    assert plan_drains(FLEET, ["user1", "user2", "media1"], {}) == [
        ("user1", ["media1"], []),
        ("user2", ["media1"], []),
        ("web1", ["user1", "user2", "media1"], []),
        ("web2", ["user1", "user2", "media1"], []),
        ("web3", ["user1", "user2"], []),
        ("web4", ["user1", "user2"], []),
    ]


def test_the_only_backend_of_a_pool_is_drained_only_if_its_application_stops():
    one = FLEET._replace(
        members={**FLEET.members, "mail": ("user1",)}, consumers={**FLEET.consumers, "mail": ("web1", "mail1")}
    )
    drains = plan_drains(one, ["user1"], {}, disruptive=False)
    assert drains[:2] == [("web1", ["user1"], ["users"]), ("web2", ["user1"], [])]
    assert "mail1" not in [drain.host for drain in drains]
    assert ("mail1", ["user1"], []) in plan_drains(one, ["user1"], {})


def test_a_backend_that_is_out_of_service_is_not_drained():
    """web1 decides for itself, and the majority for consumers that were not asked."""
    answers = answers_of(web1={"users/user1": MAINT}, web3={"users/user1": DRAINED}, web4={"users/user1": DOWN})
    assert plan_drains(FLEET, ["user1"], answers) == [("web4", ["user1"], [])]


def test_a_backend_that_is_out_of_service_in_one_pool_is_drained_in_its_others():
    both = FLEET._replace(
        members={**FLEET.members, "mail": ("user1",)}, consumers={**FLEET.consumers, "mail": ("web1", "web2")}
    )
    answers = read_answers(
        [
            {
                "item": "web1",
                "servers": [
                    {"pool": "users", "server": "user1", "status": "MAINT", "weight": 100},
                    {"pool": "mail", "server": "user1", "status": "UP", "weight": 100},
                ],
            }
        ]
    )
    assert plan_drains(both, ["user1"], answers)[:2] == [("web1", ["user1"], ["mail"]), ("web2", ["user1"], ["mail"])]


def test_work_is_distributed_over_the_hosts_of_a_wave():
    assert distribute("abcde", ["x", "y"]) == {"x": ["a", "c", "e"], "y": ["b", "d"]}
    assert distribute("a", ["x", "y"]) == {"x": ["a"], "y": []}


# --- backends that are down


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(answers_of(web1={}, web2={}), [], id="all up"),
        pytest.param(answers_of(web1={"users/user1": DOWN}, web2={}, web3={}), [], id="one of three"),
        pytest.param(answers_of(web1={"users/user1": DOWN}, web2={}), [], id="half is no majority"),
        pytest.param(
            answers_of(web1={"users/user1": DOWN}, web2={"users/user1": DOWN}, web3={}), ["user1"], id="two of three"
        ),
        pytest.param(
            answers_of(web1={"users/user1": DOWN}, user2={}), ["user1"], id="a host without the backend has no vote"
        ),
        pytest.param(answers_of(web1={"users/user1": MAINT}), ["user1"], id="maintenance"),
        pytest.param(answers_of(web1={"users/user1": DRAINED}), ["user1"], id="weight 0"),
        pytest.param({}, [], id="no answer"),
    ],
)
def test_a_backend_is_down_if_the_majority_of_the_answers_say_so(answers, expected):
    assert down(["user1", "user2"], answers) == {"users": expected}


def test_a_host_that_does_not_answer_has_no_vote():
    results = [{"item": "web1", "unreachable": True}, {"item": "web2", "failed": True, "msg": "no socket"}]
    assert read_answers(results) == {}
    assert unseen_services(FLEET, ["user1", "media1", "mail1"], read_answers(results)) == ["users", "files", "mail"]
    assert unseen_services(FLEET, ["user1", "media1"], answers_of(web3={})) == ["files"]


@pytest.mark.parametrize(
    ("disruptive", "allow_shrink", "min_ready"),
    [(False, [], 0), (True, [], 0.5), (True, ["mail"], 0), (False, ["users"], 0)],
)
def test_the_only_backend_of_a_pool_is_spared_in_a_disruptive_rollout(disruptive, allow_shrink, min_ready):
    assert [pool.min_ready for pool in pools_of(FLEET, ["mail1"], {}, disruptive, allow_shrink)] == [min_ready]


def test_the_only_backend_of_a_pool_with_min_ready_1_is_spared_always():
    strict = FLEET._replace(min_ready={**FLEET.min_ready, "mail": 1.0})
    with pytest.raises(
        RolloutError, match="pool mail cannot spare mail1: members 1, down 0, min_ready 1 requires 1 up"
    ):
        plan_rollout({"mail1": ""}, pools_of(strict, ["mail1"], {}, False), Policy())


ONE_DEAD = answers_of(web1={"users/user2": DOWN}, web2={"users/user2": DOWN})


@pytest.mark.parametrize(
    ("min_ready", "disruptive", "known", "spare"),
    [
        pytest.param(0.5, False, ["user2"], 1, id="dead when the rollout was planned"),
        pytest.param(0.5, False, [], 0, id="went down since the plan"),
        pytest.param(0.5, False, ["user1"], 0, id="another one was dead"),
        pytest.param(0.5, True, ["user2"], 0, id="the rollout takes applications down"),
        pytest.param(1, False, ["user2"], 0, id="min_ready forbids it with all up, too"),
        pytest.param(0, False, [], 1, id="min_ready 0"),
    ],
)
def test_a_dead_host_does_not_block_the_others_of_its_pool_unless_applications_are_taken_down(
    min_ready, disruptive, known, spare
):
    fleet = FLEET._replace(min_ready={**FLEET.min_ready, "users": min_ready})
    [users] = pools_of(fleet, ["user1"], ONE_DEAD, disruptive, known_down={"users": known})
    assert (users.spare, users.one_at_a_time) == (spare, spare == 1 and min_ready > 0)


def test_a_degraded_pool_is_a_warning_with_what_to_do():
    assert down_members(FLEET, ["user1", "media1"], ONE_DEAD) == {"users": ["user2"], "files": [], "batch": []}
    pools = pools_of(FLEET, ["user1", "media1"], ONE_DEAD, False, known_down={"users": ["user2"]})
    assert degraded_pools(pools) == [
        "user2 is down, so that min_ready would leave no host to roll in users: their other hosts are rolled one at a "
        "time, since this rollout takes no application down. Bring up what is down, or take it out of the inventory or "
        "set mesh_state: maint for it."
    ]
    assert degraded_pools(pools_of(FLEET, ["user2"], ONE_DEAD, False, known_down={"users": ["user2"]})) == []


def test_a_host_that_is_out_of_service_does_not_block_the_others_of_its_pool_either():
    """With min_ready 0.6, two of three may be taken one after the other, and none of two."""
    members = [{"name": "user1"}, {"name": "user2"}, {"name": "user3", "state": "maint"}]
    fleet = read_fleet({**INDEX, "pools": {**INDEX["pools"], "user": members}})
    fleet = fleet._replace(min_ready={**fleet.min_ready, "users": 0.6})
    pools = pools_of(fleet, ["user1"], {}, False)
    assert [(pool.spare, pool.one_at_a_time) for pool in pools] == [(1, True)]
    assert degraded_pools(pools) == [
        "user3 is out of service, so that min_ready would leave no host to roll in users: their other hosts are rolled "
        "one at a time, since this rollout takes no application down."
    ]
    [strict] = pools_of(fleet._replace(min_ready={**fleet.min_ready, "users": 1}), ["user1"], {}, False)
    [disruptive] = pools_of(fleet, ["user1"], {}, True)
    assert (strict.spare, disruptive.spare) == (0, 0)
    [dead, *_] = pools_of(fleet, ["user1"], ONE_DEAD, False, known_down={"users": ["user2"]})
    assert degraded_pools([dead])[0].startswith("user2 is down and user3 is out of service, so that min_ready would ")


def test_what_went_down_since_the_plan_is_named():
    assert down_since_plan({"users": ["user1", "user2"]}, {"users": ["user1"]}) == [
        "Down since the plan: users/user2. If this rollout is not the reason, run the same command again: its plan "
        "counts them as down"
    ]
    assert down_since_plan({"users": ["user2"], "files": []}, {"users": ["user2"]}) == []


@pytest.mark.parametrize("taken_out", [{"state": "maint"}, {"state": "drain"}, {"weight": 0}])
@pytest.mark.parametrize("disruptive", [True, False])
def test_a_host_that_the_inventory_takes_out_of_service_does_not_count(taken_out, disruptive):
    members = [{"name": "user1", "state": "ready", "weight": 100}, {"name": "user2"}, {"name": "user3", **taken_out}]
    fleet = read_fleet({**INDEX, "pools": {**INDEX["pools"], "user": members}})
    [users] = pools_of(fleet, ["user1"], answers_of(web1={"users/user3": DOWN}), disruptive)
    assert (users.members, users.down, users.spare) == ({"user1", "user2"}, set(), 1)


# --- the plan, and its first host

HOSTS = {host: HYPERVISORS.get(host, "kvm5") for host in ("web1", "web2", "web3", "web4", "user1", "user2")}


@pytest.mark.parametrize(
    ("start", "waves", "left_out"),
    [
        ("", [["web1"], ["web2", "web3"], ["web4"], ["user1"], ["user2"]], []),
        ("web1", [["web1"], ["web2", "web3"], ["web4"], ["user1"], ["user2"]], []),
        ("web3", [["web3"], ["web4"], ["user1"], ["user2"]], ["web1", "web2"]),
        ("user2", [["user2"]], ["web1", "web2", "web3", "web4", "user1"]),
    ],
)
def test_a_rollout_that_starts_at_a_host_leaves_out_the_hosts_before_it(start, waves, left_out):
    assert plan_rollout(HOSTS, pools_of(FLEET, list(HOSTS), {}, True), Policy(), start) == (waves, left_out)


def test_where_no_host_is_to_be_rolled_there_are_no_waves():
    assert plan_rollout({}, [], Policy(), "web1") == ([], [])


def test_a_rollout_cannot_start_at_a_host_that_is_not_in_it():
    with pytest.raises(RolloutError) as raised:
        plan_rollout({"web1": "", "web2": ""}, [], Policy(), "web9")
    assert raised.value.messages == (
        "rollout_from: web9 is not in this rollout, which has web1, web2; use one of them",
    )


# --- before a wave


def test_a_wave_is_refused_if_a_pool_cannot_spare_it_now():
    answers = answers_of(web1={"users/user2": DOWN}, web2={"users/user2": DOWN})
    assert pool_shortages(["user1"], pools_of(FLEET, ["user1"], answers, False)) == [
        "pool users cannot spare user1: members 2, down 1 (user2), min_ready 0.5 requires 1 up, so 0 can be taken; "
        "bring up what is down, or take what is down out of the inventory or set mesh_state: maint for it, or lower "
        "min_ready to 0, or name the pool in mesh_allow_shrink, or leave the host out with --limit"
    ]
    assert pool_shortages(["user2"], pools_of(FLEET, ["user2"], answers, False)) == []
    assert pool_shortages(["user1"], pools_of(FLEET, ["user1"], answers_of(web1={}), False)) == []


def test_the_servers_to_await_are_those_of_the_wave_and_all_on_its_own_sidecars():
    answers = answers_of(web1={"files/media1": DOWN}, user1={"files/media2": DRAINED})
    assert servers_to_await(["user1"], answers) == {"web1": ["users/user1"], "user1": ["files/media1"]}


# --- after a wave


@pytest.mark.parametrize(
    ("before", "after", "messages"),
    [
        pytest.param(answers_of(web1={}, web2={}), answers_of(web1={}, web2={}), [], id="all up"),
        pytest.param(
            answers_of(web1={}, web2={}, web3={}),
            answers_of(web1={"users/user1": DOWN}, web2={"users/user1": DOWN}, web3={}),
            ["users/user1 was up before this wave, and is not up now: web1 DOWN, web2 DOWN, web3 UP; check user1"],
            id="down for the majority",
        ),
        pytest.param(
            answers_of(web1={}, web2={}), answers_of(web1={"users/user1": DOWN}, web2={}), [], id="down for half"
        ),
        pytest.param(
            answers_of(web1={"users/user1": DOWN}), answers_of(web1={"users/user1": DOWN}), [], id="it was down before"
        ),
        pytest.param(answers_of(web1={}), answers_of(web1={"users/user1": MAINT}), [], id="drained by hand meanwhile"),
        pytest.param(answers_of(web1={}), answers_of(web1={"users/user2": DOWN}), [], id="another backend went down"),
        pytest.param({}, {}, [], id="no answer before"),
        pytest.param(
            answers_of(web1={}),
            {},
            ["users/user1 was up before this wave, and no witness answers now: web1; check them"],
            id="no answer after",
        ),
        pytest.param(
            answers_of(web1={}, user1={}),
            answers_of(web1={}, user1={"files/media1": DOWN}),
            ["the sidecar of user1 saw these servers up before this wave, and does not now: files/media1 DOWN"],
            id="its own sidecar sees fewer servers up than the others",
        ),
        pytest.param(
            answers_of(web1={}, user1={}),
            answers_of(web1={"files/media1": DOWN}, user1={"files/media1": DOWN}),
            [],
            id="a server that is down for the others too",
        ),
        pytest.param(
            answers_of(user1={}),
            answers_of(user1={"files/media1": DOWN, "files/media2": DRAINED}),
            ["the sidecar of user1 saw these servers up before this wave, and does not now: files/media1 DOWN"],
            id="no other answer",
        ),
        pytest.param(
            answers_of(web1={}, user1={}),
            answers_of(web1={}),
            ["the sidecar of user1 answered before this wave, and does not answer now; check haproxy.service there"],
            id="its own sidecar does not answer",
        ),
        pytest.param(
            answers_of(web1={}, user1={}),
            {**answers_of(web1={}), "user1": {}},
            ["the sidecar of user1 answered before this wave, and does not answer now; check haproxy.service there"],
            id="its own sidecar answers without servers",
        ),
    ],
)
def test_a_server_that_was_up_before_a_wave_must_be_up_after_it(before, after, messages):
    assert problems(FLEET, ["user1"], before, after) == messages


def replaced(**servers):
    """Return the answer of user1, a consumer of `files`, with other servers in that pool."""
    return {"user1": {f"files/{name}": View(*view) for name, view in servers.items()}}


@pytest.mark.parametrize(
    ("after", "allowed", "required"),
    [
        pytest.param(replaced(data1=UP, data2=UP), [], None, id="all members replaced"),
        pytest.param(replaced(data1=DOWN, data2=DOWN), [], 1, id="all members replaced, the new ones are down"),
        pytest.param(replaced(data1=DOWN, data2=DOWN), ["files"], None, id="the pool is in mesh_allow_shrink"),
        pytest.param(replaced(data1=UP, data2=DOWN), [], None, id="half of them, as min_ready requires"),
        pytest.param(replaced(data1=UP, data2=DOWN, data3=DOWN), [], 2, id="a third of them"),
        pytest.param(replaced(data1=MAINT, data2=DRAINED), [], None, id="out of service on purpose"),
        pytest.param({"user1": {"mail/mail1": View(*UP)}}, [], None, id="the sidecar no longer has the pool"),
    ],
)
def test_a_pool_with_other_servers_must_keep_min_ready(after, allowed, required):
    messages = problems(FLEET, ["user1"], answers_of(user1={}), after, allowed)
    assert [message.split(" requires ")[1][0] for message in messages] == ([str(required)] if required else [])


def test_a_pool_that_is_down_for_the_others_too_is_no_problem_of_the_wave():
    before = answers_of(user1={"files/media2": DOWN}, web1={})
    after = replaced(media2=DOWN)
    assert len(problems(FLEET, ["user1"], before, {**after, **answers_of(web1={})})) == 1
    assert problems(FLEET, ["user1"], before, {**after, **answers_of(web1={"files/media2": DOWN})}) == []


def test_the_votes_of_changed_sidecars_do_not_outweigh_the_others():
    wave = ["web1", "web2", "web3", "user1"]
    after = answers_of(web1={}, web2={}, web3={}, web4={"users/user1": DOWN}, user2={})
    messages = problems(FLEET, wave, answers_of(web1={}, web2={}, web3={}, web4={}, user2={}), after)
    assert messages == ["users/user1 was up before this wave, and is not up now: web4 DOWN; check user1"]


def test_answers_survive_a_round_trip_through_plain_data():
    answers = answers_of(web1={"users/user1": DOWN})
    assert to_plain(answers)["web1"]["users/user1"] == ["DOWN", 100]
    assert from_plain(to_plain(answers)) == answers


# --- messages

WAVES = [["web1"], ["web2", "user2"], ["web3", "web4", "user1"]]


def test_a_wave_is_announced_with_the_hosts_done_and_how_to_resume():
    assert announce(WAVES, 1, {"web2": "kvm3", "user2": "kvm3"}) == [
        "Wave 2 of 3: web2, user2 (kvm3).",
        "Done: web1. Remaining after this wave: 3 hosts.",
        "To resume after a stop, run the same command; with -e rollout_from=web2 it starts at that host.",
    ]
    assert announce(WAVES, 0, {})[:2] == ["Wave 1 of 3: web1.", "Done: none. Remaining after this wave: 5 hosts."]


def test_a_stop_has_the_hosts_done_and_not_touched():
    assert summarize(WAVES, 1, ["web1"], ["user2"]).splitlines() == [
        "The rollout stopped in wave 2 of 3; the reason is above.",
        "Done: web1.",
        "In this wave: web2, user2. Rolled back: user2.",
        "Not touched: web3, web4, user1.",
        "To resume after a stop, run the same command; with -e rollout_from=web2 it starts at that host.",
    ]


def test_hosts_whose_reloads_lose_requests_are_named_with_the_dialect_to_set():
    versions = {"web1": "2.6.12-1+deb12u3", "web2": "3.0.11-1", "web3": "2.6.21", "old": "2.2.9-2", "tcp": "2.6.12"}
    dialects = {"web1": "1.4", "web2": "2.4", "web3": "1.4", "old": "1.4", "raised": "2.6", "new": "1.4"}
    versions |= {"raised": "2.6.12", "new": "9.9.1", "none": ""}
    assert lossy_reloads(versions, dialects) == [
        "Reloads of HAProxy 2.6 with dialect 1.4 can lose requests of keep-alive clients, on 2 hosts "
        '(web1, web3). Set sidecar_dialect: "2.6" for them.',
        "Reloads of HAProxy 3.0 with dialect 2.4 can lose requests of keep-alive clients, on 1 host (web2). "
        'Set sidecar_dialect: "3.0" for them.',
        "Reloads of HAProxy 9.9 with dialect 1.4 can lose requests of keep-alive clients, on 1 host (new). "
        'Set sidecar_dialect: "3.4" for them.',
    ]
    assert lossy_reloads({"web1": "2.4.22"}, {"web1": "2.4"})[0].endswith(
        "(web1). Run HAProxy 2.6 or later there, and set its branch as sidecar_dialect."
    )


def test_hosts_of_unknown_hypervisor_are_named_once_with_the_variable_to_set():
    hypervisors = {"web1": "kvm1", **{f"vm{number}": "" for number in range(100)}}
    [warning] = unknown_domains(hypervisors)
    assert warning.startswith("The failure domain of 100 of 101 hosts is unknown (vm0, vm1, ")
    assert warning.endswith(
        "vm19 and 80 more): their waves are limited by pools and rollout_growth only. Set kvm_hypervisor for them."
    )
    assert [*unknown_domains({"web1": "kvm1"}), *unknown_domains({"web1": ""}), *unknown_domains({})] == []


def test_only_sidecars_with_an_http_service_have_clients_that_lose_requests():
    services = {"app": {"mode": "http"}, "cache": {"mode": "tcp"}}
    sidecars = {
        "web1": {"dialect": "1.4", "services": ["app", "cache"]},
        "web2": {"dialect": "2.6", "services": ["cache"]},
    }
    assert read_dialects({"services": services, "sidecars": sidecars}) == {"web1": "1.4"}


def test_a_sidecar_that_was_rolled_back_to_the_haproxy_before_it_need_not_answer():
    before, after = answers_of(web1={}, user1={}), answers_of(web1={})
    assert problems(FLEET, ["user1"], before, after) != []
    assert problems(FLEET, ["user1"], before, after, restored={"user1"}) == []
    assert problems(FLEET, ["user1"], before, after, restored={"web1"}) != []
    results = [
        {"item": "a", "restored": True},
        {"item": "b", "restored": False},
        {"item": "c", "restored": "yes"},
        {"item": "d", "failed": True, "restored": True},
        {"item": "e", "unreachable": True},
    ]
    assert restored_hosts(results) == {"a"}
