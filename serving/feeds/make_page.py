"""The report of the collection of feeds, on standard output: `python -m serving.feeds.make_page`.

The service makes its page by this in a process of its own: drawing takes seconds of processor time and libraries that
scoring has no use for, and neither is to be had from the process that scores.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from labels.errors import StanceError
from serving.feeds.folder import feeds_folder
from serving.feeds.query import open_scores
from serving.feeds.report import page_since

HOURS = 24
"""What is new in so many hours stands in the page as what changed: it remembers no earlier page."""


def main() -> None:
    """Write the page. Exit code 1 with a line on standard error where it cannot be made."""
    try:
        with open_scores(feeds_folder()) as scores:
            page = page_since(scores.rows, datetime.now(UTC), HOURS)
    except StanceError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    sys.stdout.buffer.write(page.encode())


if __name__ == "__main__":
    # Scoring goes first.
    os.nice(10)
    main()
