"""`stance batch score --engine ray`: the same rows, whoever scores them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import serving.batch.ray_engine
import serving.batch.survey
import serving.scoring
from labels.errors import StanceError
from serving.batch.engines import Engine
from serving.batch.run import Request, score_file
from tests.conftest import run_stance, write_lines
from training.model_folder import Model

pytest.importorskip("ray")

from serving.batch.ray_engine import ChunkScorer, ray_engine
from serving.batch.work import Job

pytestmark = pytest.mark.slow

UNROUNDED = 15

SENTENCES = [
    "The minister said that sanctions must stay until the last warhead is gone.",
    "Seoul offered to halt the drills.",
    "Snow fell on the capital.",
    "Talks without conditions are a trap, a senator warned, and nobody in the alliance should walk into it again.",
]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def _actors() -> list[psutil.Process]:
    """Processes that score: Ray names them after what they do."""
    found = []
    for process in psutil.Process().children(recursive=True):
        # Others of Ray's processes come and go.
        with suppress(psutil.Error):
            if "".join(process.cmdline()[:1]).startswith("ray::MapWorker"):
                found.append(process)
    return found


def test_two_workers_of_which_one_is_killed_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.batch.survey, "CHUNK_ROWS", 8)
    # Compared as they are before they are rounded; the class goes to the workers with all that it holds.
    monkeypatch.setattr(serving.scoring, "DECIMALS", UNROUNDED)

    class Unrounded(ChunkScorer):
        def __init__(self, job: Job, threads: int) -> None:
            serving.scoring.DECIMALS = UNROUNDED
            super().__init__(job, threads)

    monkeypatch.setattr(serving.batch.ray_engine, "ChunkScorer", Unrounded)
    rows = [{"id": n, "text": f"{SENTENCES[n % 4]} {n}"} for n in range(160)]
    source = write_lines(tmp_path / "in.jsonl", [*rows, {"text": None}])
    local = score_file(Request(source, tmp_path / "local.jsonl"), lambda what, done, total: None)
    killed: list[int] = []

    def kill_one(what: str, done: int, total: int) -> None:
        if what == "scoring" and not killed:
            assert done < total
            actor = _actors()[0]
            actor.kill()
            killed.append(actor.pid)

    ray = score_file(Request(source, tmp_path / "ray.jsonl"), kill_one, lambda model: ray_engine(2, None))
    assert killed
    for name in ("rows", "bad", "written", "truncated", "model"):
        assert ray[name] == local[name]
    found, wanted = _lines(tmp_path / "ray.jsonl"), _lines(tmp_path / "local.jsonl")
    assert [row["id"] for row in found] == [row["id"] for row in wanted] == list(range(160))
    digits: set[int] = set()
    for row, other in zip(found, wanted, strict=True):
        for target, answer in row["targets"].items():
            given = other["targets"][target]
            assert (answer["label"], answer["abstained"]) == (given["label"], given["abstained"])
            assert answer["probabilities"] == pytest.approx(given["probabilities"], abs=1e-6, rel=0)
            assert answer["score"] == pytest.approx(given["score"], abs=1e-6, rel=0)
            digits |= {len(repr(value)) for value in answer["probabilities"].values()}
    assert max(digits) > len("0.123456")


def test_the_command_writes_the_same_file(meals_model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"text": f"Lunch number {n} is free."} for n in range(50)])
    asked = ["--model", meals_model, "--engine", "ray", "--workers", "1", "--json"]
    done = run_stance("batch", "score", source, tmp_path / "out.parquet", *asked)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["written"] == 50
    local = run_stance("batch", "score", source, tmp_path / "local.parquet", "--model", meals_model)
    assert local.returncode == 0, local.stderr
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "local.parquet").read_bytes()


def test_what_stops_a_worker_is_said(meals_model: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"text": "Lunch is free."}])

    def engine(model: Model) -> Engine:
        source.unlink()
        return ray_engine(1, None)

    with pytest.raises(StanceError, match="is not there"):
        score_file(Request(source, tmp_path / "out.jsonl", model=meals_model), lambda what, done, total: None, engine)
    assert not (tmp_path / "out.jsonl").exists()
