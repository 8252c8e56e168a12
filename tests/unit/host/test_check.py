"""The output of `haproxy -c` is parsed, whatever the release and the exit code."""

from __future__ import annotations

import pytest
from ansible.module_utils.hamesh.haproxy.lint import lint
from ansible.module_utils.hamesh.host.check import Source, check_sources, check_text, join, read_sources

CONFIGURATION = "global\n  daemon\nlisten a\n  bind 127.0.0.1:9\n  bogus\n"


@pytest.fixture
def binary(tmp_path):
    """Return a function that writes a program with recorded output of HAProxy; tests/lab uses real binaries."""

    def make(output, code):
        path = tmp_path / "haproxy"
        path.write_text(
            "#!/bin/sh\n"
            '[ "$1" = -v ] && { echo "HA-Proxy version 1.4.25 2014/03/27"; exit 0; }\n'
            f'cat <<END | sed "s#FILE#$3#"\n{output}\nEND\nexit {code}\n'
        )
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("output", "code", "line", "why"),
    [
        (
            "[ALERT] 326/083000 (12) : parsing [FILE:5] : unknown keyword 'bogus' in 'listen' section\n"
            "[ALERT] 326/083000 (12) : Error(s) found in configuration file : FILE\n"
            "[ALERT] 326/083000 (12) : Fatal errors found in configuration.",
            1,
            5,
            "unknown keyword 'bogus' in 'listen' section",
        ),
        (
            "[NOTICE]   (12) : haproxy version is 3.1.0\n"
            "[ALERT]    (12) : config : parsing [FILE:5] : unknown keyword 'bogus' in 'listen' section",
            0,
            5,
            "unknown keyword 'bogus' in 'listen' section",
        ),
        ("Segmentation fault", 139, 0, "exited with code 139: Segmentation fault"),
    ],
)
def test_an_alert_is_an_error_with_its_line(binary, output, code, line, why):
    verdict = check_text(CONFIGURATION, binary(output, code))
    assert len(verdict.errors) == 1, verdict
    assert verdict.errors[0]["line"] == line
    assert why in verdict.errors[0]["why"]
    assert verdict.errors[0]["text"] == ("bogus" if line else "")
    assert verdict.version == "1.4.25"


def test_a_warning_is_not_an_error(binary):
    output = "[WARNING]  (12) : config : parsing [FILE:5] : 'bogus' is deprecated\nConfiguration file is valid"
    verdict = check_text(CONFIGURATION, binary(output, 0))
    assert verdict.errors == []
    assert verdict.warnings == ["line 5: 'bogus' is deprecated"]


def test_an_address_that_is_bound_twice_is_an_error_though_haproxy_accepts_it(binary):
    twice = "global\n daemon\nlisten a\n bind 127.0.0.1:8-9\nlisten b\n bind 127.0.0.1:9\n"
    verdict = check_text(twice, binary("Configuration file is valid", 0))
    assert [(error["line"], error["why"]) for error in verdict.errors] == [
        (6, "127.0.0.1:9 is bound twice, by a (line 4) and by b")
    ]


def test_a_missing_binary_is_an_error(tmp_path):
    verdict = check_text(CONFIGURATION, str(tmp_path / "none"))
    assert verdict.version == ""
    assert "cannot be run: No such file or directory" in verdict.errors[0]["why"]


def test_a_binary_that_hangs_is_killed(tmp_path):
    hanging = tmp_path / "haproxy"
    hanging.write_text('#!/bin/sh\n[ "$1" = -v ] && { echo "HAProxy version 9.9"; exit; }\nexec sleep 60\n')
    hanging.chmod(0o755)
    verdict = check_sources([Source("/dev/null", CONFIGURATION)], str(hanging), timeout=0.5)
    assert "timed out after 0.5 s" in verdict.errors[0]["why"]


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "bogus\n"])
def test_a_text_without_a_section_is_an_error(binary, text):
    assert "has no section" in check_text(text, binary("Configuration file is valid", 0)).errors[0]["why"]


def test_a_line_that_later_releases_reject_is_an_error_with_the_linters_findings(binary):
    old = "global\n  daemon\nlisten a\n  bind 127.0.0.1:9\n  reqadd X-A:\\ b\n  balance roundrobin\n"
    valid = binary("Configuration file is valid", 0)
    assert check_text(old, valid).errors == []
    errors = check_text(old, valid, findings=lint(old, "1.4")).errors
    assert [(error["line"], error["text"], error["first_rejected"]) for error in errors] == [
        (5, "reqadd X-A:\\ b", "2.1")
    ]


def test_several_files_and_a_directory_are_checked_as_one(tmp_path, binary):
    (tmp_path / "conf").mkdir()
    for name, text in {
        "20-b.cfg": "listen b\n    bind 127.0.0.1:81\n",
        "10-a.cfg": "listen a\n    bogus",
        ".c.cfg": "x",
    }.items():
        (tmp_path / "conf" / name).write_text(text)
    (tmp_path / "global.cfg").write_text("global\n    daemon\n\nlisten c\n    bind 127.0.0.1:81\n")
    sources = read_sources([str(tmp_path / "global.cfg"), str(tmp_path / "conf")])
    names = [tmp_path / "global.cfg", tmp_path / "conf/10-a.cfg", tmp_path / "conf/20-b.cfg"]
    assert [source.path for source in sources] == list(map(str, names))
    assert join(sources).split("\n")[6:8] == ["    bogus", "listen b"]
    output = f"[ALERT] 1/1 (7) : parsing [{names[1]}:2] : unknown keyword 'bogus' in 'listen' section"
    verdict = check_sources(sources, binary(output, 1))
    assert [(error["file"], error["line"], error["text"]) for error in verdict.errors] == [
        (str(names[2]), 2, "bind 127.0.0.1:81"),  # bound twice
        (str(names[1]), 2, "bogus"),
    ]


def test_a_directory_without_a_configuration_is_an_error(tmp_path):
    with pytest.raises(OSError, match=r"it has no \*\.cfg"):
        read_sources([str(tmp_path)])
