"""The house is in order: documented, pinned, and the same everywhere."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess

import make_variables_page
import mutate
import pytest
import yaml
from ansible.module_utils.hamesh import VERSION
from meshes import ROOT

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
MODULES = sorted(path.stem for path in (ROOT / "library").glob("*.py"))
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob(".github/**/*.md")), *DOCS]
YAML = [ROOT / "site.yml", *(path for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml"))]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_documents_exactly_its_defaults(role):
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())
    specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    assert sorted(defaults) == sorted(options)
    assert all(name.startswith(f"{role}_") for name in options)
    literal = {
        name: value
        for name, value in defaults.items()
        if not isinstance(value, (dict, list)) and "{{" not in str(value)
    }
    assert {name: options[name].get("default") for name in literal} == literal


def test_the_page_of_variables_is_what_the_roles_check():
    assert sorted(make_variables_page.ROLES) == ROLES
    assert make_variables_page.page() == make_variables_page.TARGET.read_text(encoding="utf-8")


def test_the_page_of_variables_has_those_of_the_playbooks():
    table = make_variables_page.HEAD.partition("## Playbooks")[2]
    named = set(re.findall(r"^\| `(\w+)` ", table, re.MULTILINE))
    used = {name for path in YAML for name in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    own = {
        name
        for name in used
        if re.match(r"(drain|restore|rolling_restart|rollback)_(wait|force|units|generation)$", name)
    }
    assert own <= named <= used


@pytest.mark.parametrize(("kind", "names"), [("module", MODULES), ("role", ROLES)])
def test_ansible_doc_answers_for_all_of_them(kind, names):
    command = ["ansible-doc", "-t", kind, *(["-r", "roles"] if kind == "role" else []), *names]
    output = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}
    ).stdout
    for name in names:
        assert re.search(rf"^> (MODULE|ROLE:) \*?{name}\*? ", output, re.MULTILINE), (name, output[:500])


def test_every_installed_package_is_pinned_by_its_hashes_and_no_index_is_named():
    pin = r"[a-z0-9.-]+==[A-Za-z0-9_.]+"
    text = re.sub(r"(?m)^ *#.*\n", "", (ROOT / "requirements.txt").read_text())
    lock = text.replace("\\\n", "").splitlines()
    assert all(re.fullmatch(rf"{pin}( +--hash=sha256:[0-9a-f]{{64}})+", line) for line in lock)
    pinned = {line.split()[0] for line in lock}
    assert {line for line in (ROOT / "requirements.in").read_text().splitlines() if line[:1] not in ("", "#")} <= pinned
    installed = {
        f"{re.sub('[-_.]+', '-', package.name).lower()}=={package.version}"
        for package in importlib.metadata.distributions()
        if package.name not in ("pip", "setuptools")
    }
    assert installed <= pinned
    assert "pip install" in (makefile := (ROOT / "Makefile").read_text())
    assert all("--require-hashes" in line for line in makefile.splitlines() if "pip install" in line)


@pytest.mark.parametrize("mutation", mutate.MUTATIONS, ids=lambda mutation: mutation.what)
def test_each_mutation_is_of_code_that_is_there_once_and_names_a_test_that_exists(mutation):
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.code) == 1
    file, _, expression = mutation.test.partition(" -k ")
    names = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    assert any(expression.split(" ")[0] in name for name in names)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    """Return the relative links of a page."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in targets if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_links_every_page():
    readme = ROOT / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) < 120
    linked = {link.partition("#")[0] for link in links(readme)}
    assert {*(f"docs/{page.name}" for page in DOCS), "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"} <= linked


def test_the_changelog_begins_with_the_version_and_no_other_file_sets_it():
    headings = re.findall(
        r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert headings[0][0] == VERSION
    assert all(date != "unreleased" for _, date in headings[1:])
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    code = [
        path
        for folder in ("module_utils", "library", "action_plugins", "tools")
        for path in (ROOT / folder).rglob("*.py")
    ]
    setting = [path for path in [*code, ROOT / "pyproject.toml"] if re.search(r"(?im)^version = ", path.read_text())]
    assert setting == [ROOT / "module_utils/hamesh/__init__.py"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/support.md"])
def test_every_kind_of_tests_has_a_row(page):
    """Each folder of tests, and each target of the Makefile that runs tests."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+): .+ ## (?:\w+ )*.*", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = targets - {"demo", "clean", "lint", "unit", "lab"}
    if page == "CONTRIBUTING.md":
        wanted |= {"lint", "unit", "lab"}
        folders = {path.parent.relative_to(ROOT).parts[1] for path in ROOT.glob("tests/*/**/test_*.py")}
        assert [folder for folder in sorted(folders) if f"| `tests/{folder}` |" not in text] == []
    assert [target for target in sorted(wanted) if f"`make {target}`" not in text] == []


def test_the_licence_is_the_gpl_and_modules_and_plugins_name_it():
    """As ansible-test asks: within the first lines."""
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29 June 2007" in licence
    assert len(licence.splitlines()) == 674
    lines = (
        "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
        "# SPDX-License-Identifier: GPL-3.0-or-later\n"
    )
    plugins = [path for path in ROOT.glob("*/*.py") if path.parent.name == "library" or "plugins" in path.parent.name]
    assert len(plugins) > 10
    assert [path for path in plugins if lines not in "".join(path.read_text().splitlines(keepends=True)[:6])] == []


def test_the_issue_template_asks_for_what_a_problem_needs():
    [template] = (ROOT / ".github/ISSUE_TEMPLATE").iterdir()
    text = template.read_text(encoding="utf-8")
    for wanted in ("site.yml --check --diff", "haproxy_info", "HAProxy (`haproxy -v`", "distribution", "mesh_services"):
        assert wanted in text


def test_every_page_that_is_named_in_the_repository_exists():
    named = re.compile(r"\bdocs/[a-z-]+\.md\b")
    folders = (
        "playbooks",
        "roles",
        "group_vars",
        "inventory",
        "library",
        "action_plugins",
        "callback_plugins",
        "module_utils",
        "tests",
        "tools",
    )
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*")):
        if path.suffix in (".yml", ".py", ".j2"):
            for page in named.findall(path.read_text(encoding="utf-8")):
                assert (ROOT / page).exists(), (path, page)


def printed():
    """Return all texts that a run can print, without what varies in them."""
    for path in (
        path
        for folder in ("module_utils", "library", "action_plugins", "callback_plugins")
        for path in (ROOT / folder).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "\n" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    for path in YAML:
        yield " ".join(path.read_text(encoding="utf-8").split())


def test_the_table_of_messages_quotes_the_code_and_is_sorted():
    table = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
    texts = "\n".join(printed()).lower()

    def stands(part):
        """Return whether a fixed part of a message is in the code, in one string or at most two."""
        words = part.split(" ")
        halves = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(len(words))]
        return any(first in texts and second in texts for first, second in halves)

    parts = {part.strip(" .:;()'").lower() for message in rows for part in message.split("…")}
    assert len(rows) > 100
    assert [part for part in sorted(parts) if not stands(part)] == []
    assert rows == sorted(rows, key=lambda message: re.sub(r"[^a-z0-9 ]", "", message.lower()).split())


def test_every_play_runs_in_the_strategy_that_waves_need():
    """With another default strategy, run_once and any_errors_fatal do not hold."""
    files = [ROOT / "site.yml", *ROOT.glob("playbooks/*.yml")]
    plays = [(file.name, play) for file in files for play in yaml.safe_load(file.read_text()) if "hosts" in play]
    assert len(plays) > 10
    assert [(name, play["name"]) for name, play in plays if play.get("strategy") != "linear"] == []


def test_every_entry_point_that_a_playbook_calls_has_its_spec():
    called = set()
    for file in [ROOT / "site.yml", *ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml")]:
        text = file.read_text(encoding="utf-8")
        called |= set(re.findall(r"_role:\n +name: (\w+)\n +tasks_from: ([\w-]+)", text))
        called |= set(re.findall(r"\{role: (\w+), tasks: ([\w-]+)\}", text))
        called |= {
            (role, "main")
            for role in re.findall(r"\{role: (\w+)\}|_role:\n +name: (\w+)\n(?! +tasks_from)", text)
            for role in role
            if role
        }
    assert len(called) > 10
    for role, entry in sorted(called):
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
        assert entry in specs, (role, entry)
        assert all(re.match(rf"({role}|mesh|kernel|rollout)_", name) for name in specs[entry].get("options", {})), (
            role,
            entry,
        )
