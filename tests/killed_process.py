"""A process that is killed at a chosen step of what it does to files and databases: parts of the tests' drivers."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Steps:
    """What is written to a file or asked of a database, by any thread.

    Args:
        last: how many steps are made before the process kills itself; None: it does not.
    """

    def __init__(self, last: int | None) -> None:
        self.last, self.names, self._lock = last, list[str](), threading.Lock()

    def take(self, name: str) -> None:
        with self._lock:
            if len(self.names) == self.last:
                os.write(1, (json.dumps({"killed at": name}) + "\n").encode())
                os.kill(os.getpid(), signal.SIGKILL)
            self.names.append(name)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """For `sys.addaudithook`."""
        if name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
            self.take("open")
        elif name in ("os.rename", "os.mkdir", "os.remove"):
            self.take(name)


def in_a_process(what: Callable[[], Any]) -> tuple[int, Any]:
    """How a fork of this process ended (as `os.waitpid` says), and what the function gave in it; None where nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, json.dumps(what()).encode())
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    return os.waitpid(child, 0)[1], json.loads(said) if said else None


def driven(driver: str, folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """What a driver says, a JSON object a line; it is given the arguments and a seed."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    (folder / "driver.py").write_text(driver)
    # What is killed at any moment would leave halves of coverage's own files too, and wait for them.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        list(map(str, [sys.executable, folder / "driver.py", *arguments, seed])),
        cwd=PROJECT,
        env={**inherited, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]
