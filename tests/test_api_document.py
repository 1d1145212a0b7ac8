"""What /docs.json promises is what is served: schemathesis asks what the document allows, and what it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from serving.job_records import Asked, open_jobs
from serving.keys import SCOPES, create_key
from serving.openapi import openapi_document
from serving.version import VERSION
from tests.conftest import bearer
from tests.test_serve_process import free_port, serving
from training.retraining_lock import retraining_lock

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    unsupported_method,
]
RUNS = [
    (path, method, mode)
    for path, operations in openapi_document(VERSION)["paths"].items()
    for method, operation in operations.items()
    if method != "parameters"
    for mode in GenerationMode
    # Where nothing is asked for, nothing can be wrong.
    if mode is GenerationMode.POSITIVE or "requestBody" in operation or "{" in path
]
EXAMPLES = 12
FEWER = {"/v1/retrain": 3}
"""Refusing a second retraining takes a second, in case the first is just ending."""


@dataclass(frozen=True)
class Served:
    schema: schemathesis.BaseSchema
    session: requests.Session
    key: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that holds a job, in which nothing new can be retrained, because a retraining runs already."""
    folder = tmp_path_factory.mktemp("served")
    home, port = folder / "home", free_port()
    key = create_key(home, "desk", SCOPES)
    with open_jobs(home) as jobs:
        jobs.add("job", Asked("desk", "labels of March"))
        jobs.end("job", "failed", error="nothing new to learn")
    environment = {"STANCE_HOME": str(home), "BENTOML_HOME": str(folder), "PROMETHEUS_MULTIPROC_DIR": str(folder / "m")}
    Path(environment["PROMETHEUS_MULTIPROC_DIR"]).mkdir()
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port)]
    with (
        retraining_lock(home),
        serving(command, port, folder / "log", environment) as address,
        requests.Session() as session,
    ):
        yield Served(schemathesis.openapi.from_url(f"{address}/docs.json"), session, key)


@pytest.mark.parametrize(("path", "method", "mode"), RUNS, ids=[f"{m} {p} {mode.value}" for p, m, mode in RUNS])
def test_the_service_keeps_to_its_document(served: Served, path: str, method: str, mode: GenerationMode) -> None:
    @seed(6)
    @settings(max_examples=FEWER.get(path, EXAMPLES), database=None, suppress_health_check=list(HealthCheck))
    @given(served.schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        response = case.call(session=served.session, headers=bearer(served.key))
        case.validate_response(response, checks=CHECKS)

    ask()
