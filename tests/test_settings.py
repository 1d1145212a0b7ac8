"""Settings: each environment variable is documented, and read in one place."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labels.errors import StanceError
from labels.settings import (
    choice_setting,
    number_setting,
    path_setting,
    seconds_setting,
    switch_setting,
    text_setting,
)
from serving.rate_limits import rate_limit
from serving.turns import WAIT, longest_wait
from tests.conftest import PROJECT, run_stance
from training.runtime import asked_threads

READER = PROJECT / "labels" / "settings.py"
NAME = re.compile(r"STANCE_[A-Z_]+")
OTHERS = {"TERM", "PYTHONPATH", "PROMETHEUS_MULTIPROC_DIR"}
"""Variables that others define and code looks at where it needs them."""


def _sources() -> Iterator[Path]:
    for room in ("labels", "training", "serving"):
        yield from (PROJECT / room).rglob("*.py")


def test_every_variable_of_the_code_is_documented_and_the_other_way_round() -> None:
    known = {name for path in _sources() for name in NAME.findall(path.read_text(encoding="utf8"))}
    page = (PROJECT / "docs" / "settings.md").read_text(encoding="utf8")
    documented = re.findall(r"^\| `(STANCE_[A-Z_]+)` \|", page, re.M)
    assert len(known) > 10
    assert sorted(documented) == sorted(known)


def test_variables_are_read_in_one_place() -> None:
    for path in _sources():
        if path == READER:
            continue
        for name in _read(ast.parse(path.read_text(encoding="utf8"))):
            assert name in OTHERS, f"{path} reads {name}"


def _read(tree: ast.Module) -> Iterator[str]:
    """What is read of `os.environ`: the name where it is a string, else the code that gives it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
            asked = node.args[0]
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node.value) == "os.environ"
        ):
            asked = node.slice
        elif (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {alias.name for alias in node.names}
        ):
            yield "os.environ under another name"
            continue
        else:
            continue
        yield asked.value if isinstance(asked, ast.Constant) else ast.unparse(asked)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("STANCE_LONGEST_WAIT", "STANCE_RATE_LIMIT", "STANCE_THREADS", "STANCE_ANY"):
        monkeypatch.setenv(variable, "")
    assert (longest_wait(), rate_limit(), asked_threads()) == (WAIT, None, 0)
    assert text_setting("STANCE_ANY") is None
    assert path_setting("STANCE_ANY") is None
    assert choice_setting("STANCE_ANY", ("a", "b")) == "a"
    assert switch_setting("STANCE_ANY", default=True) is True


def test_what_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANCE_ANY", "0")
    assert switch_setting("STANCE_ANY", default=True) is False
    assert number_setting("STANCE_ANY", "things") == 0
    assert path_setting("STANCE_ANY") == Path("0")
    monkeypatch.setenv("STANCE_ANY", "0.5")
    assert seconds_setting("STANCE_ANY", 3) == 0.5


@pytest.mark.parametrize(
    ("read", "given"),
    [
        (lambda: switch_setting("STANCE_ANY", default=False), "true"),
        (lambda: number_setting("STANCE_ANY", "things"), "1.5"),
        (lambda: seconds_setting("STANCE_ANY", 3), "soon"),
        (lambda: choice_setting("STANCE_ANY", ("a", "b")), "c"),
    ],
)
def test_what_makes_no_sense_is_an_error_that_says_what_would(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], given: str
) -> None:
    monkeypatch.setenv("STANCE_ANY", given)
    with pytest.raises(StanceError, match=f"STANCE_ANY is '{given}'. Give "):
        read()


@pytest.mark.parametrize("variable", ["STANCE_THREADS", "STANCE_LOG", "STANCE_USAGE", "STANCE_SCORING_NEEDS_KEY"])
def test_serve_looks_at_all_of_them_before_it_starts(variable: str) -> None:
    done = run_stance("serve", **{variable: "perhaps"})
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {variable} is 'perhaps'")
    assert len(done.stderr.splitlines()) == 1
