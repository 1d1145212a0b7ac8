"""A retraining that is quick and does as it is told, in the place of the real one in every process of a job.

Python runs `sitecustomize` at its start, so a folder with one on PYTHONPATH reaches the job through the service that
starts it.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import PROJECT

_STUB = """
import os
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Retraining:
    new: tuple
    by: str
    why: str
    corpus: Any
    recipe: Any
    force: bool


def retrain(asked, home, progress=None, stage=None):
    stage("merging")
    if asked.why == "breaks":
        raise RuntimeError("the disk is on fire")
    if asked.why == "cannot":
        from labels.errors import StanceError
        raise StanceError("there is nothing to learn", hint="Send labels.")
    if asked.why == "talks":
        for number in range(120):
            print("line", number, flush=True)
    stage("training")
    for step in range(4):
        progress("epochs", step, 4)
    (home / "asked").write_text(repr(asked))
    if asked.why == "forks":
        if os.fork() == 0:
            (home / "child").write_text(str(os.getpid()))
            time.sleep(600)
        time.sleep(600)
    if asked.why in ("long", "stubborn"):
        command = [sys.executable, "-S", "-c", CHILD]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=asked.why == "stubborn")
        child.stdout.readline()
        (home / "child").write_text(str(child.pid))
        while not (home / "go on").exists():
            try:
                time.sleep(0.05)
            except SystemExit:
                if asked.why == "long":
                    (home / "cleared").touch()
                    raise
    progress("epochs", 4, 4)
    return {"version": "floor-1", "parent": None, "promoted": True, "forced": asked.force, "decision": {}}


# A child that does not stop by itself when it is asked to.
CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"

module = types.ModuleType("training.retraining")
module.Retraining, module.retrain = Retraining, retrain
sys.modules["training.retraining"] = module
"""


def stub_path(folder: Path) -> str:
    """A PYTHONPATH under which jobs do what their `why` says; see `retrain` above."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_STUB, encoding="utf8")
    return f"{folder}{os.pathsep}{PROJECT}"
