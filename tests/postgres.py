"""A PostgreSQL server of the tests' own, from Debian's packages, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

_DEBIAN = Path("/usr/lib/postgresql")


def _programs() -> Path:
    folders = sorted(_DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("needs PostgreSQL: apt-get install postgresql")


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server that listens on a socket of its own, without the name of a database.

    It refuses to run as root, so then it runs as the user that Debian's package makes.
    """
    programs = _programs()
    user = "postgres" if os.getuid() == 0 else None
    # Not pytest's own folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="stance-pg-"))
    if user:
        shutil.chown(folder, user, user)
    data, log = folder / "data", folder / "log"
    as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
    made = subprocess.run(
        [programs / "initdb", "-D", data, "-U", "stance", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **as_user,  # type: ignore[call-overload]
    )
    assert made.returncode == 0, made.stderr
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with log.open("w") as stream:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], stdout=stream, stderr=stream, cwd=folder, **as_user
        )
    try:
        for _ in range(600):
            with suppress(psycopg.OperationalError), psycopg.connect(f"postgresql://stance@/postgres?host={folder}"):
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        else:
            pytest.fail(f"not ready: {log.read_text()}")
        yield f"postgresql://stance@/{{}}?host={folder}"
    finally:
        # At once: nothing of it is wanted any more.
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
