"""`stance keys`: who may do what over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.commands.console import Json, app, err, example, out, print_json
from serving.keys import USUAL_SCOPES, KeyScope, create_key, read_keys, revoke_key

keys_app = typer.Typer(help="API keys of the service; only their hashes are kept.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

Name = Annotated[str, typer.Argument(help="Who it is for; labels that come with it bear this name.")]
Scopes = Annotated[
    list[KeyScope],
    typer.Option("--scope", help="What it is for; may be repeated. admin: retrain, and look at and stop retrainings."),
]


@keys_app.command("create", epilog=example("stance keys create newsdesk --scope score"))
def create(name: Name, scope: Scopes = list(USUAL_SCOPES)) -> None:  # noqa: B006  # typer copies it
    """Make a key and print it, this once."""
    from training.home import home_folder

    print(create_key(home_folder(), name, scope))
    note = f"note: this is the key of {name}, to {', '.join(scope)}; it is shown once and kept nowhere."
    err.print(note, markup=False)


@keys_app.command("list", epilog=example("stance keys list"))
def list_(as_json: Json = False) -> None:
    """Names of the keys, what they are for, and when they were made."""
    from training.home import home_folder

    keys = read_keys(home_folder())
    if as_json:
        print_json([{"name": name, "scopes": key.scopes, "made": key.made.isoformat()} for name, key in keys.items()])
        return
    for name, key in keys.items():
        out.print(f"{name:<24} {','.join(key.scopes):<18} {key.made:%Y-%m-%d %H:%M} UTC", markup=False)
    if not keys:
        out.print("no keys; `stance keys create NAME` makes one", markup=False)


@keys_app.command("revoke", epilog=example("stance keys revoke newsdesk"))
def revoke(name: Name) -> None:
    """Forget a key; a running service refuses it at once."""
    from training.home import home_folder

    revoke_key(home_folder(), name)
    out.print(f"revoked {name}", markup=False)
