"""The fleet's own view: who is asked, and what a quorum of the answers means."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.rollout.gate import (
    Sight,
    drains,
    faults,
    obstacles,
    plan,
    pools,
    read_answers,
    read_fleet,
    read_seen,
    seen_up,
    shared,
    unseen,
    witnesses,
)
from ansible.module_utils.hamesh.rollout.messages import announce, summarize
from ansible.module_utils.hamesh.rollout.waves import Policy, RolloutError

# Two pools of two, one of one, and a pool that nobody calls.
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
WHERE = {"web1": "kvm1", "web2": "kvm1", "web3": "kvm1", "web4": "kvm2", "user1": "kvm3", "user2": "kvm4"}
UP, DOWN, MAINT, DRAINED = ("UP", 100), ("DOWN", 100), ("MAINT", 100), ("UP", 0)


def said(**sidecars):
    """Answers as Ansible gives them: by consumer, the backends that it sees otherwise than UP."""
    results = []
    for host, otherwise in sidecars.items():
        places = [
            f"{service}/{one}" for service in INDEX["sidecars"][host]["services"] for one in FLEET.members[service]
        ]
        sights = {**dict.fromkeys(places, UP), **otherwise}
        servers = [
            {"pool": place.split("/")[0], "server": place.split("/")[1], "status": status, "weight": weight}
            for place, (status, weight) in sights.items()
        ]
        results.append({"item": host, "servers": servers})
    return read_answers(results)


def down(hosts, answers, **options):
    return {one.name: sorted(one.down) for one in pools(FLEET, hosts, answers, True, **options)}


# --- who is asked


@pytest.mark.parametrize(
    ("hosts", "count", "asked"),
    [
        pytest.param(["user1"], 1, ["user2", "web1"], id="one for what it serves, one for what it calls"),
        pytest.param(["mail1"], 3, ["web1"], id="as many as there are"),
        pytest.param(["user1", "user2"], 2, ["web1", "web2"], id="none of the wave while there are others"),
        pytest.param(
            ["web1", "web2", "web3"], 1, ["web1", "user1", "web4"], id="one of the wave where nobody else calls"
        ),
        pytest.param(["user1"], 2, ["user2", "web1", "web4"], id="on two hypervisors rather than on one"),
        pytest.param(["unknown"], 3, [], id="nobody about a host without a service"),
    ],
)
def test_witnesses_are_few_and_outside_and_apart(hosts, count, asked):
    assert witnesses(FLEET, hosts, count, WHERE) == asked


def test_each_consumer_is_told_all_of_the_wave_that_it_has():
    assert drains(FLEET, ["user1", "user2", "media1"], {}) == [
        ("user1", ["media1"], []),
        ("user2", ["media1"], []),
        ("web1", ["user1", "user2", "media1"], []),
        ("web2", ["user1", "user2", "media1"], []),
        ("web3", ["user1", "user2"], []),
        ("web4", ["user1", "user2"], []),
    ]


def test_what_is_out_on_purpose_is_not_drained_and_so_not_put_back():
    """web1 says so of itself, and of web2 and the others, which were not asked, most of those that were."""
    answers = said(web1={"users/user1": MAINT}, web3={"users/user1": DRAINED}, web4={"users/user1": DOWN})
    assert drains(FLEET, ["user1"], answers) == [("web4", ["user1"], [])]


def test_what_is_out_in_one_pool_is_drained_in_the_others():
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
    assert drains(both, ["user1"], answers)[:2] == [("web1", ["user1"], ["mail"]), ("web2", ["user1"], ["mail"])]


def test_the_hosts_of_a_wave_share_the_work():
    assert shared("abcde", ["x", "y"]) == {"x": ["a", "c", "e"], "y": ["b", "d"]}
    assert shared("a", ["x", "y"]) == {"x": ["a"], "y": []}


# --- what is down


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(said(web1={}, web2={}), [], id="all up"),
        pytest.param(said(web1={"users/user1": DOWN}, web2={}, web3={}), [], id="one of three"),
        pytest.param(said(web1={"users/user1": DOWN}, web2={}), [], id="half is no quorum"),
        pytest.param(
            said(web1={"users/user1": DOWN}, web2={"users/user1": DOWN}, web3={}), ["user1"], id="two of three"
        ),
        pytest.param(said(web1={"users/user1": DOWN}, user2={}), ["user1"], id="who does not have it has no vote"),
        pytest.param(said(web1={"users/user1": MAINT}), ["user1"], id="maintenance"),
        pytest.param(said(web1={"users/user1": DRAINED}), ["user1"], id="weight 0"),
        pytest.param({}, [], id="nobody answers"),
    ],
)
def test_a_backend_is_down_when_more_than_half_of_those_that_can_tell_see_it_so(answers, expected):
    assert down(["user1", "user2"], answers) == {"users": expected}


def test_who_could_not_be_asked_has_no_vote():
    results = [{"item": "web1", "unreachable": True}, {"item": "web2", "failed": True, "msg": "no socket"}]
    assert read_answers(results) == {}
    assert unseen(FLEET, ["user1", "media1", "mail1"], read_answers(results)) == ["users", "files", "mail"]
    assert unseen(FLEET, ["user1", "media1"], said(web3={})) == ["files"]


@pytest.mark.parametrize(
    ("disruptive", "allow_shrink", "min_ready"),
    [(False, [], 0), (True, [], 0.5), (True, ["mail"], 0), (False, ["users"], 0)],
)
def test_a_pool_of_one_stands_in_the_way_of_what_takes_its_application_down(disruptive, allow_shrink, min_ready):
    assert [one.min_ready for one in pools(FLEET, ["mail1"], {}, disruptive, allow_shrink)] == [min_ready]


def test_a_pool_of_one_that_must_be_ready_as_a_whole_stands_in_the_way_of_everything():
    strict = FLEET._replace(min_ready={**FLEET.min_ready, "mail": 1.0})
    with pytest.raises(RolloutError, match="pool mail: members 1, down 0, min_ready 1 keeps 1 up"):
        plan({"mail1": ""}, pools(strict, ["mail1"], {}, False), Policy())


# --- the plan, and where it begins

HOSTS = {host: WHERE.get(host, "kvm5") for host in ("web1", "web2", "web3", "web4", "user1", "user2")}


@pytest.mark.parametrize(
    ("start", "waves", "left_out"),
    [
        ("", [["web1"], ["web2", "web3"], ["web4"], ["user1"], ["user2"]], []),
        ("web1", [["web1"], ["web2", "web3"], ["web4"], ["user1"], ["user2"]], []),
        ("web3", [["web3"], ["web4"], ["user1"], ["user2"]], ["web1", "web2"]),
        ("user2", [["user2"]], ["web1", "web2", "web3", "web4", "user1"]),
    ],
)
def test_a_rollout_that_begins_with_a_host_leaves_out_what_comes_before_it(start, waves, left_out):
    assert plan(HOSTS, pools(FLEET, list(HOSTS), {}, True), Policy(), start) == (waves, left_out)


def test_where_no_host_is_to_be_rolled_there_are_no_waves():
    assert plan({}, [], Policy(), "web1") == ([], [])


def test_a_host_that_is_not_to_be_rolled_is_no_beginning():
    with pytest.raises(RolloutError) as raised:
        plan({"web1": "", "web2": ""}, [], Policy(), "web9")
    assert raised.value.mistakes == (
        "rollout_from: web9 is not to be rolled, only web1, web2; name one that is, or leave it out",
    )


# --- before a wave


def test_a_wave_is_refused_when_a_pool_has_less_to_spare_than_when_it_was_planned():
    answers = said(web1={"users/user2": DOWN}, web2={"users/user2": DOWN})
    assert obstacles(["user1"], pools(FLEET, ["user1"], answers, False)) == [
        "pool users: members 2, down 1 (user2), min_ready 0.5 keeps 1 up, so 0 may be taken, and this wave would take "
        "user1; bring up what is down, or lower min_ready to 0, or name the pool in mesh_allow_shrink, or leave the "
        "host out with --limit"
    ]
    assert obstacles(["user2"], pools(FLEET, ["user2"], answers, False)) == []
    assert obstacles(["user1"], pools(FLEET, ["user1"], said(web1={}), False)) == []


def test_what_must_be_up_again_is_the_wave_for_others_and_all_for_itself():
    answers = said(web1={"files/media1": DOWN}, user1={"files/media2": DRAINED})
    assert seen_up(["user1"], answers) == {"web1": ["users/user1"], "user1": ["files/media1"]}


# --- after a wave


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(said(web1={}, web2={}), said(web1={}, web2={}), [], id="all up"),
        pytest.param(
            said(web1={}, web2={}, web3={}),
            said(web1={"users/user1": DOWN}, web2={"users/user1": DOWN}, web3={}),
            ["users/user1 was up, and is not seen up now: web1 DOWN, web2 DOWN, web3 UP; look at user1"],
            id="down for a quorum",
        ),
        pytest.param(said(web1={}, web2={}), said(web1={"users/user1": DOWN}, web2={}), [], id="down for half"),
        pytest.param(said(web1={"users/user1": DOWN}), said(web1={"users/user1": DOWN}), [], id="it was down before"),
        pytest.param(said(web1={}), said(web1={"users/user1": MAINT}), [], id="drained by hand meanwhile"),
        pytest.param(said(web1={}), said(web1={"users/user2": DOWN}), [], id="another backend went down"),
        pytest.param({}, {}, [], id="nobody could be asked before"),
        pytest.param(
            said(web1={}),
            {},
            ["users/user1 was up, and nobody who saw it answers now; look at user1"],
            id="nobody can be asked any more",
        ),
        pytest.param(
            said(web1={}, user1={}),
            said(web1={}, user1={"files/media1": DOWN}),
            ["the sidecar of user1 saw these up before, and does not now: files/media1 DOWN"],
            id="its own sidecar sees less than the others",
        ),
        pytest.param(
            said(web1={}, user1={}),
            said(web1={"files/media1": DOWN}, user1={"files/media1": DOWN}),
            [],
            id="what the others do not see either is not its doing",
        ),
        pytest.param(
            said(user1={}),
            said(user1={"files/media1": DOWN, "files/media2": DRAINED}),
            ["the sidecar of user1 saw these up before, and does not now: files/media1 DOWN"],
            id="nobody else to compare with",
        ),
        pytest.param(
            said(web1={}, user1={}),
            said(web1={}),
            ["the sidecar of user1 could be asked before, and cannot be now"],
            id="its own sidecar is silent",
        ),
        pytest.param(
            said(web1={}, user1={}),
            {**said(web1={}), "user1": {}},
            ["the sidecar of user1 could be asked before, and cannot be now"],
            id="its own sidecar says nothing of its servers",
        ),
    ],
)
def test_a_wave_is_judged_by_what_was_up_before(before, after, told):
    assert faults(FLEET, ["user1"], before, after) == told


def replaced(**servers):
    """What the wave's sidecar sees of pool `files` once others serve it; `files` is called by user1."""
    return {"user1": {f"files/{name}": Sight(*sight) for name, sight in servers.items()}}


@pytest.mark.parametrize(
    ("after", "allowed", "least"),
    [
        pytest.param(replaced(data1=UP, data2=UP), [], None, id="all members replaced"),
        pytest.param(replaced(data1=DOWN, data2=DOWN), [], 1, id="all members replaced by some that do not work"),
        pytest.param(replaced(data1=DOWN, data2=DOWN), ["files"], None, id="the pool is named in mesh_allow_shrink"),
        pytest.param(replaced(data1=UP, data2=DOWN), [], None, id="half of them is min_ready"),
        pytest.param(replaced(data1=UP, data2=DOWN, data3=DOWN), [], 2, id="a third of them is less"),
        pytest.param(replaced(data1=MAINT, data2=DRAINED), [], None, id="out of service on purpose"),
        pytest.param({"user1": {"mail/mail1": Sight(*UP)}}, [], None, id="the sidecar does not call it now"),
    ],
)
def test_a_pool_that_was_up_is_up_whoever_is_in_it_now(after, allowed, least):
    found = faults(FLEET, ["user1"], said(user1={}), after, allowed)
    assert [message.split(" asks for ")[1][0] for message in found] == ([str(least)] if least else [])


def test_a_pool_that_the_others_see_down_too_is_not_the_waves_doing():
    before = said(user1={"files/media2": DOWN}, web1={})
    here = replaced(media2=DOWN)
    assert len(faults(FLEET, ["user1"], before, {**here, **said(web1={})})) == 1
    assert faults(FLEET, ["user1"], before, {**here, **said(web1={"files/media2": DOWN})}) == []


def test_the_votes_of_changed_sidecars_do_not_outweigh_the_others():
    wave = ["web1", "web2", "web3", "user1"]
    after = said(web1={}, web2={}, web3={}, web4={"users/user1": DOWN}, user2={})
    found = faults(FLEET, wave, said(web1={}, web2={}, web3={}, web4={}, user2={}), after)
    assert found == ["users/user1 was up, and is not seen up now: web4 DOWN; look at user1"]


def test_answers_come_back_from_their_plain_form():
    answers = said(web1={"users/user1": DOWN})
    plain = {host: {place: list(sight) for place, sight in sights.items()} for host, sights in answers.items()}
    assert read_seen(plain) == answers


# --- what is said

WAVES = [["web1"], ["web2", "user2"], ["web3", "web4", "user1"]]


def test_a_wave_is_announced_with_what_was_done_and_how_to_go_on():
    assert announce(WAVES, 1, {"web2": "kvm3", "user2": "kvm3"}) == [
        "Wave 2 of 3: web2, user2 (kvm3).",
        "Done: web1. After it: 3 hosts.",
        "To go on after a stop: the same command; with -e rollout_from=web2 it begins there.",
    ]
    assert announce(WAVES, 0, {})[:2] == ["Wave 1 of 3: web1.", "Done: none. After it: 5 hosts."]


def test_a_stop_says_what_was_done_and_what_was_not():
    assert summarize(WAVES, 1, ["web1"], ["user2"]).splitlines() == [
        "The rollout stopped in wave 2 of 3; the reason is above.",
        "Done: web1.",
        "In this wave: web2, user2. Put back to what ran before: user2.",
        "Not touched: web3, web4, user1.",
        "To go on after a stop: the same command; with -e rollout_from=web2 it begins there.",
    ]
