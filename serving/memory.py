"""How much memory processes take."""

from __future__ import annotations

import contextlib
from pathlib import Path


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
