"""The log line and the answer for a request whose application failed."""

from __future__ import annotations

import html
import linecache
import traceback
from typing import Any, Tuple

from . import protocol as p
from .fields import BadAnswer
from .loading import is_application_file
from .logs import Log, format_error, trim
from .wsgi_link import path_of

#: Status, field block and body.
Answer = Tuple[int, str, bytes]

PLAIN_FAILURE: Answer = (500, "content-type\ntext/plain;charset=UTF-8", b"Internal Server Error\n")

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}"
    "h1{font-size:1.3rem;color:#b00020}h2{font-size:1rem;margin:1.5rem 0 .3rem}"
    "pre{background:#f5f5f5;padding:.8rem;overflow:auto;border-radius:6px;font-size:.85rem}"
    "b{background:#ffd9d9;display:inline-block;min-width:100%}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}b{background:#5a2a2a}}"
)


def tell_failure(log: Log, message: "list[Any]", error: BaseException) -> None:
    """Writes a failed request to the log."""
    code = "ERR_HANDLER_BAD_RESPONSE" if isinstance(error, BadAnswer) else "ERR_HANDLER_THREW"
    log.failure(
        f"application failed: {type(error).__name__}: {error}",
        error,
        code=code,
        method=message[p.METHOD],
        path=path_of(message[p.URL]),
    )
    log.report(error)


def answer_failure(error: BaseException, *, is_development: bool, wants_page: bool) -> Answer:
    """Returns the answer 500. In development it shows the traceback, to a browser as a page."""
    if not is_development:
        return PLAIN_FAILURE
    if not wants_page:
        return 500, "content-type\ntext/plain;charset=UTF-8", format_error(error).encode("utf-8", "replace")
    return 500, "content-type\ntext/html;charset=UTF-8", to_page(error).encode("utf-8", "replace")


def to_page(error: BaseException) -> str:
    """Returns the page with the place of the failure, the lines around it and the traceback."""
    title = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(trim(error.__traceback__))
    own = [frame for frame in frames if is_application_file(frame.filename)]
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for frame in reversed(own[-3:] or frames[-1:]):
        name = f"{frame.filename}:{frame.lineno} in {frame.name}"
        parts.append(f"<h2>{html.escape(name)}</h2><pre>{_excerpt(frame.filename, frame.lineno or 1)}</pre>")
    parts.append(f"<h2>Traceback</h2><pre>{html.escape(format_error(error))}</pre>")
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _excerpt(path: str, line: int) -> str:
    rows = []
    for number in range(max(1, line - 4), line + 5):
        text = linecache.getline(path, number)
        if not text:
            continue
        row = html.escape(f"{number:>5}  {text.rstrip()}")
        rows.append(f"<b>{row}</b>" if number == line else row)
    return "\n".join(rows)
