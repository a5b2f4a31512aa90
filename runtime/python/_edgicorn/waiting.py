"""Tasks of an application that wait in `receive` and in `send`, for requests and for WebSockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .asgi_worker import AsgiWorker


class Waiting:
    """Base of an exchange. Several tasks may wait in each of its two functions; a task that is cancelled wakes no other."""

    __slots__ = ("_worker", "_received", "_sendable")

    def __init__(self, worker: "AsgiWorker") -> None:
        self._worker = worker
        #: Settles when `receive` may have something; `None`: no task waits.
        self._received: "asyncio.Future[None] | None" = None
        #: Settles when `send` may give more to the primary; `None`: no task waits.
        self._sendable: "asyncio.Future[None] | None" = None

    async def _until_received(self) -> None:
        if self._received is None:
            self._received = self._worker.loop.create_future()
        await asyncio.shield(self._received)

    async def _until_sendable(self) -> None:
        if self._sendable is None:
            self._sendable = self._worker.loop.create_future()
        await asyncio.shield(self._sendable)

    def _wake_receive(self) -> None:
        future = self._received
        if future is not None:
            self._received = None
            _settle(future)

    def _wake_send(self) -> None:
        future = self._sendable
        if future is not None:
            self._sendable = None
            _settle(future)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
