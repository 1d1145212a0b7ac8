"""The console command `stance`: each subcommand does one step and says what it wrote."""

from __future__ import annotations

import os
import sys

import serving.commands.exchange
import serving.commands.label_quality
import serving.commands.labelling
import serving.commands.labels
import serving.commands.serving
import serving.commands.training  # noqa: F401  # each module adds its commands
from labels.errors import StanceError
from serving.commands.console import app, err


def main() -> None:
    """Entry point: errors that a user can mend are one line and exit code 1."""
    try:
        app()
    except StanceError as error:
        err.print(f"error: {error}", markup=False)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read our output has gone (`stance score … | head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
