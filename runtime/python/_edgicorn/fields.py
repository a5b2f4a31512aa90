"""Header fields between the channel's blocks and Python's lists."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Iterable

from .protocol import MAX_RESPONSE_HEAD

#: Standard phrases: a status with its own phrase needs none on the channel.
PHRASES = {int(status): status.phrase for status in HTTPStatus}

#: Longest field block. The phrase of the status has the rest of the head.
MOST_FIELDS_CHARACTERS = MAX_RESPONSE_HEAD - 1024

#: Statuses without a body (RFC 9110 sections 15.3.5, 15.4.5).
NO_BODY = frozenset((204, 205, 304))


class BadAnswer(Exception):
    """The application answered with something that is no HTTP response."""


class _Lower(dict):
    """Names in lower case. The same few names come again and again."""

    def __missing__(self, name: str) -> str:
        lower = name.lower()
        if len(self) < 1000:
            self[name] = lower
        return lower


LOWER = _Lower()


def to_block(headers: "Iterable[tuple[str, str]]") -> "tuple[str, int | None]":
    """Returns the field block of headers, and their content-length. Raises `BadAnswer` for a value that breaks out of its line."""
    parts: "list[str]" = []
    length = None
    try:
        for name, value in headers:
            lower = LOWER[name]
            parts.append(lower)
            parts.append(value)
            if lower == "content-length":
                length = to_length(value)
        block = "\n".join(parts)
    except (TypeError, ValueError, AttributeError) as error:
        raise BadAnswer(f"Cannot send the headers {headers!r}: {error}") from error
    if parts and (block.count("\n") != len(parts) - 1 or "\r" in block or "\0" in block):
        raise BadAnswer(f"Cannot send the headers {headers!r}: found a line break or NUL, expected text")
    check_size(block)
    return block, length


def check_size(block: str) -> None:
    """Raises `BadAnswer` for a field block that is too long for the channel."""
    if len(block) > MOST_FIELDS_CHARACTERS:
        raise BadAnswer(
            f"Cannot send the headers: found {len(block)} characters, expected at most {MOST_FIELDS_CHARACTERS}"
        )


def to_length(value: str) -> int:
    """Parses a content-length. Raises `BadAnswer`."""
    if value.isdigit() and value.isascii():
        return int(value)
    raise BadAnswer(f"Cannot send content-length {value!r}: expected a whole number")


def split_url(url: str) -> "tuple[str, str, str]":
    """Splits an absolute URL into origin, path and query, as they are. The query has no question mark."""
    at = url.find("/", url.find("://") + 3)
    if at == -1:
        return url, "/", ""
    rest = url[at:]
    query = rest.find("?")
    if query == -1:
        return url[:at], rest, ""
    return url[:at], rest[:query], rest[query + 1 :]


def split_origin(origin: str) -> "tuple[str, str, str]":
    """Splits an origin into scheme, host and port. The host of an IPv6 address has no brackets."""
    scheme, _, authority = origin.partition("://")
    default = "443" if scheme == "https" else "80"
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return scheme, host, rest[1:] or default
    host, _, port = authority.partition(":")
    return scheme, host, port or default


def is_page_wanted(fields: str) -> bool:
    """Tells whether the request's fields ask for HTML, as a browser's do."""
    parts = fields.split("\n")
    for at in range(0, len(parts) - 1, 2):
        if parts[at] == "accept":
            return "text/html" in parts[at + 1]
    return False


def describe(value: Any) -> str:
    """Returns the name of a value's type, for messages."""
    return type(value).__name__
