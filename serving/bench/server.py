"""A service of its own process to measure: started on a free port of loopback, stopped by its process id."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from labels.errors import StanceError
from serving.access import SCORING_VARIABLE
from serving.child_path import PROJECT, child_path
from serving.memory import peak_bytes
from training.home import HOME_VARIABLE
from training.model_folder import MODEL_VARIABLE

PATIENCE = 120.0
"""Seconds within which a service must be ready."""


@dataclass(frozen=True)
class Server:
    """A running service.

    Attributes:
        port: on 127.0.0.1.
        pid: of the process that was started.
        ready_seconds: from the command to the first answer 200 of `/readyz`.
    """

    port: int
    pid: int
    ready_seconds: float

    def worker_memory(self) -> tuple[float, float]:
        """Memory of the worker now and at most so far, in millions of bytes.

        The worker is the largest of the service's processes. Where the system keeps no peak (it does on Linux), the
        second figure is the first.
        """
        processes = [psutil.Process(self.pid)]
        processes += processes[0].children(recursive=True)
        sizes = {process.pid: process.memory_info().rss for process in processes if process.is_running()}
        worker = max(sizes, key=lambda pid: sizes[pid])
        return sizes[worker] / 1e6, max(sizes[worker], peak_bytes(worker)) / 1e6


@contextlib.contextmanager
def running(model: Path) -> Iterator[Server]:
    """A service of that model, with an empty home folder of its own; it is gone when the block ends.

    Raises:
        StanceError: it ended or was not ready in time; the end of its log is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="stance-bench-") as name:
        folder = Path(name)
        (folder / "metrics").mkdir()
        port = free_port()
        command = [sys.executable, "-m", "serving.cli", "serve", "--model", str(model), "--port", str(port)]
        log = folder / "log"
        with log.open("wb") as stream:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=PROJECT, env=_environment(folder), stdout=stream, stderr=stream, start_new_session=True
            )
        try:
            _wait_until_ready(process, port, log)
            yield Server(port, process.pid, time.perf_counter() - began)
        finally:
            _stop(process)


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in (SCORING_VARIABLE, MODEL_VARIABLE)}
    return kept | {
        "PYTHONPATH": child_path(),
        HOME_VARIABLE: str(folder / "home"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
        "BENTOML_DO_NOT_TRACK": "True",
    }


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    # No proxy stands between this process and loopback, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    said = log.read_text(encoding="utf8", errors="replace").strip()[-500:]
    ended = f"ended with exit code {process.returncode}" if process.poll() is not None else "was not ready in time"
    raise StanceError(f"the service {ended}: {said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = []
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # Workers end with the process that started them; one that has not is ended here.
    for left in psutil.wait_procs(family, timeout=5)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
