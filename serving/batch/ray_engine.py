"""Chunks scored by Ray Data: each worker is an actor that loads the model once and writes the parts itself.

Ray passes the places of chunks alone, never texts or scores. So all machines need the input, the folder of OUT and the
model's folder at the same paths (a shared file system), and this project installed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labels.errors import StanceError, needs_package
from serving.batch.engines import Engine
from serving.batch.survey import Chunk
from serving.batch.work import Job, Worker, read_mark
from training.outcomes import Progress
from training.runtime import THREADS_VARIABLE

_STORE_BYTES = 100 * 2**20
"""Of Ray's object store on this machine; places of chunks are all that goes there."""

_MOST_BLOCKS = 10_000


def ray_engine(workers: int | None, address: str | None) -> Engine:
    """Scores on a Ray cluster.

    Args:
        workers: actors, each with its own model; a core in two gets one where None.
        address: of a cluster that is there; None starts one on this machine, for this run.

    Raises:
        StanceError: Ray is not installed.
    """
    # It reports home otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its own account of actors that come and go; what ends a run is raised here.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise needs_package("--engine ray", error.name, "ray") from error

    def run(job: Job, chunks: Sequence[Chunk], progress: Progress) -> None:
        with _cluster(workers, address) as cores:
            number = workers or max(1, cores // 2)
            _run(job, chunks, number, max(1, cores // number), progress)

    return run


class ChunkScorer:
    """The actor."""

    def __init__(self, job: Job, threads: int) -> None:
        os.environ[THREADS_VARIABLE] = str(threads)
        self._job, self._worker = job, Worker(job)

    def __call__(self, batch: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
        for values in zip(*(batch[name].tolist() for name in ("number", "start", "end", "rows")), strict=True):
            chunk = Chunk(*values)
            # Done by a worker that was lost before it could say so.
            if read_mark(self._job, chunk.number) is None:
                self._worker.score(chunk)
        return {"rows": batch["rows"]}


@contextmanager
def _cluster(workers: int | None, address: str | None) -> Iterator[int]:
    """Connected to a cluster, of so many cores."""
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            cores = max(os.cpu_count() or 1, workers or 1)
            ray.init(
                "local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                **quiet,
            )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise StanceError(f"the Ray cluster cannot be reached: {error}", hint="See --ray-address.") from error
    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield int(resources.get("CPU", 1))
    finally:
        ray.shutdown()


def _run(job: Job, chunks: Sequence[Chunk], workers: int, threads: int, progress: Progress) -> None:
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    total, done = sum(chunk.rows for chunk in chunks), 0
    places = ray.data.from_items(
        [asdict(chunk) for chunk in chunks], override_num_blocks=min(len(chunks), _MOST_BLOCKS)
    )
    scored = places.map_batches(
        ChunkScorer,
        fn_constructor_args=(job, threads),
        compute=ActorPoolStrategy(size=min(workers, len(chunks))),
        num_cpus=threads,
        batch_size=1,
    )
    try:
        for row in scored.iter_rows():
            done += int(row["rows"])
            progress("scoring", done, total)
    except ray.exceptions.RayError as error:
        raise StanceError(f"a worker gave up: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What went wrong, in a line: the last of the first account that says anything, as tracebacks have it."""
    following: BaseException | None = error
    while following is not None:
        if lines := str(following).strip().splitlines():
            return lines[-1].strip()
        following = following.__cause__
    return repr(error)
