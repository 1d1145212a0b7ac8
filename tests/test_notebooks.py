"""The notebooks run as they stand, without the corpus, and what is stored in them may be published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from labels.corpus import load_corpus, resolve
from labels.records import DEFAULT_LABELS, read_records
from labels.taxonomy import load_taxonomy
from tests.conftest import PROJECT

ON_ARTICLES = {"04-who-says-what"}
"""What these show is of the corpus, and nothing without it."""

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("0*.ipynb"))
ABOUT_THE_MODEL = {"02-model-and-errors", "03-feeds", "04-who-says-what"}
"""What these show changes with the model that ships, so it need not be what is stored."""


def _outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def _shown(notebook: Any) -> list[str]:
    """Everything that an output says in words: printed, or in a mime type of text."""
    shown: list[str] = []
    for output in _outputs(notebook):
        kinds = output.get("data", {})
        shown += [output.get("text", ""), *(kinds[kind] for kind in sorted(kinds) if kind.startswith("text/"))]
    return shown


def _displayed(notebook: Any) -> list[list[str]]:
    """The mime types of each output that is not merely printed."""
    return [sorted(output.data) for output in _outputs(notebook) if "data" in output]


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} > ABOUT_THE_MODEL


def test_it_runs_anywhere_without_the_corpus_and_says_what_is_stored(
    notebook: Any, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANCE_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("STANCE_CACHE", str(tmp_path))
    monkeypatch.delenv("STANCE_CORPUS", raising=False)
    stored, displayed = _shown(notebook), _displayed(notebook)
    _run(notebook, tmp_path)
    if path.stem in ON_ARTICLES:
        assert any("not at hand" in text for text in _shown(notebook))
    elif path.stem in ABOUT_THE_MODEL:
        assert _displayed(notebook) == displayed
    else:
        assert _shown(notebook) == stored, "run it again and store it: it shows other labels than there are"


@pytest.mark.parametrize("name", sorted(ON_ARTICLES))
def test_with_the_corpus_it_shows_what_is_stored(
    name: str, shared_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("STANCE_CORPUS", str(shared_corpus.resolve()))
    notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    displayed = _displayed(notebook)
    _run(notebook, tmp_path)
    assert _displayed(notebook) == displayed
    assert not any("not at hand" in text for text in _shown(notebook))


def _run(notebook: Any, folder: Path) -> None:
    # A cell that fails raises CellExecutionError here.
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    # Fonts that matplotlib looks up on its first run, and the like, are told on stderr.
    notebook.cells = [_without_stderr(cell) for cell in notebook.cells]


def _without_stderr(cell: Any) -> Any:
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return cell


def test_it_is_stored_executed_and_without_traces_of_a_machine(notebook: Any) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [
        output for output in _outputs(notebook) if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert notebook.metadata.kernelspec.name == "python3"
    assert not [cell.metadata for cell in notebook.cells if "execution" in cell.metadata]
    paths = r"(?<![\w.)/:])/(?:[\w.-]+/)+[\w.-]*|\b[A-Z]:\\|file://"
    assert [found for text in _shown(notebook) for found in re.findall(paths, text)] == []


@pytest.mark.parametrize("name", sorted(ABOUT_THE_MODEL))
def test_figures_of_a_model_are_computed_not_written(name: str) -> None:
    notebook = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4)
    prose = " ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"\d+ ?%|\d\.\d\d|\d,\d{3}", prose.replace("95% interval", "")) == []


def test_no_sentence_of_the_corpus_is_in_it(notebook: Any, shared_corpus: Path) -> None:
    taxonomy = load_taxonomy()
    records = read_records([DEFAULT_LABELS / f"{name}.jsonl" for name in ("news", "news-more", "seeds")], taxonomy)
    resolution = resolve(records, load_corpus(shared_corpus))
    assert len(resolution.sentences) == len(records)
    text = _words(" ".join([*_shown(notebook), *(cell.source for cell in notebook.cells)]))
    # A shorter one ("Sanctions work.") may be anybody's.
    wanted = {words for sentence in resolution.sentences if len(words := _words(sentence.text)) >= 40}
    assert [words for words in wanted if f" {words} " in f" {text} "] == []
