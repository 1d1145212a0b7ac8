"""What holds the code together: one direction of imports, no pickle, versions in one place."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.conftest import PROJECT

ROOMS = ("labels", "training", "serving")


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            yield path, ast.parse(path.read_text(encoding="utf8"))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""


def test_imports_point_one_way() -> None:
    for path, tree in _modules():
        room = ROOMS.index(path.relative_to(PROJECT).parts[0])
        for name in _imported(tree):
            assert name.split(".")[0] not in ROOMS[room + 1 :], f"{path} imports {name}"


def test_nothing_can_load_a_pickle() -> None:
    for path, tree in _modules():
        names = set(_imported(tree))
        assert not names & {"pickle", "cloudpickle", "dill", "shelve", "marshal"}, path
        # joblib runs things side by side here; its load and dump are pickles.
        assert "joblib.load" not in path.read_text(encoding="utf8")


def test_no_code_names_a_target() -> None:
    targets = yaml.safe_load((PROJECT / "labels" / "targets.yaml").read_text())["targets"]
    for path, tree in _modules():
        constants = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        # Examples in the OpenAPI document are for people to read.
        if path.name != "schema.py":
            assert not set(targets) & constants, path


def test_modules_and_functions_fit() -> None:
    """Lines of a function are counted without its docstring."""
    for path, tree in _modules():
        assert len(path.read_text(encoding="utf8").splitlines()) <= 400, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0]
                said = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
                assert (node.end_lineno or 0) - node.lineno + 1 - said <= 60, f"{path}: {node.name}"


def test_what_is_public_says_what_it_is() -> None:
    for path, tree in _modules():
        assert ast.get_docstring(tree), path
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.name.startswith("_") or ast.get_docstring(node), f"{path}: {node.name}"


def test_the_page_on_architecture_names_what_there_is() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf8")
    drawing = page.split("```")[1]
    known = {path.stem for room in ROOMS for path in (PROJECT / room).rglob("*.py")}
    known |= {path.name for room in ROOMS for path in (PROJECT / room).rglob("*") if path.is_dir()}
    for name in re.findall(r"\b[a-z]+_[a-z_]+\b", drawing):
        assert name in known, name
    for name in re.findall(r"`([\w/]+\.(?:py|yaml|md|toml)|(?:labels|training|serving|tests)/[\w/]*)`", page):
        below = [PROJECT, *(PROJECT / room for room in ("serving/batch", "serving/feeds"))]
        assert any((folder / name).exists() for folder in below), name
    for dotted in re.findall(r"`((?:labels|training|serving)\.[a-z_.]+)`", page):
        assert _is_there(dotted.split(".")), dotted


def _is_there(parts: list[str]) -> bool:
    """Whether a dotted name is of a module, or of a function or class at its top."""
    if PROJECT.joinpath(*parts).with_suffix(".py").exists():
        return True
    module = PROJECT.joinpath(*parts[:-1]).with_suffix(".py")
    return module.exists() and any(
        getattr(node, "name", None) == parts[-1] for node in ast.parse(module.read_text(encoding="utf8")).body
    )


def test_the_bento_takes_the_pinned_versions_of_the_dependencies() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", (PROJECT / "constraints.txt").read_text().lower(), re.M))
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.match(r"[\w.-]+", requirement.lower())[0] for requirement in wanted]  # type: ignore[index]
    packages = yaml.safe_load((PROJECT / "bentofile.yaml").read_text())["python"]["packages"]
    assert packages == [f"{name}=={pinned[name]}" for name in names]


def test_constraints_hold_names_and_versions_only() -> None:
    for line in (PROJECT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"#.*|[\w.-]+==[\w.!+-]+", line), line


def test_an_installed_package_has_the_files_that_the_code_reads() -> None:
    given = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*"):
            # Two are for building a container, from the project's folder.
            for_containers = ("install-encoder.sh", "container.Dockerfile.j2")
            if path.is_dir() or path.suffix in (".py", ".pyc") or path.name in for_containers:
                continue
            inside = path.relative_to(PROJECT / room)
            assert any(inside.match(pattern) for pattern in given[room]), path


def test_what_serves_loads_nothing_that_only_training_needs() -> None:
    """Each of these takes seconds of the start, and tens of megabytes in every worker."""
    code = "import sys, serving.service, serving.live_model as l; l.first_live(l.Path('.')); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"sklearn", "scipy", "pandas", "joblib", "torch", "transformers", "datasets", "matplotlib"}
    assert not heavy & set(done.stdout.split())
