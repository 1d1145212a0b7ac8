"""`stance score` and `serve`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from labels.errors import StanceError
from labels.settings import path_setting
from serving.commands.console import (
    Fast,
    Json,
    ModelInUse,
    app,
    check_targets,
    err,
    example,
    model_in_use,
    out,
    print_json,
    progress,
)
from serving.schema import MAX_PROPOSITION_CHARACTERS
from serving.sentences import read_sentences
from training.outcomes import Progress

Scored = Callable[[Sequence[str], Progress], list[dict[str, Any]]]
"""Texts to their answers."""


@app.command(
    epilog=example(
        'stance score "Seoul offered to halt the drills."', "stance score --file feed.jsonl --json > scores.jsonl"
    )
)
def score(
    text: Annotated[str | None, typer.Argument(help="A text, or - for lines on standard input.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help='JSONL ({"text", optional "id"}), or plain text, a sentence a line.')
    ] = None,
    model: ModelInUse = None,
    url: Annotated[
        str | None, typer.Option(help="Ask the running service at this address; a key comes from STANCE_KEY.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Only this target; may be repeated.")] = None,
    proposition: Annotated[
        list[str] | None,
        typer.Option(
            "--proposition", help="An issue without labels, as a sentence to be for or against; may be repeated."
        ),
    ] = None,
    fast: Fast = False,
    as_json: Json = False,
) -> None:
    """Score texts: a line out for each text in, in the same order."""
    if (text is None) == (file is None):
        raise typer.BadParameter("give a text, - for standard input, or --file FILE")
    if url and model:
        raise typer.BadParameter("give --model or --url: a service has its own model")
    if url and fast:
        raise typer.BadParameter("--fast is for scoring in this process; leave out --url")
    for words in proposition or ():
        if not words.strip() or len(words) > MAX_PROPOSITION_CHARACTERS:
            raise typer.BadParameter(f"--proposition is a sentence of at most {MAX_PROPOSITION_CHARACTERS} characters")
    scored = _by_service(url, target, proposition) if url else _in_process(model, target, proposition, fast)
    sentences = read_sentences(text, file)
    with progress() as report:
        results = scored([sentence.text for sentence in sentences], report)
    for sentence, result in zip(sentences, results, strict=True):
        if as_json:
            print_json({**sentence.identity, **result})
        else:
            _print_readable(sentence.text, result)


def _in_process(model: Path | None, targets: list[str] | None, propositions: list[str] | None, fast: bool) -> Scored:
    from serving.scoring import score_propositions, score_texts
    from training.model_folder import load_model
    from training.relation_model import load_relation_model

    trained = load_model(model_in_use(model))
    check_targets(targets, trained.taxonomy.ids)
    relations = load_relation_model() if propositions else None

    def scored(texts: Sequence[str], report: Progress) -> list[dict[str, Any]]:
        results = score_texts(trained, texts, targets or None, report, fast=fast)
        if relations and propositions:
            found = score_propositions(relations, texts, propositions, report)
            results = [{**result, "propositions": answers} for result, answers in zip(results, found, strict=True)]
        return results

    return scored


def _by_service(url: str, targets: list[str] | None, propositions: list[str] | None) -> Scored:
    from serving.client import StanceClient

    client = StanceClient(url)
    return lambda texts, report: client.score(texts, targets or None, report, propositions=propositions)


def _print_readable(text: str, result: dict[str, Any]) -> None:
    out.print(text, style="bold", markup=False)
    # Where "unrelated" is not sure, neither is that nothing was touched.
    shown = {k: v for k, v in result["targets"].items() if v["label"] != "unrelated" or v["abstained"]}
    for target_id, answer in shown.items():
        _print_answer(f"{target_id:<26}", answer)
    if not shown:
        out.print("  touches none of the targets")
    for answer in result.get("propositions", ()):
        out.print(f"  {answer['proposition']} (zero-shot)", markup=False)
        _print_answer(" " * 26, answer)
    if result.get("path") == "fast":
        out.print("  answered by the fast path")
    if result["truncated"]:
        out.print("  only its beginning was read: the text is longer than the model takes")


def _print_answer(what: str, answer: dict[str, Any]) -> None:
    share = answer["probabilities"][answer["label"]]
    unsure = "   not sure enough" if answer["abstained"] else ""
    out.print(
        f"  {what} {answer['label']:<10} score {answer['score']:+.2f}   p {share:.2f}{unsure}",
        markup=False,
    )


@app.command(epilog=example("stance serve", "stance serve --model models/mine --port 8080"))
def serve(
    model: Annotated[
        Path | None, typer.Option("--model", help="Model folder to serve. Default: STANCE_MODEL, else the champion.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """Serve over HTTP until it is stopped (Ctrl-C, or SIGTERM to this process).

    Without --model: the champion of the registry, and whichever becomes champion meanwhile; the model that ships where
    there is none. On another address than that of this machine itself, scoring too needs a key (`stance keys create`).
    """
    from serving.access import SCORING_VARIABLE, is_loopback
    from serving.keys import read_keys
    from serving.live_model import first_live
    from training.home import home_folder
    from training.model_folder import MODEL_VARIABLE

    if model:
        os.environ[MODEL_VARIABLE] = str(model.resolve())
    _check_settings()
    if not is_loopback(host):
        if not read_keys(home_folder()):
            raise StanceError(
                f"others reach {host}, and there is no API key to tell them apart",
                hint="Make one with `stance keys create NAME`, or leave out --host.",
            )
        os.environ[SCORING_VARIABLE] = "1"
    # A service that cannot load its model would be started again and again; so look first.
    live = first_live(home_folder())
    _check_free(host, port)
    which = f"{live.model.version} ({live.source})"
    err.print(f"serving {which} on http://{host}:{port} (POST /v1/score; /docs.json describes it)")
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Stance", "--host", host, "--port", str(port)]
    # This process becomes the server, so that its process id is the one to stop.
    os.execv(sys.executable, command)


def _check_settings() -> None:
    """Say now what a worker would stumble over later."""
    from serving.access import scoring_needs_key
    from serving.analysis.aliases import load_aliases
    from serving.rate_limits import rate_limit
    from serving.reading import body_seconds
    from serving.request_log import log_form
    from serving.turns import longest_wait
    from serving.usage import counts_use
    from training.relation_model import RELATION_MODEL_VARIABLE, load_relation_model
    from training.runtime import asked_threads, chosen_runtime

    for setting in (rate_limit, body_seconds, longest_wait, asked_threads, chosen_runtime, log_form):
        setting()
    for switch in (scoring_needs_key, counts_use):
        switch()
    load_aliases()
    if path_setting(RELATION_MODEL_VARIABLE):
        load_relation_model()


def _check_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does, so that a port that was left a moment ago counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StanceError(
            f"cannot listen on {host}, port {port}: {error.strerror}", hint="Name another --port or --host."
        ) from error
