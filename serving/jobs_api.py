"""`POST /v1/retrain` and `/v1/jobs`: retrainings over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.access import holder_of
from serving.bodies import SHOWN, parsed
from serving.errors import RequestError
from serving.job_records import Asked, Job
from serving.jobs import cancel_job, job_of, latest_jobs, log_tail, running_job, start_job
from serving.schema import RetrainRequest
from training.home import home_folder
from training.recipes import recipe_names
from training.retraining_lock import RetrainingRunsError

RETRAIN_PATH = "/v1/retrain"
JOBS_PATH = "/v1/jobs"

Answer = TypeVar("Answer")


def job_routes() -> list[Route]:
    """The routes; what they do waits for disks and processes, and is done in threads."""
    return [
        Route(RETRAIN_PATH, _retrain, methods=["POST"]),
        Route(JOBS_PATH, _list),
        Route(f"{JOBS_PATH}/{{id}}", _show),
        Route(f"{JOBS_PATH}/{{id}}", _cancel, methods=["DELETE"]),
    ]


async def _retrain(request: Request) -> Response:
    holder, body = holder_of(request), await request.body()
    job = await run_in_threadpool(_start, body, holder, home_folder())
    return JSONResponse(job, status_code=202, headers={"Location": f"{JOBS_PATH}/{job['id']}"})


async def _list(request: Request) -> Response:
    holder_of(request)
    jobs = await run_in_threadpool(latest_jobs, home_folder())
    return JSONResponse({"jobs": [_summary(job) for job in jobs]})


async def _show(request: Request) -> Response:
    holder_of(request)
    return JSONResponse(await run_in_threadpool(_known, _seen, request.path_params["id"]))


async def _cancel(request: Request) -> Response:
    holder_of(request)
    return JSONResponse(await run_in_threadpool(_known, _cancelled, request.path_params["id"]))


def _start(body: bytes, holder: str, home: Path) -> dict[str, Any]:
    asked = parsed(RetrainRequest, body, {})
    # A name, never a path: what the service reads is not for its clients to choose.
    if asked.recipe is not None and asked.recipe not in recipe_names():
        raise RequestError(
            400,
            f"no recipe '{asked.recipe[:SHOWN]}'; there are {', '.join(recipe_names())}",
            code="unknown_recipe",
            field="recipe",
        )
    try:
        job = start_job(home, Asked(holder, asked.why, asked.recipe, asked.force))
    except RetrainingRunsError:
        running = running_job(home)
        named = f"job '{running.id}' is running" if running else "one runs that was started from the command line"
        raise RequestError(409, f"one retraining at a time: {named}", code="retraining_runs") from None
    return _detail(job, home)


def _seen(job_id: str, home: Path) -> dict[str, Any]:
    return _detail(job_of(home, job_id), home)


def _cancelled(job_id: str, home: Path) -> dict[str, Any]:
    job = job_of(home, job_id)
    if not job.ended:
        job = cancel_job(home, job_id)
        if job.state == "cancelled":
            return _detail(job, home)
    raise RequestError(409, f"job '{job.id}' has ended: {job.state}", code="job_ended")


def _known(act: Callable[[str, Path], Answer], job_id: str) -> Answer:
    try:
        return act(job_id, home_folder())
    except KeyError:
        raise RequestError(404, f"no job '{job_id[:SHOWN]}'") from None


def _summary(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "stage": job.stage,
        "progress": job.progress and asdict(job.progress),
        **asdict(job.asked),
        "asked_at": job.asked_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "decision": job.decision,
        "error": job.error,
    }


def _detail(job: Job, home: Path) -> dict[str, Any]:
    return {**_summary(job), "log": log_tail(home, job.id)}
