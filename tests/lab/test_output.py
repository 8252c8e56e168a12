"""What runs on the lab print: only what an operator needs to read. bench/output.md has the figures; the limits here
leave some room."""

from __future__ import annotations

import os
import re
import subprocess

from lab import INVENTORY, ROOT, changed_inventory


def printed(*arguments, inventory=None):
    """Return the exit code of a playbook, and the lines that it printed as an operator sees them."""
    settings = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    for name in ("ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_FORCE_COLOR"):  # Molecule sets the latter
        settings.pop(name, None)
    command = ["ansible-playbook", "-i", str(inventory or INVENTORY), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    ended = subprocess.run(command, cwd=ROOT, env=settings, text=True, timeout=900, **pipes)
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ended.stdout) == [], "nothing controls the terminal"
    print(f"{' '.join(arguments)}: {len(ended.stdout.splitlines())} lines")  # for bench/output.md, with pytest -rP
    return ended.returncode, ended.stdout.splitlines()


def test_a_run_that_changes_nothing_fits_on_a_screen(index):
    assert printed("site.yml")[0] == 0  # what an earlier test left
    code, lines = printed("site.yml", "--diff")
    output = "\n".join(lines)
    assert code == 0, output
    assert not re.search(r"^(changed|ok|skipping|included|fatal): \[", output, re.MULTILINE), output
    assert re.search(r"^unchanged: 8 \(", output, re.MULTILINE), output
    assert len([line for line in lines if line]) < 60, output


def test_a_changed_service_is_shown_once(index):
    changed = changed_inventory(lambda _, services: services["login"]["check"].update(interval=3333))
    code, lines = printed("site.yml", "--check", "--diff", inventory=changed)
    output = "\n".join(lines)
    assert code == 0, output
    added = [line for line in lines if line.startswith("+") and "inter 3333" in line]
    assert added, output
    assert len(added) == len(set(added)), output
    assert re.search(r"^would change: 2 \(web1, web2\)$", output, re.MULTILINE), output
    assert len(lines) < 120, output


def test_two_unreachable_witnesses_are_explained_once_each(index, tmp_path):
    """Two consumers of the pools that the wave is in, outside of --limit."""

    def gone(groups, _):
        for host in ("media1", "media2"):
            groups["media"]["hosts"][host]["ansible_port"] = 1

    code, lines = printed(
        "playbooks/rolling-reload.yml",
        *("--limit", "user1,user2,web1", "-e", f"mesh_build_dir={tmp_path}"),
        *("-e", "rollout_soak=0", "-e", "rollout_witnesses=8"),
        inventory=changed_inventory(gone),
    )
    output = "\n".join(lines)
    assert code == 0, output
    explained = [line for line in lines if "UNREACHABLE!" in line]
    assert [sum(f"-> {host}" in line for line in explained) for host in ("media1", "media2")] == [1, 1], output
    assert "still unreachable and ignored: [media" in output
    assert len(lines) < 120, output
