"""`stance labels check` and `next`: what is wrong with label files, and what to label next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from labels.corpus import load_corpus
from labels.errors import StanceError
from labels.records import default_label_files, read_records
from labels.taxonomy import DEFAULT_TARGETS, Taxonomy, load_taxonomy
from serving.commands.console import (
    Corpus,
    Json,
    Labels,
    ModelFolder,
    Targets,
    err,
    example,
    labels_app,
    out,
    print_json,
    progress,
)

if TYPE_CHECKING:
    from labels.checks import Checked, Finding
    from labels.corpus import Sentence
    from training.label_errors import Suspect
    from training.what_next import Pick

SHOWN = 20
"""Findings of a kind, and suspects, that are printed for people; `--json` has all."""


@labels_app.command("check", epilog=example("stance labels check mine.jsonl --label-errors"))
def labels_check(
    files: Annotated[list[Path] | None, typer.Argument(help="Label files (JSONL). Default: the project's own.")] = None,
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    label_errors: Annotated[
        bool, typer.Option("--label-errors", help="Also look for labels that are probably wrong; takes minutes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find everything that is wrong with label files. Exit code 1 if there are errors, 0 if only warnings."""
    from labels.checks import check_labels

    taxonomy = load_taxonomy(targets)
    checked = check_labels(files or default_label_files(), taxonomy, load_corpus(corpus) if corpus else None)
    if as_json:
        _print_as_json(checked, _likely_errors(checked.sentences, taxonomy) if label_errors else None)
    else:
        _print_findings(checked)
        if label_errors:
            _print_suspects(_likely_errors(checked.sentences, taxonomy))
    raise typer.Exit(1 if checked.count("error") else 0)


def _likely_errors(sentences: Sequence[Sentence], taxonomy: Taxonomy) -> list[Suspect]:
    from training.dataset import to_dataset
    from training.label_errors import likely_errors

    training = [sentence for sentence in sentences if sentence.record.part == "train"]
    with progress() as report:
        return likely_errors(to_dataset(training, taxonomy), taxonomy, report)


def _print_as_json(checked: Checked, suspects: Sequence[Suspect] | None) -> None:
    answer: dict[str, Any] = {
        "records": checked.records,
        "errors": checked.count("error"),
        "warnings": checked.count("warning"),
        "findings": [
            {**asdict(finding), "places": [{**asdict(place), "path": str(place.path)} for place in finding.places]}
            for finding in checked.findings
        ],
    }
    if suspects is not None:
        answer["suspects"] = [asdict(suspect) for suspect in suspects]
    print_json(answer)


def _print_findings(checked: Checked) -> None:
    shown: Counter[str] = Counter()
    totals = Counter(finding.kind for finding in checked.findings)
    for finding in checked.findings:
        shown[finding.kind] += 1
        if shown[finding.kind] <= SHOWN:
            out.print(_line(finding), markup=False)
        elif shown[finding.kind] == SHOWN + 1:
            out.print(f"{finding.level}: … and {totals[finding.kind] - SHOWN} more ({finding.kind}); --json has all")
    out.print(f"{checked.records} records: {checked.count('error')} errors, {checked.count('warning')} warnings.")


def _line(finding: Finding) -> str:
    where = [str(finding.places[0])] if finding.places else []
    where += [f"field '{finding.field}'"] if finding.field else []
    text = f"{', '.join(where)}: {finding.message}" if where else finding.message
    hint = f" {finding.hint}" if finding.hint else ""
    return f"{finding.level}: {text}{'' if text.endswith('.') else '.'}{hint}"


def _print_suspects(suspects: Sequence[Suspect]) -> None:
    more = f" (the first {SHOWN}; --json has all)" if len(suspects) > SHOWN else ""
    table = Table(title=f"{len(suspects)} labels that may be wrong{more}", title_justify="left", box=None)
    for column in ("id", "target", "label given", "label suggested"):
        table.add_column(column)
    table.add_column("probability", justify="right")
    for suspect in suspects[:SHOWN]:
        probability = f"{suspect.probability:.2f} (given {suspect.given_probability:.2f})"
        table.add_row(suspect.id, suspect.target, suspect.given, suspect.suggested, probability)
    out.print(table)


@labels_app.command("next", epilog=example("stance labels next --pool articles/ --n 50 --out next.jsonl"))
def labels_next(
    pool: Annotated[
        str, typer.Option(help='JSONL with text or ref, a text with a sentence a line, a folder, or "corpus".')
    ],
    out_file: Annotated[Path, typer.Option("--out", help="Label file to write; it must not exist.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many sentences.")] = 50,
    model: ModelFolder = None,
    corpus: Corpus = None,
    labels: Labels = None,
    as_json: Json = False,
) -> None:
    """Pick the sentences of a pool whose labels promise to teach the model most, and write them to be labelled."""
    from labels.exchange import label_records
    from labels.pool import read_pool
    from training.model_folder import load_model
    from training.what_next import pick_next

    if out_file.exists():
        raise StanceError("exists, and may hold labels", path=out_file, hint="Name another --out.")
    trained = load_model(model, cache=True)
    known = read_records(labels or default_label_files(), trained.taxonomy, skip_unknown_targets=True)
    if not labels:  # the project's own say nothing on targets of another taxonomy
        known = [record for record in known if record.labels]
    found = read_pool(pool, corpus, known)
    if found.missing:
        err.print(f"note: {found.missing} sentences are left out: the corpus lacks the documents they point into.")
    with progress() as report:
        picks = pick_next(found.sentences, found.labelled, trained, n, report)
    label_records.write([_to_label(pick) for pick in picks], trained.taxonomy, out_file)
    if len(picks) < n:
        err.print(
            f"note: the pool has no more than {len(picks)} that differ from each other and from what is labelled."
        )
    if as_json:
        print_json([{"id": pick.sentence.record.id, "worth": pick.worth, **asdict(pick.reason)} for pick in picks])
        return
    for pick in picks:
        out.print(f"{pick.sentence.record.id}: {pick.reason}", markup=False)
    out.print(f"wrote {out_file}: {len(picks)} of {len(found.sentences)} sentences, to be labelled")


def _to_label(pick: Pick) -> Sentence:
    from labels.corpus import Sentence

    record = pick.sentence.record.model_copy(update={"note": f"picked: {pick.reason}"})
    return Sentence(record, pick.sentence.text)
