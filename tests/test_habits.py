"""What a maintainer relies on daily: one version, targets of make, hooks, templates."""

from __future__ import annotations

import re
import subprocess

import yaml

from serving.version import VERSION
from tests.conftest import PROJECT


def test_the_version_stands_in_one_place_and_in_the_changelog() -> None:
    changes = (PROJECT / "CHANGELOG.md").read_text(encoding="utf8")
    assert re.findall(r"^## \[([\d.]+)\]", changes, re.M)[0] == VERSION
    for room in ("labels", "training", "serving"):
        for path in (PROJECT / room).rglob("*.py"):
            assert path.name == "version.py" or f'"{VERSION}"' not in path.read_text(encoding="utf8"), path


def test_make_says_what_there_is() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf8")
    done = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, check=True)
    told = re.findall(r"^  make (\w+) +\S", done.stdout, re.M)
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    assert {"serve", "test", "fast", "lint", "types", "docs", "bench", "report", "coverage"} <= set(told)
    assert set(told) <= set(phony[1].split())


def test_hooks_are_the_checks_of_make_and_fetch_nothing() -> None:
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf8"))
    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}
    makefile = (PROJECT / "Makefile").read_text(encoding="utf8")
    for hook in hooks["repos"][0]["hooks"][:3]:
        assert f"$(BIN)/{hook['entry'].removesuffix(' --force-exclude').removesuffix(' --check')}" in makefile


def test_templates_of_issues_can_be_read() -> None:
    for path in (PROJECT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf8"))
        assert path.name == "config.yml" or {"name", "description", "body"} <= set(form), path
