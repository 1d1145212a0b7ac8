"""`stance keys`: who may send labels and retrain over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.commands.console import Json, app, err, out, print_json

keys_app = typer.Typer(help="API keys of the service; only their hashes are kept.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

Name = Annotated[str, typer.Argument(help="Who it is for; labels that come with it bear this name.")]


@keys_app.command("add")
def add(name: Name) -> None:
    """Make a key and print it, this once."""
    from serving.keys import add_key
    from training.home import home_folder

    print(add_key(home_folder(), name))
    err.print(f"note: this is the key of {name}; it is shown once and kept nowhere.", markup=False)


@keys_app.command("list")
def list_(as_json: Json = False) -> None:
    """Names of the keys, and when they were made."""
    from serving.keys import read_keys
    from training.home import home_folder

    keys = read_keys(home_folder())
    if as_json:
        print_json([{"name": name, "made": key.made.isoformat()} for name, key in keys.items()])
        return
    for name, key in keys.items():
        out.print(f"{name:<24} {key.made:%Y-%m-%d %H:%M} UTC", markup=False)
    if not keys:
        out.print("no keys; `stance keys add NAME` makes one", markup=False)


@keys_app.command("remove")
def remove(name: Name) -> None:
    """Forget a key; a running service refuses it at once."""
    from serving.keys import remove_key
    from training.home import home_folder

    remove_key(home_folder(), name)
    out.print(f"removed {name}", markup=False)
