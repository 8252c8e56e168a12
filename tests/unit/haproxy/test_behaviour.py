"""What changes in a later release under the same text is found where the text leaves it to a default."""

from __future__ import annotations

from pathlib import Path

import make_dialect_table
import pytest
from ansible.module_utils.hamesh.haproxy import changes
from ansible.module_utils.hamesh.haproxy.behaviour import changed_behaviours

HTTP = "listen a\n mode http\n bind :80\n server s 10.0.0.1:80\n"


def releases(text: str, subject: str, dialect: str = "1.4", until: str = "3.4") -> list[str]:
    """Return the releases from which on this subject behaves otherwise."""
    messages = [message for message in changed_behaviours(text, dialect, until) if subject in message]
    return [message.split(" ")[3] for message in messages]


@pytest.mark.parametrize(
    ("subject", "release", "text", "pinned"),
    [
        ("balance when unset", "3.3", HTTP, " balance roundrobin\n"),
        ("option abortonclose", "3.3", HTTP, " no option abortonclose\n"),
        ("HTTP connection mode", "1.5", HTTP, " option http-server-close\n"),
        ("http-reuse when unset", "1.9", HTTP, " http-reuse safe\n"),
        ("maxconn of a frontend", "2.0", HTTP, " maxconn 2000\n"),
        ("SNI towards TLS servers", "3.3", HTTP + " server t 10.0.0.1:443 ssl\n", " default-server no-sni-auto\n"),
        ("ALPN of a TLS bind", "2.8", HTTP + " bind :443 ssl crt /a\n", " bind :444 ssl crt /a alpn http/1.1\n"),
        ("mworker-max-reloads", "3.3", HTTP, "global\n mworker-max-reloads 50\n"),
        ("limits (maxconn, ulimit-n)", "2.3", HTTP, "global\n no strict-limits\n"),
        ("nbthread when unset", "2.0", HTTP, "global\n nbthread 1\n"),
        ("global maxconn when", "2.0", HTTP, "global\n maxconn 2000\n"),
        ("cpu-policy", "3.3", HTTP, "global\n cpu-policy performance\n"),
    ],
)
def test_a_changed_default_is_found_where_no_line_pins_it(subject, release, text, pinned):
    assert releases(text, subject) == [release]
    assert releases(text + pinned, subject) == []
    assert releases(text, subject, dialect=release) == []


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("option abortonclose", "listen a\n mode tcp\n bind :80\n server s 10.0.0.1:80\n"),
        ("SNI towards TLS servers", HTTP),
        ("balance when unset", "frontend a\n bind :80\n"),
        ("ALPN of a TLS bind", HTTP),
        ("balance random", HTTP + " balance random(2)\n"),
    ],
)
def test_a_change_that_does_not_concern_the_text_is_left_out(subject, text):
    assert releases(text, subject) == []


def test_defaults_pin_for_their_proxies_and_each_proxy_is_named():
    text = f"defaults\n balance roundrobin\n{HTTP}defaults\n mode http\n" + HTTP.replace("listen a", "listen b")
    (message,) = (message for message in changed_behaviours(text, "3.2") if "balance when unset" in message)
    assert message.startswith("behaves otherwise from 3.3 on: ")
    assert (
        "balance when unset in b (before: roundrobin; now: random (two draws); to keep it: balance roundrobin"
        in message
    )


def test_until_limits_the_releases():
    assert {message.split(" ")[3] for message in changed_behaviours(HTTP, "3.2", "3.3")} == {"3.3"}
    assert changed_behaviours(HTTP, "3.4") == []


def test_the_behaviours_are_those_that_the_script_writes():
    assert make_dialect_table.changes() == Path(changes.__file__).read_text(encoding="utf-8")
