"""Methods of a file such as `users.get.py`: its application gets no other one."""

from __future__ import annotations

from typing import Any


def with_options(methods: "list[str]") -> "list[str]":
    """Returns all methods that are not answered 405."""
    return methods if "OPTIONS" in methods else [*methods, "OPTIONS"]


def limit_methods(application: Any, kind: str, methods: "list[str]") -> Any:
    """Returns an application that answers OPTIONS with `Allow`, and 405 to methods that are not listed."""
    allow = ", ".join(with_options(methods))

    def wsgi(environ: "dict[str, Any]", start_response: Any) -> Any:
        method = environ["REQUEST_METHOD"]
        if method in methods:
            return application(environ, start_response)
        if method == "OPTIONS":
            start_response("204 No Content", [("Allow", allow)])
            return []
        start_response("405 Method Not Allowed", [("Allow", allow), ("Content-Type", "text/plain; charset=utf-8")])
        return [_NOT_ALLOWED]

    async def asgi(scope: "dict[str, Any]", receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in methods:
            await application(scope, receive, send)
            return
        headers = [(b"allow", allow.encode("latin-1"))]
        is_options = scope["method"] == "OPTIONS"
        if not is_options:
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        await send({"type": "http.response.start", "status": 204 if is_options else 405, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if is_options else _NOT_ALLOWED})

    return asgi if kind == "asgi" else wsgi


_NOT_ALLOWED = b"Method Not Allowed\n"
