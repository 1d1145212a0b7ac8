"""The notebook that plays labelling through: it runs, and what it shows holds no sentence."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from labels.records import DEFAULT_LABELS
from tests.conftest import PROJECT

NOTEBOOK = PROJECT / "notebooks" / "what-to-label-next.ipynb"


def _shown(notebook: nbformat.NotebookNode) -> str:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or json.dumps(output.get("data", {})) for output in outputs)


def test_it_was_run_from_top_to_bottom_and_shows_no_sentence() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = _shown(notebook)
    assert "image/png" in shown
    lines = (DEFAULT_LABELS / "authored.jsonl").read_text(encoding="utf8").splitlines()
    assert not [text for line in lines if (text := json.loads(line)["text"]) in shown or text[:40] in shown]
    assert str(PROJECT.parent) not in NOTEBOOK.read_text(encoding="utf8")


def test_it_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "STANCE_NOTEBOOK_SIZE": "small",
        "PYTHONPATH": str(PROJECT),
        "IPYTHONDIR": str(tmp_path),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = _shown(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    shown = _shown(notebook)
    assert "image/png" in shown
    assert sum(line.endswith(("better", "worse", "no difference shown")) for line in shown.splitlines()) == 8
    assert shown != before
