"""`stance feeds`: which news feeds are followed, and how they fare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labels.errors import needs_package
from serving.commands.console import Json, app, counted, example, out, print_json
from serving.feeds.folder import FEEDS_VARIABLE, feeds_folder

if TYPE_CHECKING:
    from serving.feeds.subscriptions import Subscription, Subscriptions

feeds_app = typer.Typer(help="News feeds: from a list of feeds to stance over time.", no_args_is_help=True)
app.add_typer(feeds_app, name="feeds")

Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder", envvar=FEEDS_VARIABLE, help="Where feeds and scores lie. Default: feeds in the state folder."
    ),
]
AllowPrivate = Annotated[
    bool,
    typer.Option(
        "--allow-private", help="Allow addresses that are not of the open internet (loopback, 10.0.0.0/8 and so on)."
    ),
]


@contextmanager
def opened_subscriptions(folder: Path | None, *, allow_private: bool = False) -> Iterator[Subscriptions]:
    """The subscriptions of `--folder`; says which extra is missing where it is."""
    try:
        from serving.feeds.subscriptions import open_subscriptions
    except ModuleNotFoundError as error:
        raise needs_package("`stance feeds`", error.name, "feeds") from None
    with open_subscriptions(feeds_folder(folder), allow_private=allow_private) as subscriptions:
        yield subscriptions


@feeds_app.command("add", epilog=example("stance feeds add https://example.org/rss.xml"))
def add(
    url: Annotated[str, typer.Argument(help="RSS, Atom or JSON Feed.")],
    folder: Folder = None,
    allow_private: AllowPrivate = False,
    as_json: Json = False,
) -> None:
    """Follow a feed."""
    with opened_subscriptions(folder, allow_private=allow_private) as subscriptions:
        new = subscriptions.add(url)
    if as_json:
        print_json({"url": url, "new": new})
        return
    out.print(f"{url} is followed{'' if new else ' already'}", markup=False)


@feeds_app.command("import", epilog=example("stance feeds import subscriptions.opml"))
def import_(
    file: Annotated[Path, typer.Argument(help="A list of feeds, as other readers export it (OPML).")],
    folder: Folder = None,
    allow_private: AllowPrivate = False,
    as_json: Json = False,
) -> None:
    """Follow all feeds of a list, or none if one of them cannot be."""
    with opened_subscriptions(folder, allow_private=allow_private) as subscriptions:
        imported = subscriptions.import_opml(file)
    if as_json:
        print_json(asdict(imported))
        return
    out.print(f"{counted(imported.new, 'feed')} added, followed already: {imported.known}", markup=False)


@feeds_app.command("remove", epilog=example("stance feeds remove https://example.org/rss.xml"))
def remove(
    url: Annotated[str, typer.Argument(help="Address of the feed, as it was added.")], folder: Folder = None
) -> None:
    """Forget a feed, and what it brought that was not taken yet; what was scored stays."""
    with opened_subscriptions(folder) as subscriptions:
        subscriptions.remove(url)
    out.print(f"{url} is followed no longer", markup=False)


@feeds_app.command("list", epilog=example("stance feeds list --json"))
def list_(folder: Folder = None, as_json: Json = False) -> None:
    """The feeds that are followed."""
    with opened_subscriptions(folder) as subscriptions:
        feeds = subscriptions.list()
    if as_json:
        print_json([_as_json(feed) for feed in feeds])
        return
    for feed in feeds:
        _say(f"{_when(feed.last_success):<16}  {feed.waiting:>5} waiting  {feed.url}  {feed.title or ''}".rstrip())
    if not feeds:
        out.print("no feeds; `stance feeds add URL` follows one", markup=False)


@feeds_app.command("status", epilog=example("stance feeds status"))
def status(folder: Folder = None, as_json: Json = False) -> None:
    """How the feeds fare: which cannot be read, why, since when, and when they are tried again (UTC)."""
    with opened_subscriptions(folder) as subscriptions:
        feeds = subscriptions.list()
    troubled = [feed for feed in feeds if feed.trouble]
    untried = sum(feed.last_try is None for feed in feeds)
    waiting = sum(feed.waiting for feed in feeds)
    if as_json:
        counts = {"feeds": len(feeds), "in_trouble": len(troubled), "never_tried": untried, "waiting": waiting}
        print_json({**counts, "subscriptions": [_as_json(feed) for feed in feeds]})
        return
    well = len(feeds) - len(troubled) - untried
    out.print(
        f"{counted(len(feeds), 'feed')}: {well} well, {len(troubled)} in trouble, {untried} not tried yet", markup=False
    )
    out.print(f"wait to be scored: {counted(waiting, 'entry', 'entries')}", markup=False)
    for feed in feeds:
        if trouble := feed.trouble:
            times = "once" if trouble.failures == 1 else f"{trouble.failures} times"
            _say("", feed.url, f"  {trouble.reason}")
            _say(f"  failed {times} since {_when(trouble.since)}, not tried again before {_when(trouble.next_try)}")
        elif feed.moved:
            _say("", feed.url, f"  has moved for good to {feed.moved}; it still answers here")


def _say(*lines: str) -> None:
    """Print what comes from feeds and servers without what would steer the terminal."""
    for line in lines:
        out.print("".join(sign if sign.isprintable() else " " for sign in line), markup=False)


def _when(date: datetime | None) -> str:
    return f"{date:%Y-%m-%d %H:%M}" if date else "never"


def _as_json(feed: Subscription) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return value.isoformat() if isinstance(value, datetime) else value

    row: dict[str, Any] = plain(asdict(feed))
    return row
