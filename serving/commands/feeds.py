"""`stance feeds`: subscriptions."""

from __future__ import annotations

import typer

from serving.commands.console import app

feeds_app = typer.Typer(
    help="News feeds: subscriptions, runs, and questions about what they bring.", no_args_is_help=True
)
app.add_typer(feeds_app, name="feeds")
