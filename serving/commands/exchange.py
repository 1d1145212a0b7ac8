"""`stance labels convert` and `studio-config`: labels to and from annotation tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labels.taxonomy import DEFAULT_TARGETS, load_taxonomy
from serving.commands.console import Corpus, Json, Targets, err, example, labels_app, out, print_json


@labels_app.command("convert", epilog=example("stance labels convert tasks.json labels.jsonl --from label-studio"))
def labels_convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File (or folder) to read.")],
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help="File (or folder) to write.")],
    read_as: Annotated[str, typer.Option("--from", help="Format of IN.")] = "records",
    write_as: Annotated[str, typer.Option("--to", help="Format of OUT.")] = "records",
    targets: Targets = DEFAULT_TARGETS,
    corpus: Corpus = None,
    as_json: Json = False,
) -> None:
    """Bring labels from an annotation tool, or to one.

    Formats: records (the project's own JSONL), label-studio, doccano, argilla, prodigy, csv, tsv, datasets.
    """
    from labels.exchange.convert import FORMATS, convert

    for option, name in (("--from", read_as), ("--to", write_as)):
        if name not in FORMATS:
            raise typer.BadParameter(f"no format '{name}'; there are {', '.join(FORMATS)}", param_hint=option)
    if read_as == write_as:
        raise typer.BadParameter("name two different formats with --from and --to (`records` where one is not given)")
    done = convert(source, out_path, load_taxonomy(targets), read_as=read_as, write_as=write_as, corpus=corpus)
    for field, count in sorted(done.left_out.items()):
        err.print(f"note: left out, a record has no place for it: {field} ({count} times)", markup=False)
    for target_id, count in sorted(done.undecided.items()):
        err.print(
            f"note: {target_id}: the annotators differ on {count} records, whose `labels` leave it out; their "
            "`annotations` hold what each said.",
            markup=False,
        )
    for field, count in sorted(done.lost.items()):
        err.print(f"note: {write_as} cannot hold {field} ({count} records); it comes back as nothing", markup=False)
    if as_json:
        counts = {"left_out": dict(done.left_out), "undecided": dict(done.undecided), "lost": dict(done.lost)}
        print_json({"out": str(out_path), "records": done.records, **counts})
        return
    out.print(f"wrote {out_path}: {done.records} records as {write_as}", markup=False)


@labels_app.command("studio-config", epilog=example("stance labels studio-config --out config.xml"))
def labels_studio_config(
    out_file: Annotated[Path, typer.Option("--out", help="File to write (XML).")], targets: Targets = DEFAULT_TARGETS
) -> None:
    """Write a Label Studio labelling configuration: a block of choices for each target."""
    from labels.exchange.studio_config import studio_config
    from labels.files import write_whole

    write_whole(out_file, studio_config(load_taxonomy(targets)))
    out.print(f"wrote {out_file}", markup=False)
