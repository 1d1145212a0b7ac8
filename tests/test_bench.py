"""`stance bench`: what it measures and prints; never how fast anything is."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import serving.bench.run
from serving.bench.aims import Aim
from serving.bench.arithmetic import multiply_adds
from serving.bench.rounds import Work, ratios, spread, take_turns
from serving.bench.stages import Stages
from serving.bench.texts import bench_texts, block_of
from serving.cli import main
from tests.conftest import PROJECT, run_stance
from tests.waiting import until
from training.encoder_packages import MINILM
from training.model_folder import load_model

TEXTS = [f"Envoy number {n} said that talks would resume{' in spring' * (n % 5)}." for n in range(90)]


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "feed.txt"
    path.write_text("\n".join(TEXTS))
    return path


@pytest.fixture(scope="module")
def figures(feed: Path) -> dict[str, Any]:
    done = run_stance("bench", "--quick", "--json", "--texts", feed, TMPDIR=str(feed.parent))
    assert done.returncode == 0, done.stderr
    assert not _services(feed.parent)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _services(folder: Path) -> set[int]:
    """Services that a `stance bench` with this folder for temporary files started, and that still run."""
    found = set()
    for process in psutil.process_iter(["environ"]):
        if f"{folder}/stance-bench-" in (process.info["environ"] or {}).get("STANCE_HOME", ""):
            found.add(process.pid)
    return found


def test_every_way_is_measured_on_the_same_texts(figures: dict[str, Any]) -> None:
    assert figures["model"] == load_model().version
    assert figures["texts"]["number"] == len(TEXTS)
    throughput = figures["throughput"]
    assert set(throughput) == {"raw", "raw_with_tokenising", "in_process", "fast_path", "http_64", "transformers"}
    assert throughput["fast_path"]["times_in_process"]["low"] > 0
    assert 0 <= throughput["fast_path"]["share"] <= 1
    assert throughput["raw"]["of_raw"] == {"median": 1, "low": 1, "high": 1}
    assert "skipped" in throughput["transformers"]
    for name in ("raw", "raw_with_tokenising", "in_process", "http_64"):
        for figure in throughput[name].values():
            assert 0 < figure["low"] <= figure["median"] <= figure["high"]
    for name in ("raw", "in_process", "http_1_client", "http_16_clients"):
        row = figures["single_text"][name]
        assert row["requests"] > 0
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
    crowd = figures["single_text"]["http_16_clients"]
    # Each of them asked in both rounds; on a busy machine some are told to come again.
    assert crowd["requests"] + crowd["refused"] >= 2 * 16
    assert 1 <= crowd["requests_a_turn"] <= 16
    assert 0 < figures["worker"]["megabytes"]["median"] <= figures["worker"]["peak_megabytes"]
    assert figures["worker"]["ready_seconds"]["low"] > 0


def test_aims_stand_beside_what_was_measured(figures: dict[str, Any]) -> None:
    values = [aim["value"] for aim in figures["aims"]]
    throughput = figures["throughput"]
    assert values[0] == throughput["in_process"]["of_raw"]["median"]
    assert values[1] == throughput["http_64"]["of_raw"]["median"]
    assert values[2] is None
    assert values[4:] == [figures["worker"]["peak_megabytes"], figures["worker"]["ready_seconds"]["median"]]
    for aim in figures["aims"]:
        assert (aim["least"] is None) != (aim["most"] is None)
        assert (aim["reached"] is None) == (aim["value"] is None)


def test_an_aim_is_reached_at_its_bound() -> None:
    least, most = Aim("a", 2.0, least=2.0), Aim("b", 2.0, most=2.0)
    assert least.reached is most.reached is True
    assert dataclasses.replace(least, value=1.99).reached is False
    assert dataclasses.replace(most, value=2.01).reached is False


def test_the_table_says_what_was_skipped_and_reached(
    figures: dict[str, Any], feed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What was measured once is printed; measuring it again would show the same.
    monkeypatch.setattr(serving.bench.run, "bench", lambda *given: figures)
    monkeypatch.setattr(signal, "signal", lambda *given: None)
    monkeypatch.setattr(sys, "argv", ["stance", "bench", "--quick", "--texts", str(feed)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert "[lowest–highest]" in shown
    lines = {line.strip().split("  ")[0]: line for line in shown.splitlines()}
    assert "skipped" in lines["transformers pipeline (torch)"]
    assert lines["ready after the command, s"].rstrip().endswith(("yes", "no"))
    assert "not measured" in lines["in process, times the transformers pipeline"]


def test_stopped_it_leaves_no_service_behind(feed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.cli", "bench", "--seconds", "500", "--texts", str(feed)]
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:

        def serves() -> bool:
            assert process.poll() is None
            return bool(_services(tmp_path))

        until(serves)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 130
    finally:
        process.kill()
    assert not _services(tmp_path)


def test_a_model_without_an_encoder_is_refused(meals_model: Path, feed: Path) -> None:
    done = run_stance("bench", "--quick", "--model", meals_model, "--texts", feed)
    assert done.returncode == 1
    assert "has no encoder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_sources_of_texts_are_too_many(feed: Path) -> None:
    assert run_stance("bench", "--texts", feed, "--corpus", feed.parent).returncode == 2


def test_texts_come_from_where_they_are_said_to_come_from(feed: Path, tmp_path: Path) -> None:
    assert sorted(bench_texts(feed, None)) == sorted(TEXTS)
    assert bench_texts(feed, None) == bench_texts(feed, None) != TEXTS
    (tmp_path / "001_note.txt").write_text("The mayor of the port spoke. Nobody at all listened to her.")
    pytest.importorskip("punkt")
    assert sorted(bench_texts(None, tmp_path)) == ["Nobody at all listened to her.", "The mayor of the port spoke."]
    assert len(bench_texts(None, None)) > 2000


@given(st.lists(st.text(), min_size=1, max_size=9), st.integers(0, 50), st.integers(0, 50))
def test_after_the_last_text_comes_the_first(texts: list[str], first: int, size: int) -> None:
    block = block_of(texts, first, size)
    assert block == (texts * (first + size + 1))[first : first + size]


def test_another_way_begins_in_each_round() -> None:
    order: list[str] = []

    def way(name: str) -> Any:
        def prepare(texts: list[str]) -> Work:
            assert texts == ["a"]
            return lambda: order.append(name)

        return prepare

    ways = {name: way(name) for name in "xyz"}
    for number in range(3):
        assert set(take_turns(ways, ["a"], number)) == set("xyz")
    assert "".join(order) == "xyzyzxzxy"


def test_ratios_are_taken_turn_by_turn() -> None:
    # A machine that grows ten times slower leaves the ratio as it is.
    slower = [100.0, 10.0, 1.0]
    assert ratios([2 * value for value in slower], slower) == spread([2.0, 2.0, 2.0])


@pytest.mark.parametrize("lengths", [[1], [7], [3, 11, 30]])
def test_operations_are_those_of_the_encoders_matrices(lengths: list[int]) -> None:
    weights = MINILM.weights()
    layers = [tensor for name, tensor in weights.items() if name.startswith("encoder.layer.") and tensor.ndim == 2]
    products = sum(tensor.size for tensor in layers) * sum(lengths)
    attention = 2 * MINILM.layers * MINILM.dimensions * sum(n * n for n in lengths)
    assert multiply_adds(MINILM, lengths) == products + attention


def test_the_pipeline_beside_has_the_same_weights() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from serving.bench.torch_pipeline import feature_pipeline

    encoder = load_model().estimator.encoder()
    assert encoder is not None
    texts = [*TEXTS[:3], "word " * 400]
    given_ = [tensor[0].numpy() for tensor in feature_pipeline(encoder)(texts)]
    mean = np.stack(
        [tokens[: len(each.ids)].mean(axis=0) for tokens, each in zip(given_, encoder.tokenize(texts), strict=True)]
    )
    ours = encoder.embed(texts)[:, : MINILM.dimensions]
    np.testing.assert_allclose(mean, ours, atol=1e-4)


@pytest.mark.parametrize("counted", [("scoring", "holders"), ("scoring",)])
def test_a_run_of_feeds_is_measured_step_by_step(counted: tuple[str, ...]) -> None:
    pytest.importorskip("reader")
    asked = "--holders" if "holders" in counted else "--no-holders"
    done = run_stance("bench", "feeds", "--articles", "6", "--feeds", "2", "--json", asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["articles"] == 6
    assert set(found["shares"]) > {"download", "extraction", "sentences", "scoring", "storing"}
    assert sum(found["shares"].values()) == pytest.approx(1, abs=0.01)
    assert all(share > 0 for share in found["shares"].values())
    assert found["articles_per_second"] == pytest.approx(6 / found["seconds"], rel=0.01)
    (aim,) = found["aims"]
    assert aim["value"] == pytest.approx(sum(found["shares"][stage] for stage in counted))
    assert ("holders" in found["shares"]) == ("holders" in counted)


def test_what_is_timed_within_a_step_counts_there_only() -> None:
    now = [0.0]

    class Work:
        def outer(self) -> str:
            now[0] += 1
            self.inner()
            self.inner()
            return "done"

        def inner(self) -> None:
            now[0] += 10

    stages = Stages(lambda: now[0])
    kept = Work.outer, Work.inner
    with stages.timing({"a": [(Work, "outer")], "b": [(Work, "inner")]}):
        assert Work().outer() == "done"
        thread = threading.Thread(target=Work().inner)
        thread.start()
        thread.join()
    assert stages.seconds == {"a": 1, "b": 20}
    assert (Work.outer, Work.inner) == kept


def test_runtimes_that_are_not_installed_are_left_out_with_a_word(feed: Path, tmp_path: Path) -> None:
    for name in ("openvino", "ctranslate2", "torch"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')\n")
    arguments = ["bench", "runtimes", "--texts", feed, "--rounds", "1", "--json"]
    done = run_stance(*arguments, PYTHONPATH=f"{tmp_path}:{PROJECT}")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["runtimes"]
    assert rows["OpenVINO float32"] == {"skipped": "openvino is not installed"}
    assert "skipped" in rows["torch float32"]
    ours = rows["ONNX Runtime float32"]
    assert ours["cosine"] == pytest.approx(1)
    assert ours["of_ours"]["median"] == 1
    assert ours["sentences_per_second"]["low"] > 0


def test_a_model_that_has_seen_all_cannot_say_what_a_runtime_loses(tmp_path: Path) -> None:
    labels = PROJECT / "labels" / "data" / "authored.jsonl"
    done = run_stance("bench", "runtimes", "--labels", labels)
    assert done.returncode == 1
    assert "trained on every training sentence" in done.stderr
