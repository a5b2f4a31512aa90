"""The request that the running code answers: for log lines."""

from __future__ import annotations

import contextvars
import threading

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class _Current(threading.local):
    #: Number of the exchange that a thread runs; 0: none.
    id = 0


#: Set by the threads of a WSGI application.
of_thread = _Current()

#: Set by the tasks of an ASGI application; copied into threads that they start through `asyncio.to_thread`.
of_task: "contextvars.ContextVar[int]" = contextvars.ContextVar("edgicorn_exchange", default=0)


def current_id() -> int:
    """Returns the number of the exchange that the calling code answers; 0: none."""
    return of_thread.id or of_task.get()


def to_request_id(prefix: str, number: "int | float") -> str:
    """Returns the request id of the server's logs: the prefix, and the number in base 36."""
    number = int(number)
    digits = ""
    while number > 0:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return prefix + (digits or "0")
