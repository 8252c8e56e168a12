"""Which release accepts which line: the whole measured table, other lines of its shapes, and the rules beside it."""

from __future__ import annotations

import re
from pathlib import Path

import every_service
import make_dialect_table
import pytest
import yaml
from ansible.module_utils.hamesh.haproxy import table as dialect_table
from ansible.module_utils.hamesh.haproxy.findings import Finding
from ansible.module_utils.hamesh.haproxy.lint import judge, lint
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.haproxy.verdicts import RELEASES, harshest
from ansible.module_utils.hamesh.mesh.compiler import SERVICE, compile_mesh
from ansible.module_utils.hamesh.mesh.render import render
from effects import EFFECTS
from meshes import ROOT, TEMPLATE, compiled, text_of

ROWS = make_dialect_table.rows("haproxy-acceptance.tsv")
LEVELS = {".": None, "w": "warning", "x": "error"}

# Some rows, with other names, numbers and addresses.
SHAPES = [
    ("defaults", "timeout connect 5s", "timeout connect 7000"),
    ("defaults", "timeout client-fin 5s", "timeout client-fin 1h"),
    ("backend", "balance url_param userid check_post 64", "balance url_param id"),
    ("backend", "balance hdr(X-Id)", "balance hdr(X-Forwarded-For)"),
    ("backend", "balance uri len 10 depth 3", "balance uri depth 9"),
    ("backend", "balance rdp-cookie", "balance rdp-cookie(msts)"),
    ("backend", "cookie SRV insert httponly secure", "cookie ID insert indirect nocache httponly"),
    ("backend", "option httpchk GET /status", "option httpchk HEAD /foo?a=b"),
    (
        "backend",
        "option httpchk GET /s HTTP/1.1\\r\\nHost:\\ www",
        "option httpchk HEAD / HTTP/1.0\\r\\nX-A:\\ b\\r\\nY:\\ z",
    ),
    ("frontend", "reqadd X-A:\\ b", "reqadd X-Forwarded-Proto:\\ https if hot"),
    ("frontend", "reqirep ^X-A(.*) X-B\\1", "reqirep ^Host:\\ (.*) Host:\\ \\1 unless { path_beg /x }"),
    ("frontend", "acl a1 path_beg /a /b ; use_backend b2 if a1", "acl hot path_beg -i /x ; use_backend other if hot"),
    ("frontend", "acl a1 url_param(x) y ; use_backend b2 if a1", "use_backend b3 if { url_param(user) -i bob }"),
    ("frontend", "acl a1 src -f /run/t/lst ; use_backend b2 if a1", "acl inside src -f /etc/haproxy/inside.lst"),
    ("frontend", "use_backend b2", "use_backend app"),
    ("frontend", "use_backend b2 if TRUE", "use_backend app unless { nbsrv(b1) lt 2 } or HTTP_1.0"),
    ("frontend", "http-request set-header X-A b", "http-request set-header Host %[src] if hot"),
    ("frontend", "capture request header Host len 32", "capture request header User-Agent len 200"),
    ("frontend", "redirect scheme https", "redirect scheme https code 301"),
    ("frontend", "option forwardfor if-none", "option forwardfor header X-Real except 10.0.0.0/8 if-none"),
    ("frontend", "errorfile 503 /run/t/e503.http", "errorfile 408 /dev/null"),
    ("global", "nbproc 2", "nbproc 16"),
    ("global", "nbproc 1", "nbproc 1"),
    ("global", "log 127.0.0.1 local0 info notice", "log 10.1.1.1:514 daemon debug err"),
    ("global", "stats socket /run/t/s.sock mode 600 level admin", "stats socket /run/a level operator user x mode 660"),
    ("global", "description hello", "description if only it were so simple"),
    ("backend", "stick-table type ip size 1k store conn_cur", "stick-table type ip size 20m expire 2h store conn_cur"),
    ("bind", "127.0.0.1:18081 name n1", "127.0.0.1:9 name x"),
    ("bind", "127.0.0.1:18081 maxconn 10", "10.0.0.1:80,10.0.0.2:81 name x maxconn 5"),
    ("bind", "[::1]:18081", "127.0.0.1:80,[fd00::1]:80 name x"),
    ("bind", "unix@/run/t/x.sock", "unix@/var/run/web.sock"),
    ("server", "check inter 2s rise 2 fall 3 weight 10 maxconn 50 slowstart 30s", "check inter 500 weight 3"),
    ("server", "on-marked-down shutdown-sessions", "weight 3 check inter 500 on-marked-down shutdown-sessions"),
    ("server", "check error-limit 5", "check observe layer7 error-limit 50 on-error mark-down"),
    ("server", "pool-max-conn 10", "send-proxy pool-max-conn 99 cookie c"),
    ("userlist", "group g1 users u1 ; user u1 insecure-password p", "user bob insecure-password s3cret groups a,b"),
]


def whole(section: str, directive: str) -> tuple[str, range]:
    """A bare configuration with a directive of the table in it, and the numbers of the directive's lines."""
    lines = {"bind": [f"bind {directive}"], "server": [f"server s1 127.0.0.1:18099 {directive}"]}
    own = lines.get(section, directive.split(" ; "))
    kind = {"bind": "frontend", "server": "backend"}.get(section, section)
    bare = {
        "global": ["global"],
        "defaults": ["defaults", "mode http", "timeout connect 5s", "timeout client 5s", "timeout server 5s"],
        "userlist": ["userlist u"],
        "frontend": ["frontend f1", "bind 127.0.0.1:18080", "default_backend b1"],
        "listen": ["listen l1", "bind 127.0.0.1:18090", "server s1 127.0.0.1:18098"],
        "backend": ["backend b1", "server s0 127.0.0.1:18097"],
    }
    if section != "listen":
        del bare["listen"]
    text: list[str] = []
    for name, stated in bare.items():
        text += stated
        if name == kind:
            numbers = range(len(text) + 1, len(text) + 1 + len(own))
            text += own
    return "\n".join(text) + "\n", numbers


def judged(section: str, directive: str) -> tuple[str, list[str]]:
    """The verdict on a directive, one character per release, and what is unknown about it."""
    text, numbers = whole(section, directive)
    parts = [part for number in numbers for part in judge(text)[number]]
    unknown = [part.what for part in parts if part.kind == "unknown"]
    return harshest(part.verdict for part in parts if part.kind == "known"), unknown


def findings(section: str, directive: str, dialect: str, until: str) -> list[Finding]:
    text, numbers = whole(section, directive)
    return [finding for finding in lint(text, dialect, until) if finding.line in numbers]


def test_every_verdict_of_the_table_is_given_back(capsys):
    wrong = [
        f"{section}: {directive}"
        for section, _, measured, directive in ROWS
        if judged(section, directive) != (measured, [])
    ]
    with capsys.disabled():
        verdicts = f"{len(ROWS)} directives x {len(RELEASES)} releases = {len(ROWS) * len(RELEASES)} verdicts"
        print(f"\n{verdicts}, {len(wrong)} directives judged wrong")
    assert wrong == []
    assert (len(ROWS), len(RELEASES)) == (960, 23)
    assert {len(measured) for _, _, measured, _ in ROWS} == {len(RELEASES)}


@pytest.mark.parametrize("release", DIALECTS)
def test_the_linter_says_of_every_directive_what_its_release_says(release):
    for section, _, measured, directive in ROWS:
        mark = measured[RELEASES.index(release)]
        found = findings(section, directive, release, release)
        levels = {finding.level for finding in found if not misleads(finding)}
        assert levels == ({LEVELS[mark]} if mark != "." else set()), f"{section}: {directive}"


def misleads(finding: Finding) -> bool:
    """A release said nothing, but the line does not do what it says."""
    return "releases before" in finding.why or "1.4 takes" in finding.why or "before 1.6" in finding.why


def test_the_table_is_what_the_script_makes_of_the_measurements():
    assert make_dialect_table.table() == Path(dialect_table.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(("section", "measured", "other"), SHAPES, ids=[shape[2] for shape in SHAPES])
def test_another_line_of_the_same_shape_has_the_same_verdict(section, measured, other):
    assert judged(section, other) == (judged(section, measured)[0], [])


def test_any_names_and_numbers_give_the_verdict_of_the_shape():
    """All rows again, with other numbers, times and addresses, and other names for the table's own."""
    changed = 0
    for section, _, measured, directive in ROWS:
        other = re.sub(r"\b(?<![.:/$-])([2-9]|[1-9][0-9]+)(?=(s|m|h|k)?( |$))", "777", directive)
        other = re.sub(r"\b(a1|b1|b2|u1|g1|s1|f1|userid|SRV|SID|JSESSIONID)\b", r"other_\1", other)
        other = re.sub(r"\b127\.0\.0\.1(:[0-9]+)?\b", r"10.1.2.3\1", other).replace("/run/t/", "/srv/other/")
        changed += other != directive
        assert judged(section, other) == (measured, []), f"{section}: {other}"
    assert changed > 400


@pytest.mark.parametrize(
    ("section", "line", "first_rejected"),
    [
        ("global", "nosepoll", "1.5"),
        ("listen", "appsession JSESSIONID len 52 timeout 3h", "1.6"),
        ("listen", "redispatch", "2.1"),
        ("listen", "contimeout 5000", "2.1"),
        ("frontend", "block if { src 10.0.0.0/8 }", "2.1"),
        ("frontend", "reqadd X-A:\\ b", "2.1"),
        ("frontend", "option independant-streams", "2.1"),
        ("frontend", "monitor-net 10.0.0.0/8", "2.3"),
        ("listen", "mode health", "2.3"),
        ("global", "nbproc 2", "2.5"),
        ("defaults", "grace 30", "2.5"),
        ("defaults", "option forceclose", "2.5"),
        ("backend", "option http_proxy", "2.5"),
        ("listen", "bind-process odd", "2.7"),
        ("listen", "bind-process all", "2.7"),
        ("backend", "option httpchk GET / HTTP/1.1\\r\\nHost:\\ a.b", "2.7"),
        ("frontend", "option allbackups", "3.2"),
        ("backend", "option dontlognull", "3.2"),
        ("listen", "option redispatch", None),
        ("listen", "option allbackups", None),
        ("listen", "mode tcp", None),
        ("listen", "server web7 10.1.2.3:80 check inter 500 weight 3", None),
        ("frontend", "bind 127.0.0.1:9 name x", None),
        ("backend", "balance random(2)", "1.4"),
        ("frontend", "acl hot path_beg /x", None),
        ("backend", "option httpchk GET /foo", None),
    ],
)
def test_a_line_names_the_first_release_that_rejects_it(section, line, first_rejected):
    found = findings(section, line, "1.4", "3.4")
    assert [finding.first_rejected for finding in found] == ([] if first_rejected is None else [first_rejected])


@pytest.mark.parametrize(
    ("line", "level", "first_rejected", "said"),
    [
        ("server a 10.0.0.1:80 weight 3 check send-proxy pool-max-conn 5", "error", "1.4", "'send-proxy' of 'server'"),
        ("http-request set-header A b", "error", "1.4", "accepted from 1.5 on"),
        ("option transparent", "warning", "", "with a warning from 3.3 on"),
        (
            "timeout connect 99",
            "warning",
            "",
            "'connect 99': accepted by 1.4 to 3.0, accepted with a warning from 3.1 on",
        ),
        ("server a 10.0.0.1:80 check inter 1 fastinter 2s", "warning", "", "below 100 without a unit, 'inter 1'"),
        ("option redispatch 1", "warning", "", "releases before 1.6 ignore"),
        ("hash-type consistent djb2", "warning", "", "releases before 1.5 ignore"),
        ("acl a hdr(host),lower -m str a", "warning", "", "1.4 takes '-m' for a pattern"),
        ('acl a path "/x y"', "warning", "", "quotes are plain characters before 1.6"),
        ('acl a path "/x', "later", "1.6", "a quote that is not closed"),
        ("acl a/b path /x", "error", "1.4", "a name that is not of letters"),
        ("acl a path " + "/" * 2040, "error", "1.4", "more than 2047 bytes"),
        ("acl a path" + " /" * 62, "error", "1.4", "more than 64 words"),
        ("server a [::1]:80", "error", "1.4", "an address that begins with '['"),
        ("source [::1]:80", "error", "1.4", "an address that begins with '['"),
    ],
)
def test_a_finding_says_what_and_since_when(line, level, first_rejected, said):
    found = [finding for finding in findings("listen", line, "1.4", "3.4") if said in finding.why]
    assert [(finding.level, finding.first_rejected) for finding in found] == [(level, first_rejected)]
    assert found[0].text == line


@pytest.mark.parametrize(
    ("line", "levels"),
    [
        ("acl a path " + "/" * 2040, set()),
        ("acl a path" + " /" * 61, set()),
        ('acl a path "/"', set()),
        ("timeout connect 100", set()),
        ("timeout connect 99ms", set()),
        ("server a 10.0.0.1:80 check inter 99ms fall 3", set()),
    ],
)
def test_limits_end_where_they_end(line, levels):
    assert {finding.level for finding in findings("listen", line, "1.6", "3.4")} == levels


@pytest.mark.parametrize(
    ("text", "line", "first_rejected", "level"),
    [
        ("listen a 127.0.0.1:80\n", 1, "1.6", "later"),
        ("frontend a\n bind :80\nbackend a\n", 3, "3.3", "later"),
        ("backend a\nbackend a\n", 2, "1.6", "later"),
        ("listen a\n bind :80\nbackend a\n", 3, "1.6", "later"),
        ("frontend a\n bind :80\nlisten a\n bind :81\n", 3, "1.6", "later"),
        ("backend a\n server s 10.0.0.1:1\n server s 10.0.0.1:2\n", 3, "2.0", "later"),
        ("daemon\nglobal\n", 1, "1.4", "error"),
        ("listen a/b\n bind :80\n", 1, "1.4", "error"),
        ("peers p\n", 1, "1.4", "error"),
        ("program p\n", 1, "1.4", "error"),
        ("frontend a from d\n bind :80\n", 1, "1.4", "error"),
        ("backend a from d\n", 1, "1.6", "later"),
    ],
)
def test_sections_have_rules_of_their_own(text, line, first_rejected, level):
    found = [finding for finding in lint(text, "1.4") if finding.level in ("error", "later")]
    assert [(finding.line, finding.first_rejected, finding.level) for finding in found] == [
        (line, first_rejected, level)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "frontend a\n bind :80\nbackend b\n server s 10.0.0.1:1\nbackend c\n server s 10.0.0.1:1\n",
        "userlist a\nbackend a\n",
    ],
)
def test_names_may_be_used_again_elsewhere(text):
    assert lint(text, "1.4") == []


def test_what_an_older_release_rejects_is_nothing_to_a_newer_dialect():
    text = "backend b from d\n http-request set-header A b\n server a [::1]:80 send-proxy\n"
    assert lint(text, "2.4") == []
    assert {finding.first_rejected for finding in lint("frontend f\n nosuch\n reqadd a\n", "2.6")} == {"", "2.6"}


def test_until_ends_the_way():
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "1.9")] == []
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "2.0")] == ["warning"]
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "2.1")] == ["later"]


@pytest.mark.parametrize(("dialect", "until"), [("1.3", "3.4"), ("1.4", "4.0"), ("3.0", "2.9")])
def test_no_way_is_no_way(dialect, until):
    with pytest.raises(ValueError, match="is no way through"):
        lint("", dialect, until)


@pytest.mark.parametrize(
    ("without", "companion", "level"),
    [
        ("listen a\n option httplog\n", "log 127.0.0.1 local0", "warning"),
        ("defaults\n option httplog\nlisten a\n", "log 127.0.0.1 local0", "warning"),
        ("listen a\n option httplog\n log global\n", "\nglobal\n log /dev/log daemon", "warning"),
        ("backend a\n http-check send-state\n", "option httpchk", "warning"),
        ("defaults\n mode http\nlisten a\n acl a req_len gt 4\n", "mode tcp", "warning"),
        ("global\n stats timeout 30s\n", "stats socket /run/a", "warning"),
        ("backend a\n server a 10.0.0.1:1 minconn 1\n", "fullconn 10", "error"),
        ("frontend a\n disabled\n", "\nlisten other", "later"),
    ],
)
def test_what_only_misses_a_companion_is_well_beside_it(without, companion, level):
    assert [finding.level for finding in lint(without, "1.4")] == [level]
    assert lint(f"{without} {companion}\n", "1.4") == []


@pytest.mark.parametrize(
    ("section", "line", "nearest"),
    [
        ("listen", "frobnicate 5", "nor is anything like it"),
        ("listen", "timeout frobnicate 5", "'timeout "),
        ("listen", "timeout connect soon", "'timeout connect'"),
        ("listen", "option httpchkk", "'option httpchk'"),
        ("listen", "http-request replace-header A b c", "rejected by 1.4, accepted from 1.5 on"),
        ("listen", "no option tcpka", "without 'no'"),
        ("listen", "server a 10.0.0.1:80 check ssl verify none", "'ssl verify none' behind 'server'"),
        ("listen", "bind :443 ssl crt /x.pem", "'ssl crt /x.pem' behind 'bind'"),
        ("listen", "bind abns@x", "an address that begins with 'abns@'"),
        ("listen", "acl a ssl_fc", "acl keyword 'ssl_fc'"),
        ("listen", "use_backend b if { ssl_fc }", "acl keyword 'ssl_fc'"),
        ("listen", "acl a path,md5 x", "converter 'md5'"),
        ("listen", "acl a path -n x", "'acl -n'"),
        ("listen", "acl a path -m beg -n x", "'acl -n'"),
        ("listen", "http-request set-header A %[ssl_fc]", "acl keyword 'ssl_fc'"),
        ("listen", "mode http if x", "'if x' behind 'mode http'"),
        ("backend", "capture cookie A len 3", "in frontend sections"),
        ("defaults", "acl a path /x", "in backend and frontend sections"),
        ("defaults", "server a 10.0.0.1:80", "in backend sections"),
        ("defaults", "default-server fastinter 5s", "on a 'server' line"),
        ("global", "lua-load /x", "nor is anything like it"),
        ("backend", "log 127.0.0.1 len 800 local0", "not in the table"),
    ],
)
def test_what_the_table_does_not_know_is_said_to_be_unknown(section, line, nearest):
    told = [finding for finding in findings(section, line, "1.4", "3.4") if finding.level == "unknown"]
    assert len(told) == 1
    assert nearest in told[0].why


def test_handing_over_listeners_came_with_1_8():
    line = "stats socket /run/t/s.sock mode 600 level admin expose-fd listeners"
    assert [finding.first_rejected for finding in findings("global", line, "1.7", "3.4")] == ["1.7"]
    assert findings("global", line, "1.8", "3.4") == []


def test_a_misspelled_directive_is_unknown():
    """Every directive of the table whose first word is its own, with a letter too many."""
    asked = 0
    for section, _, _, directive in ROWS:
        if section not in ("bind", "server"):
            asked += 1
            first, _, rest = directive.partition(" ")
            levels = {finding.level for finding in findings(section, f"{first}q {rest}", "1.4", "3.4")}
            assert "unknown" in levels, f"{section}: {directive}"
    assert asked > 800


def test_no_word_of_a_directive_is_passed_over():
    """Whatever is put behind any directive of the table does not go by in silence, but where a word may stand."""
    open_ended = ("acl ", "description ", "log-send-hostname", "option httpchk", "stats show-desc ")
    asked = 0
    for section, _, _, directive in ROWS:
        if not re.search(" (if|unless) ", directive) and not directive.startswith(open_ended):
            asked += 1
            assert findings(section, f"{directive} frobnicate", "1.4", "3.4"), f"{section}: {directive}"
    assert asked > 800


def test_sections_without_a_table_are_said_to_be_unknown():
    found = lint("resolvers r\n nameserver a 10.0.0.1:53\n hold valid 10s\n", "3.0")
    assert [(finding.line, finding.level) for finding in found] == [(1, "unknown")]
    assert "its 2 are not judged" in found[0].why


@pytest.mark.parametrize("fields", [fields for fields, _, _ in EFFECTS], ids=str)
def test_what_the_renderer_writes_is_clean_from_1_4_to_the_newest(fields):
    assert lint(text_of(compiled(fields)), "1.4") == []


@pytest.mark.parametrize("fields", [{}, {"check": {"type": "http"}}, {"stick": "source"}, {"balance": "rdp-cookie(x)"}])
def test_what_the_renderer_writes_of_a_tcp_service_is_clean(fields):
    assert lint(text_of(compiled({**fields, "mode": "tcp"})), "1.4") == []


@pytest.mark.parametrize("variables", [{"mesh_state": "maint"}, {"mesh_backup": True}, {"mesh_weight": 0}])
def test_what_the_renderer_writes_of_a_backend_is_clean(variables):
    assert lint(text_of(compiled({}, {"app1": variables})), "1.4") == []


def test_every_two_values_of_two_fields_render_to_a_clean_configuration(capsys):
    texts = dict(every_service.configurations())
    found = [(name, finding) for name, text in texts.items() for finding in lint(text, "1.4")]
    with capsys.disabled():
        lines = sum(text.count("\n") for text in texts.values())
        print(f"\n{len(texts)} configurations, {lines} lines: {len(found)} findings from 1.4 to {DIALECTS[-1]}")
    assert found == []
    assert set(every_service.ANY_MODE) == set(SERVICE) - {"mode", "local_port", "consumers", "min_ready"}


@pytest.mark.parametrize("inventory", ["inventory", "molecule/inventory"])
def test_the_shipped_services_compile_to_clean_configurations(inventory):
    data = yaml.safe_load((ROOT / inventory / "group_vars/all/services.yml").read_text())
    consumers = {group for service in data["mesh_services"].values() for group in service["consumers"]}
    network = data["mesh_networks"][0].rsplit(".", 1)[0]
    names = sorted(consumers | {service.get("pool", name) for name, service in data["mesh_services"].items()})
    hosts = {f"{group}1": {"ansible_host": f"{network}.{at}"} for at, group in enumerate(names, start=1)}
    groups = {"all": list(hosts), **{group: [f"{group}1"] for group in names}}
    mesh = compile_mesh(data["mesh_services"], data["mesh_networks"], hosts, groups)
    assert len(mesh.sidecars) == len(consumers)
    for sidecar in mesh.sidecars.values():
        assert lint(render(sidecar, TEMPLATE).text, "1.4") == []
