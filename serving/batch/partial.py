"""What lies beside OUT: `OUT.partial/` while it is made, `OUT.about.json` and `OUT.bad.jsonl` when it is there.

`OUT.partial/plan.json` says what OUT is made from; parts lie in a folder that is called after it, so that a process
that was left over from another run cannot write among them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labels.errors import StanceError
from labels.file_lock import file_lock
from labels.files import sync, write_whole

Plan = Mapping[str, str]
"""What decides the rows of OUT: name → value, for people to compare."""


@dataclass(frozen=True)
class Beside:
    """The places beside OUT."""

    out: Path

    @property
    def partial(self) -> Path:
        return self.out.with_name(f"{self.out.name}.partial")

    @property
    def plan(self) -> Path:
        return self.partial / "plan.json"

    @property
    def about(self) -> Path:
        return self.out.with_name(f"{self.out.name}.about.json")

    @property
    def bad(self) -> Path:
        return self.out.with_name(f"{self.out.name}.bad.jsonl")

    def parts(self, plan: Plan) -> Path:
        """The folder of the parts of this plan."""
        digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
        return self.partial / digest[:16]


def alone(beside: Beside) -> AbstractContextManager[int]:
    """Nobody else writes to OUT while the block runs.

    Raises:
        StanceError: somebody does, or the folder cannot be written.
    """
    path = beside.out.with_name(f"{beside.out.name}.lock")
    held = StanceError("another run writes it", path=beside.out, hint="Wait for its end.")
    return file_lock(path, held, stays=False)


def complete(beside: Beside, plan: Plan) -> dict[str, Any] | None:
    """What is known of OUT where it is there already, made by the same plan; None where it is still to be made.

    Raises:
        StanceError: OUT, or what was begun of it, is of another plan, or of no plan that is known.
    """
    begun = _read(beside.plan)
    if begun is not None:
        _check_same(begun, plan, beside.partial)
        return None
    if not beside.out.exists():
        return None
    about = _read(beside.about)
    if about is None:
        raise StanceError(
            "exists, and nothing says what it was made from",
            path=beside.out,
            hint="Name another file, or write it anew with --restart.",
        )
    _check_same(about["made_from"], plan, beside.out)
    # A run that was killed while it tidied up.
    shutil.rmtree(beside.partial, ignore_errors=True)
    return dict(about)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StanceError(f"cannot be read: {error}", path=path, hint="Begin anew with --restart.") from error


def _check_same(before: Plan, now: Plan, path: Path) -> None:
    differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if differing:
        said = "; ".join(f"{name}: {before.get(name)} there, {now.get(name)} now" for name in differing)
        raise StanceError(
            f"was made from something else ({said})",
            path=path,
            hint="Name another file, or throw that away with --restart.",
        )


def begin(beside: Beside, plan: Plan, restart: bool) -> Path:
    """The folder of parts, with those that are there already.

    Args:
        beside: where.
        plan: see `Plan`.
        restart: whether what is there is thrown away.
    """
    try:
        if restart or not beside.plan.exists():
            shutil.rmtree(beside.partial, ignore_errors=True)
        parts = beside.parts(plan)
        parts.mkdir(parents=True, exist_ok=True)
        if not beside.plan.exists():
            write_whole(beside.plan, json.dumps(plan, indent=2))
        for left_over in parts.glob(".*"):
            left_over.unlink()
        return parts
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=beside.partial) from error


def finish(beside: Beside, fresh: Path, bad: Path | None, about: Mapping[str, Any]) -> None:
    """Put what is whole in its place, OUT last, and tidy up.

    Whenever this is broken off, either the plan is still there and it is done again, or OUT is there with what is known
    of it.
    """
    try:
        put_bad(beside, bad)
        # Made within the folder that is cleared whatever happens, as is all that might be left half-written.
        kept = beside.partial / "about.json"
        write_whole(kept, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
        os.replace(kept, beside.about)
        _sync_all(fresh)
        if beside.out.is_dir():
            shutil.rmtree(beside.out)
        os.replace(fresh, beside.out)
        sync(beside.out.parent)
        beside.plan.unlink()
        shutil.rmtree(beside.partial)
    except OSError as error:
        raise StanceError(f"cannot be written: {error.strerror}", path=beside.out) from error


def put_bad(beside: Beside, bad: Path | None) -> None:
    """The bad rows in their place; none where None."""
    if bad is None:
        beside.bad.unlink(missing_ok=True)
        return
    # Copied: what was begun keeps its own.
    write_beside = beside.partial / "bad.jsonl"
    shutil.copyfile(bad, write_beside)
    sync(write_beside)
    os.replace(write_beside, beside.bad)


def _sync_all(path: Path) -> None:
    for each in [*(path.rglob("*") if path.is_dir() else ()), path]:
        sync(each)
