"""What a path is called where it is counted: the template of its route, never what a client wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.routing import BaseRoute, Route, compile_path

OTHER = "other"
"""What is none of the service's routes."""

PROBES = ("/livez", "/readyz", "/healthz", "/metrics")
"""Routes that machines ask every few seconds."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def route_names(routes: Iterable[BaseRoute], *more: str) -> Callable[[str], str]:
    """A function from a path to the template of the first route that it fits, else `OTHER`.

    Args:
        routes: of the application.
        more: templates of routes that are not in it.
    """
    templates = dict.fromkeys([*(route.path for route in routes if isinstance(route, Route)), *more, *PROBES])
    patterns = [(compile_path(template)[0], template) for template in templates]

    def name(path: str) -> str:
        return next((template for pattern, template in patterns if pattern.match(path)), OTHER)

    return name


def method_name(method: str) -> str:
    """The method, where it is one of HTTP's own: a client can send any word for it."""
    return method if method in METHODS else OTHER
