"""Commands in processes of their own that need not import the libraries first.

One process for each run of the tests imports what most commands import, and forks once for each command. The command
then runs as `python -m serving.cli` does: its own modules are read anew, and it has its own streams, folder and
environment. What Python and the libraries read from the environment as they start cannot be changed by then, so a
command that is given such a variable is started from nothing.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

PROJECT = Path(__file__).parents[1]

_IMPORTED = """
    numpy scipy.optimize scipy.sparse scipy.special scipy.stats sklearn.feature_extraction.text sklearn.isotonic
    sklearn.linear_model sklearn.preprocessing joblib tokenizers safetensors.numpy threadpoolctl
    pydantic.main pydantic.fields pydantic.types pydantic.type_adapter pydantic.plugin._loader
    starlette.requests starlette.responses yaml httpx psutil platformdirs sqlite3
    typer rich.console rich.markdown rich.progress rich.table
    datasets jinja2 matplotlib.figure matplotlib.backends.backend_svg
"""
"""Libraries only, nothing of the project's; and none, as ONNX Runtime, whose threads a fork would wait for in vain."""

TORCH = "torch transformers peft"
"""What fine-tuning imports beside them, which takes longer than any tiny training."""

_AT_THE_START = ("PYTHON", "LC_", "LANG", "OMP_", "OPENBLAS_", "MKL_", "LD_", "HF_", "TZ")


def _at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_THE_START)}


class Commands:
    """Runs commands in forks of one process; to be closed.

    Args:
        also: names of further libraries that the process imports.
    """

    def __init__(self, also: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="stance-commands-")
        self._address = f"{self._folder.name}/socket"
        self._environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._address)
        listener.listen(16)
        # It lives as long as the other end of its input does.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.command_process", also, str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=PROJECT,
            env=self._environment,
            pass_fds=[listener.fileno()],
        )
        listener.close()

    def close(self) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def take(self, environment: Mapping[str, str]) -> bool:
        """Whether a command with this environment would run as it does from nothing."""
        return _at_the_start(environment) == _at_the_start(self._environment)

    def run(
        self, arguments: Sequence[str], stdin: str | None, cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """What `subprocess.run` gives for `stance` with these arguments.

        Raises:
            subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
        """
        asked = json.dumps({"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}).encode()
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            if stdin is not None:
                given.write(stdin.encode("utf8"))
                given.seek(0)
            streams = [0 if stdin is None else given.fileno(), out.fileno(), err.fileno()]
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(self._address)
                socket.send_fds(line, [len(asked).to_bytes(8, "big")], streams)
                line.sendall(asked)
                answers = line.makefile()
                pid = int(answers.readline())
                line.settimeout(timeout)
                try:
                    returncode = int(answers.readline())
                except BaseException as error:
                    os.kill(pid, signal.SIGKILL)
                    if isinstance(error, TimeoutError):
                        raise subprocess.TimeoutExpired(list(arguments), timeout) from None
                    raise
            return subprocess.CompletedProcess(list(arguments), returncode, _text(out), _text(err))


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return io.TextIOWrapper(stream, encoding="utf8").read()


class _InCommand(BaseException):  # no error
    """This is the process of a command, which is to run and end as any other."""


def _serve(listener: socket.socket) -> None:
    """Start what is asked for until the input ends.

    Raises:
        _InCommand: in each process that is started.
    """
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if listener not in ready:
            return
        line, _ = listener.accept()
        # Of the two, the first waits for the second, so that several commands can run at once.
        if os.fork() == 0:
            listener.close()
            _start(line)
        line.close()


def _start(line: socket.socket) -> NoReturn:
    length, streams, _, _ = socket.recv_fds(line, 8, 3)
    with line.makefile("rb") as stream:
        asked = json.loads(stream.read(int.from_bytes(length, "big")))
    pid = os.fork()
    if pid:
        line.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    line.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[1:] = asked["arguments"]
    sys.path[0] = asked["cwd"]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["numpy"].random.seed()  # otherwise all of them would draw the same
    raise _InCommand


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv.pop()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in [*_IMPORTED.split(), *sys.argv.pop().split()]:
        importlib.import_module(name)
    gc.freeze()
    try:
        _serve(listener)
    except _InCommand:
        runpy.run_module("serving.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
