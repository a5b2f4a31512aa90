"""The request that the running code answers: for log lines."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

from . import protocol as p

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class _Current(threading.local):
    #: Result of `to_current` for the exchange that a thread runs; 0: none.
    id: "int | str" = 0


#: Set by the threads of a WSGI application.
of_thread = _Current()

#: Set by the tasks of an ASGI application; copied into threads that they start through `asyncio.to_thread`.
of_task: "contextvars.ContextVar[int | str]" = contextvars.ContextVar("edgicorn_exchange", default=0)


def current_id() -> "int | str":
    """Returns the number of the exchange that the calling code answers, or the id of a trusted proxy; 0: none."""
    return of_thread.id or of_task.get()


class Trust:
    """Whether requests bring the ids that a trusted proxy gave them."""

    request_ids = False


def to_current(message: "list[Any]") -> "int | str":
    """Returns the id that a trusted proxy gave to a request, otherwise the number of its exchange."""
    if Trust.request_ids and "x-request-id" in message[p.FIELDS]:
        parts = message[p.FIELDS].split("\n")
        for at in range(0, len(parts) - 1, 2):
            if parts[at] == "x-request-id":
                return parts[at + 1]
    return message[p.ID]


def to_request_id(prefix: str, number: "int | float | str") -> str:
    """Returns the request id of the server's logs: the prefix, and the number in base 36. The id of a proxy stays as it is."""
    if isinstance(number, str):
        return number
    number = int(number)
    digits = ""
    while number > 0:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return prefix + (digits or "0")
