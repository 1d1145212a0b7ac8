"""The console command `stance`: each subcommand does one step and says what it wrote."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import serving.commands.adjudication
import serving.commands.agreement
import serving.commands.analysis
import serving.commands.batch
import serving.commands.bench
import serving.commands.benchmark
import serving.commands.drift
import serving.commands.evaluation
import serving.commands.exchange
import serving.commands.explanation
import serving.commands.fast_path
import serving.commands.feeds
import serving.commands.feeds_report
import serving.commands.feeds_run
import serving.commands.holders
import serving.commands.keys
import serving.commands.label_quality
import serving.commands.labelling
import serving.commands.labels
import serving.commands.merging
import serving.commands.models
import serving.commands.propositions
import serving.commands.retraining
import serving.commands.serving
import serving.commands.training  # noqa: F401  # each module adds its commands
from labels.errors import StanceError, needs_package
from serving.commands.console import app, err
from serving.extras import extra_with

SEVERAL = ("--labels", "--models", "--sizes")
"""Options that may be followed by several values."""


def spread(arguments: Sequence[str]) -> list[str]:
    """`--labels A B` as `--labels A --labels B`: the parser takes one value an option."""
    given: list[str] = []
    option: str | None = None
    for argument in arguments:
        if option and not argument.startswith("-") and given[-1] != option:
            given.append(option)
        if argument.startswith("-"):
            option = argument if argument in SEVERAL else None
        given.append(argument)
    return given


def main() -> None:
    """Entry point: errors that a user can mend are one line and exit code 1."""
    # NumPy's products are small here: a second thread of its own would wait by spinning, and take the encoder's
    # processor. It reads this when it is imported, and so do the processes that commands start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app(args=spread(sys.argv[1:]))
    except StanceError as error:
        err.print(f"error: {error}", markup=False)
        raise SystemExit(1) from None
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("labels", "training", "serving"):
            raise
        # What serves is installed without the packages that training, label work, feeds and large files need.
        module = (error.name or "").split(".")[0]
        extra = extra_with(module, "feeds" if sys.argv[1:2] in (["feeds"], ["batch"]) else "train")
        err.print(f"error: {needs_package('this', module, extra)}", markup=False)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone (`stance score … | head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
