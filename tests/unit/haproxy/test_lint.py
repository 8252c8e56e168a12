"""Verdicts of releases on lines: the whole measured table, similar lines, and the rules beside the table."""

from __future__ import annotations

import re
from pathlib import Path

import every_service
import make_dialect_table
import pytest
import yaml
from ansible.module_utils.hamesh.haproxy import keywords
from ansible.module_utils.hamesh.haproxy import table as dialect_table
from ansible.module_utils.hamesh.haproxy.findings import Finding
from ansible.module_utils.hamesh.haproxy.lint import lint, parts_by_line, unknown_lines
from ansible.module_utils.hamesh.haproxy.releases import DIALECTS
from ansible.module_utils.hamesh.haproxy.verdicts import RELEASES, harshest
from ansible.module_utils.hamesh.mesh.compiler import SERVICE, compile_mesh
from ansible.module_utils.hamesh.mesh.render import render
from effects import EFFECTS
from meshes import ROOT, TEMPLATE, compiled, text_of

ROWS = make_dialect_table.rows("haproxy-acceptance.tsv")
LEVELS = {".": None, "w": "warning", "x": "error"}

# Rows of the table, and the same lines with other names, numbers and addresses.
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


def configuration_with(section: str, directive: str) -> tuple[str, range]:
    """Return a minimal configuration with a directive of the table in it, and the numbers of the directive's lines."""
    lines = {"bind": [f"bind {directive}"], "server": [f"server s1 127.0.0.1:18099 {directive}"]}
    added = lines.get(section, directive.split(" ; "))
    kind = {"bind": "frontend", "server": "backend"}.get(section, section)
    minimal = {
        "global": ["global"],
        "defaults": ["defaults", "mode http", "timeout connect 5s", "timeout client 5s", "timeout server 5s"],
        "userlist": ["userlist u"],
        "frontend": ["frontend f1", "bind 127.0.0.1:18080", "default_backend b1"],
        "listen": ["listen l1", "bind 127.0.0.1:18090", "server s1 127.0.0.1:18098"],
        "backend": ["backend b1", "server s0 127.0.0.1:18097"],
    }
    if section != "listen":
        del minimal["listen"]
    text: list[str] = []
    for name, lines_of_section in minimal.items():
        text += lines_of_section
        if name == kind:
            numbers = range(len(text) + 1, len(text) + 1 + len(added))
            text += added
    return "\n".join(text) + "\n", numbers


def verdict_on(section: str, directive: str) -> tuple[str, list[str]]:
    """Return the verdict on a directive, one character per release, and the labels of its unknown parts."""
    text, numbers = configuration_with(section, directive)
    parts = [part for number in numbers for part in parts_by_line(text)[number]]
    unknown = [part.label for part in parts if part.kind == "unknown"]
    return harshest(part.verdict for part in parts if part.kind == "known"), unknown


def findings(section: str, directive: str, dialect: str, until: str) -> list[Finding]:
    text, numbers = configuration_with(section, directive)
    return [finding for finding in lint(text, dialect, until) if finding.line in numbers]


def test_the_linter_returns_every_verdict_of_the_table(capsys):
    wrong = [
        f"{section}: {directive}"
        for section, _, measured, directive in ROWS
        if verdict_on(section, directive) != (measured, [])
    ]
    with capsys.disabled():
        verdicts = f"{len(ROWS)} directives x {len(RELEASES)} releases = {len(ROWS) * len(RELEASES)} verdicts"
        print(f"\n{verdicts}, {len(wrong)} directives with a wrong verdict")
    assert wrong == []
    assert (len(ROWS), len(RELEASES)) == (960, 23)
    assert {len(measured) for _, _, measured, _ in ROWS} == {len(RELEASES)}


@pytest.mark.parametrize("release", DIALECTS)
def test_a_finding_has_the_level_of_its_release(release):
    for section, _, measured, directive in ROWS:
        mark = measured[RELEASES.index(release)]
        levels = {finding.level for finding in findings(section, directive, release, release) if not is_note(finding)}
        assert levels == ({LEVELS[mark]} if mark != "." else set()), f"{section}: {directive}"


def is_note(finding: Finding) -> bool:
    """Return whether a finding is about a line that a release accepts without a warning, but reads otherwise."""
    return "releases before" in finding.why or "1.4 reads" in finding.why


def test_the_tables_are_those_that_the_script_writes():
    assert make_dialect_table.table() == Path(dialect_table.__file__).read_text(encoding="utf-8")
    assert make_dialect_table.keywords() == Path(keywords.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(("section", "measured", "other"), SHAPES, ids=[shape[2] for shape in SHAPES])
def test_a_similar_line_has_the_same_verdict(section, measured, other):
    assert verdict_on(section, other) == (verdict_on(section, measured)[0], [])


def test_names_and_numbers_do_not_change_a_verdict():
    """Check all rows with other numbers, times, addresses and names."""
    changed = 0
    for section, _, measured, directive in ROWS:
        other = directive
        if not re.search("^error|^nbproc|^nbthread|(code|status) [0-9]", directive):
            other = re.sub(r"\b(?<![.:/$-])([2-9]|[1-9][0-9]+)(?=(s|m|h|k)?( |$))", "242", other)
        other = re.sub(r"\b(a1|b1|b2|u1|g1|s1|f1|userid|SRV|SID|JSESSIONID)\b", r"other_\1", other)
        other = re.sub(r"\b127\.0\.0\.1(:[0-9]+)?\b", r"10.1.2.3\1", other).replace("/run/t/", "/srv/other/")
        changed += other != directive
        assert verdict_on(section, other) == (measured, []), f"{section}: {other}"
    assert changed > 380


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
    releases = [finding.first_rejected for finding in findings(section, line, "1.4", "3.4")]
    assert releases == ([] if first_rejected is None else [first_rejected])


@pytest.mark.parametrize(
    ("line", "level", "first_rejected", "why"),
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
        ("acl a hdr(host),lower -m str a", "warning", "", "1.4 reads '-m' as a pattern"),
        ('acl a path "/x y"', "warning", "", "releases before 1.6 read quotes as plain characters"),
        ('acl a path "/x', "later", "1.6", "a quote that is not closed"),
        ("acl a/b path /x", "error", "1.4", "a name that is not of letters"),
        ("acl a path " + "/" * 2040, "error", "1.4", "more than 2047 bytes"),
        ("acl a path" + " /" * 62, "error", "1.4", "more than 64 words"),
        ("server a [::1]:80", "error", "1.4", "an address that begins with '['"),
        ("source [::1]:80", "error", "1.4", "an address that begins with '['"),
    ],
)
def test_a_finding_has_a_reason_and_a_release(line, level, first_rejected, why):
    matching = [finding for finding in findings("listen", line, "1.4", "3.4") if why in finding.why]
    assert [(finding.level, finding.first_rejected, finding.text) for finding in matching] == [
        (level, first_rejected, line)
    ]


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
def test_a_line_within_the_limits_has_no_finding(line, levels):
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
def test_rules_for_sections(text, line, first_rejected, level):
    errors = [finding for finding in lint(text, "1.4") if finding.level in ("error", "later")]
    assert [(finding.line, finding.first_rejected, finding.level) for finding in errors] == [
        (line, first_rejected, level)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "frontend a\n bind :80\nbackend b\n server s 10.0.0.1:1\nbackend c\n server s 10.0.0.1:1\n",
        "userlist a\nbackend a\n",
    ],
)
def test_a_name_may_be_used_again_in_another_place(text):
    assert lint(text, "1.4") == []


def test_a_newer_dialect_ignores_what_older_releases_reject():
    text = "backend b from d\n http-request set-header A b\n server a [::1]:80 send-proxy\n"
    assert lint(text, "2.4") == []
    assert {finding.first_rejected for finding in lint("frontend f\n nosuch\n reqadd a\n", "2.6")} == {"", "2.6"}


def test_until_limits_the_releases():
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "1.9")] == []
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "2.0")] == ["warning"]
    assert [finding.level for finding in lint("frontend f\n reqadd a\n", "1.4", "2.1")] == ["later"]


@pytest.mark.parametrize(("dialect", "until"), [("1.3", "3.4"), ("1.4", "4.0"), ("3.0", "2.9")])
def test_an_unknown_range_of_releases_is_refused(dialect, until):
    with pytest.raises(ValueError, match="is not a range of releases"):
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
def test_a_line_that_depends_on_another_has_a_finding_only_without_it(without, companion, level):
    assert [finding.level for finding in lint(without, "1.4")] == [level]
    assert lint(f"{without} {companion}\n", "1.4") == []


@pytest.mark.parametrize(
    ("section", "line", "why"),
    [
        ("listen", "frobnicate 5", "'frobnicate' was not measured and is no keyword"),
        ("listen", "timeout frobnicate 5", "'timeout frobnicate' was not measured"),
        ("listen", "option httpchkk", "the most similar keyword is 'option httpchk'"),
        ("listen", "server a 10.0.0.1:80 check ssll", "'ssll' after 'server'"),
        ("listen", "bind :443 frobnicate /x.pem", "'frobnicate /x.pem' after 'bind'"),
        ("listen", "acl a ssl_fcc", "acl keyword 'ssl_fcc'"),
        ("listen", "use_backend b if { ssl_fcc }", "acl keyword 'ssl_fcc'"),
        ("listen", "acl a path,md6 x", "converter 'md6'"),
        ("listen", "acl a path -x x", "'acl -x'"),
        ("listen", "http-request set-header A %[ssl_fcc]", "acl keyword 'ssl_fcc'"),
        ("listen", "mode http if x", "'if x' after 'mode http'"),
        ("backend", "capture cookie A len 3", "in frontend sections"),
        ("defaults", "server a 10.0.0.1:80", "in backend sections"),
        ("backend", "bind :80", "in frontend sections"),
    ],
)
def test_a_line_that_was_not_measured_is_unknown(section, line, why):
    unknown = [finding for finding in findings(section, line, "1.4", "3.4") if finding.level == "unknown"]
    assert len(unknown) == 1
    assert why in unknown[0].why


@pytest.mark.parametrize(
    ("section", "line", "release"),
    [
        ("listen", "http-reuse always", "1.6"),
        ("listen", "http-reuse frobnicate", "1.6"),
        ("listen", "server a 10.0.0.1:80 check ssl verify none", "1.5"),
        ("listen", "server a 10.0.0.1:80 ca-file ws sni str(a)", "1.6"),
        ("listen", "bind :443 ssl crt /x.pem alpn h2,http/1.1", "1.5"),
        ("listen", "bind :443 quic-socket listener", "2.9"),
        ("listen", "bind abns@x", "1.5"),
        ("listen", "acl a ssl_fc", "1.5"),
        ("listen", "use_backend b if { ssl_fc }", "1.5"),
        ("listen", "acl a path,url_dec,sha1 x", "1.8"),
        ("listen", "acl a path -n x", "1.5"),
        ("listen", "http-request redirect scheme https unless { ssl_fc }", "1.5"),
        ("listen", "http-request set-var(txn.a) src", "1.6"),
        ("frontend", "http-response set-header A b", "1.5"),
        ("frontend", "http-request return status 200", "2.2"),
        ("frontend", "http-request deny status 403 content-type text/plain string no", "2.2"),
        ("frontend", "compression algo gzip", "1.5"),
        ("frontend", "log stdout format raw local0", "1.9"),
        ("backend", "log 127.0.0.1 len 800 local0", "1.6"),
        ("backend", "stick-table type ip size 1k store gpc0,http_fail_rate(10s)", "2.4"),
        ("backend", "retry-on conn-failure 429", "3.1"),
        ("backend", "tcp-check connect ssl", "1.5"),
        ("global", "tune.ssl.default-dh-param 2048", "1.5"),
        ("global", "ssl-default-bind-options no-sslv3", "1.6"),
        ("global", "lua-load /x", "1.6"),
        ("global", "stats socket /x name y", "1.5"),
        ("defaults", "acl a path /x", "2.5"),
        ("listen", "bind stream+ipv4@:80", "2.3"),
        ("defaults", "default-server ssl verify none", "1.8"),
    ],
)
def test_a_line_that_was_not_measured_is_judged_by_its_keywords(section, line, release):
    """Each keyword has its first release: the oldest that has all of them takes the line."""
    older = DIALECTS[DIALECTS.index(release) - 1]
    assert {finding.level for finding in findings(section, line, release, "3.4")} <= {"warning", "unknown"}
    errors = [finding for finding in findings(section, line, older, "3.4") if finding.level == "error"]
    assert [error.first_rejected for error in errors] == [older]
    assert "by its keyword" in errors[0].why


def test_all_unknown_lines_are_one_message():
    text = "listen a\n frobnicate\n balance roundrobin\n timeout frobnicate 5\n server a b:80 x y\n"
    (message,) = unknown_lines(lint(text, "1.4"))
    assert message.startswith("3 lines have words that are in no table")
    assert message.endswith(": 2, 4, 5")
    assert unknown_lines(lint("listen a\n balance roundrobin\n", "1.4")) == []


def test_expose_fd_listeners_came_with_1_8():
    line = "stats socket /run/t/s.sock mode 600 level admin expose-fd listeners"
    assert [finding.first_rejected for finding in findings("global", line, "1.7", "3.4")] == ["1.7"]
    assert findings("global", line, "1.8", "3.4") == []


def test_a_misspelled_directive_is_unknown():
    """Check every directive of the table with a letter added to its first word."""
    checked = 0
    for section, _, _, directive in ROWS:
        if section not in ("bind", "server"):
            checked += 1
            first, _, rest = directive.partition(" ")
            levels = {finding.level for finding in findings(section, f"{first}q {rest}", "1.4", "3.4")}
            assert "unknown" in levels, f"{section}: {directive}"
    assert checked > 800


def test_a_word_after_a_directive_has_a_finding():
    """Check every directive of the table with a word added, but those that may end in any word."""
    open_ended = ("acl ", "description ", "log-send-hostname", "option httpchk", "stats show-desc ")
    checked = 0
    for section, _, _, directive in ROWS:
        if not re.search(" (if|unless) ", directive) and not directive.startswith(open_ended):
            checked += 1
            assert findings(section, f"{directive} frobnicate", "1.4", "3.4"), f"{section}: {directive}"
    assert checked > 800


def test_lines_of_a_section_that_was_not_measured_are_judged_by_their_keywords():
    text = "resolvers r\n nameserver a 10.0.0.1:53\n hold valid 10s\n parse-resolv-conf\n frobnicate\n"
    (finding,) = lint(text, "3.0")
    assert (finding.line, finding.level) == (5, "unknown")
    assert [finding.line for finding in lint(text, "1.8") if finding.level == "error"] == [4]


@pytest.mark.parametrize("fields", [fields for fields, _, _ in EFFECTS], ids=str)
def test_a_rendered_service_has_no_findings(fields):
    assert lint(text_of(compiled(fields)), "1.4") == []


@pytest.mark.parametrize("fields", [{}, {"check": {"type": "http"}}, {"stick": "source"}, {"balance": "rdp-cookie(x)"}])
def test_a_rendered_tcp_service_has_no_findings(fields):
    assert lint(text_of(compiled({**fields, "mode": "tcp"})), "1.4") == []


@pytest.mark.parametrize("variables", [{"mesh_state": "maint"}, {"mesh_backup": True}, {"mesh_weight": 0}])
def test_a_rendered_backend_has_no_findings(variables):
    assert lint(text_of(compiled({}, {"app1": variables})), "1.4") == []


def test_no_two_values_of_two_fields_render_to_a_finding(capsys):
    texts = dict(every_service.configurations())
    all_findings = [(name, finding) for name, text in texts.items() for finding in lint(text, "1.4")]
    with capsys.disabled():
        lines = sum(text.count("\n") for text in texts.values())
        print(f"\n{len(texts)} configurations, {lines} lines: {len(all_findings)} findings from 1.4 to {DIALECTS[-1]}")
    assert all_findings == []
    assert set(every_service.ANY_MODE) == set(SERVICE) - {"mode", "local_port", "consumers", "min_ready"}


@pytest.mark.parametrize("inventory", ["inventory", "molecule/inventory"])
def test_the_shipped_services_render_without_findings(inventory):
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


def test_bytes_that_are_no_utf_8_are_checked_like_others():
    text = b"global\n    daemon\n\nlisten a\n    bind 127.0.0.1:1024\n    # \xff\n    bo\xffgus\n".decode(
        errors="surrogateescape"
    )
    assert [finding.line for finding in lint(text, "1.4")] == [7]
