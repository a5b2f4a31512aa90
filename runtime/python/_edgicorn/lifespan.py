"""The lifespan of an ASGI application (specification 2.0)."""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from .loading import LoadError
from .logs import Log, format_error

_SCOPE_VERSIONS = {"version": "3.0", "spec_version": "2.0"}


class Lifespan:
    """Runs the startup and the shutdown of an application, where it has them."""

    def __init__(self, application: "Callable[..., Any]", name: str, log: Log) -> None:
        self._application = application
        self._name = name
        self._log = log
        #: Values that the startup left for requests; `None`: the application knows no lifespan.
        self.state: "dict[str, Any] | None" = {}
        self._events: "asyncio.Queue[dict[str, Any]]" = asyncio.Queue()
        self._has_received = False
        self._answers: "asyncio.Queue[dict[str, Any]]" = asyncio.Queue()
        self._task: "asyncio.Task[None] | None" = None
        self._error: "BaseException | None" = None

    async def startup(self) -> None:
        """Waits until the application has started. Raises `LoadError` when it says, or shows, that it cannot."""
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.ensure_future(self._run())
        answer = await self._next_answer()
        kind = answer["type"]
        if kind == "lifespan.startup.complete":
            return
        if kind == "lifespan.startup.failed":
            message = answer.get("message", "")
            raise LoadError(f"Cannot load the application {self._name}: its startup failed\n{message}".rstrip())
        # It ended. One that raised before it took the event has no lifespan, as plain Django.
        if self._error is not None and self._has_received:
            raise LoadError(
                f"Cannot load the application {self._name}: its startup failed\n{format_error(self._error)}".rstrip()
            )
        self.state = None
        self._task = None

    async def shutdown(self) -> None:
        """Lets the application end its connections. Failures go to the log."""
        if self._task is None or self._task.done():
            return
        self._events.put_nowait({"type": "lifespan.shutdown"})
        answer = await self._next_answer()
        if answer["type"] == "lifespan.shutdown.failed":
            self._log.error(f"shutdown of the application failed: {answer.get('message', '')}")
        elif self._error is not None:
            self._log.failure("shutdown of the application failed", self._error)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _SCOPE_VERSIONS, "state": self.state}
        try:
            await self._application(scope, self._receive, self._answers.put)
        except BaseException as error:
            self._error = error
        finally:
            self._answers.put_nowait({"type": "ended"})

    async def _receive(self) -> "dict[str, Any]":
        event = await self._events.get()
        self._has_received = True
        return event

    async def _next_answer(self) -> "dict[str, Any]":
        return await self._answers.get()
