"""A worker whose requests and WebSockets run in the tasks of one event loop (ASGI)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Callable

from . import protocol as p
from .asgi import AsgiExchange
from .codec import FrameReader, make_packer, to_frame
from .current import of_task, to_current
from .ending import Ending
from .lifespan import Lifespan
from .loading import LoadError
from .logs import Log
from .mount import depth_of
from .vitals import to_vitals

if TYPE_CHECKING:
    from .asgi_socket import AsgiSocket

#: Most bytes of messages in one frame, unless a single message is larger.
_FLUSH_BYTES = 256 * 1024


def serve_asgi(application: Any, sock: socket.socket, reader: FrameReader, settings: "dict[str, Any]", log: Log) -> int:
    """Serves until the channel ends. Returns the exit code."""
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(application, sock, reader, settings, log))
    finally:
        # Threads of the application that still run must not hold up the exit.
        loop.run_until_complete(loop.shutdown_asyncgens())


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop

        return uvloop.new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()


async def _serve(application: Any, sock: socket.socket, reader: FrameReader, settings: "dict[str, Any]", log: Log) -> int:
    from .worker import to_report

    worker = AsgiWorker(application, reader, settings, log)
    sock.setblocking(False)
    await worker.loop.create_unix_connection(lambda: worker, sock=sock)
    lifespan = Lifespan(application, settings["app"]["spec"], log)
    startup = asyncio.ensure_future(lifespan.startup())
    await asyncio.wait({startup, worker.closed}, return_when=asyncio.FIRST_COMPLETED)
    if worker.closed.done():
        startup.cancel()
        return 0
    try:
        startup.result()
    except LoadError as error:
        worker.send([p.BOOT_FAILED, {"code": "ERR_HANDLER_LOAD", "message": str(error)}])
    else:
        worker.state = lifespan.state
        worker.begin()
        worker.send([p.READY, to_report(settings, {}, None)])
    await asyncio.wait({worker.drained, worker.closed}, return_when=asyncio.FIRST_COMPLETED)
    if not worker.closed.done():
        worker.ending.step = "lifespan"
        await lifespan.shutdown()
        worker.ending.step = "exit"
        worker.send([p.DRAINED])
        await worker.closed
    return 0


class AsgiWorker(asyncio.Protocol):
    """Reads the channel in the event loop. Messages of one turn leave as one frame."""

    def __init__(self, application: "Callable[..., Any]", reader: FrameReader, settings: "dict[str, Any]", log: Log) -> None:
        self.application = application
        self.log = log
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        log.send_failure = self.send_failure
        self.credit_bytes = settings["responseCreditBytes"]
        self.is_development = settings["mode"] == "development"
        self.mount: str = settings["app"]["mount"]
        self.depth = depth_of(settings["app"])
        #: Values of the lifespan; each request has a copy.
        self.state: "dict[str, Any] | None" = None
        #: Settles at the end of the channel.
        self.closed: "asyncio.Future[None]" = self.loop.create_future()
        #: Settles when the worker is told to drain and has no request left.
        self.drained: "asyncio.Future[None]" = self.loop.create_future()
        self._reader = reader
        self._pack = make_packer()
        self._transport: Any = None
        self._queue: "list[list[Any]]" = []
        self._queued_bytes = 0
        #: Exchanges, and requests for WebSockets that the application has not accepted.
        self._exchanges: "dict[Any, AsgiExchange | AsgiSocket]" = {}
        #: WebSockets from `websocket.accept` until the primary has told their end.
        self._sockets: "dict[Any, AsgiSocket]" = {}
        #: Exchanges and WebSockets whose task has not ended, also those that were aborted.
        self._running: "dict[AsgiExchange | AsgiSocket, asyncio.Task[None]]" = {}
        self._draining = False
        self.ending = Ending(log, lambda: len(self._running))
        self._cpu_at = time.thread_time()
        self._measured_at = time.monotonic()

    def begin(self) -> None:
        """Begins to measure."""
        self._cpu_at = time.thread_time()
        self._measured_at = time.monotonic()

    def connection_made(self, transport: Any) -> None:
        """Keeps the transport."""
        self._transport = transport

    def connection_lost(self, error: "Exception | None") -> None:
        """The primary has closed the channel, or is gone."""
        if not self.closed.done():
            self.closed.set_result(None)

    def eof_received(self) -> bool:
        """Closes this side too."""
        return False

    def data_received(self, data: bytes) -> None:
        """Carries out the messages of each complete frame."""
        for messages in self._reader.feed(data):
            for message in messages:
                self._receive(message)

    def send(self, message: "list[Any]") -> None:
        """Queues a message for this turn's frame."""
        if not self._queue:
            self.loop.call_soon(self._flush)
        self._queue.append(message)
        if message[0] == p.RESPONSE_CHUNK:
            self._queued_bytes += len(message[2])
            if self._queued_bytes > _FLUSH_BYTES:
                self._flush()

    def send_act(self, act: "list[Any]", size: int) -> None:
        """Queues an act on a WebSocket, with about so many bytes. Acts that follow each other are one message."""
        if self._queue and self._queue[-1][0] == p.SOCKET_ACTS:
            self._queue[-1][1].append(act)
        else:
            self.send([p.SOCKET_ACTS, [act]])
        self._queued_bytes += size
        if self._queued_bytes > _FLUSH_BYTES:
            self._flush()

    def send_failure(self, failure: "dict[str, Any]") -> None:
        """Reports why a request fails. Threads of the application may call it, too."""
        message = [p.FAILED, failure]
        if threading.get_ident() == self._thread:
            self.send(message)
        else:
            self.loop.call_soon_threadsafe(self.send, message)

    def accepted_socket(self, socket: "AsgiSocket") -> None:
        """The application has accepted a WebSocket, so its exchange is over."""
        self._exchanges.pop(socket.id, None)
        self._sockets[socket.id] = socket

    def forget_socket(self, socket: "AsgiSocket") -> None:
        """The primary has told the end of a WebSocket."""
        self._sockets.pop(socket.id, None)

    def ended(self, exchange: "AsgiExchange | AsgiSocket") -> None:
        """The task of an exchange or of a WebSocket has ended."""
        self._exchanges.pop(exchange.id, None)
        self._running.pop(exchange, None)
        self._look_drained()

    def _flush(self) -> None:
        queue = self._queue
        if not queue:
            return
        self._queue = []
        self._queued_bytes = 0
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(to_frame(self._pack(queue)))

    def _receive(self, message: "list[Any]") -> None:
        kind = message[0]
        if kind == p.REQUEST:
            self._begin_exchange(message)
        elif kind == p.RESPONSE_CREDIT:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.grant(message[2])
        elif kind == p.REQUEST_CHUNK:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.push(message[2])
        elif kind == p.REQUEST_END:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.end()
        elif kind == p.FILE_TAKEN:
            exchange = self._exchanges.get(message[1])
            if exchange is not None:
                exchange.take_file(message[2])
        elif kind == p.ABORT:
            self.send([p.SETTLED, message[1]])
            # The primary may not have read yet that the application has accepted a WebSocket.
            exchange = self._exchanges.pop(message[1], None) or self._sockets.pop(message[1], None)
            if exchange is not None:
                exchange.abort(message[2])
        elif p.SOCKET_MESSAGE <= kind <= p.SOCKET_FLUSHED:
            accepted = self._sockets.get(message[1])
            if accepted is not None:
                accepted.take(message)
        elif kind == p.PROBE:
            self.send([p.PROBED, message[1]])
        elif kind == p.PING:
            self.send([p.PONG, message[1], to_vitals(self._utilization())])
        elif kind == p.DRAIN:
            self._draining = True
            self.ending.begin(message[1])
            self._look_drained()
        else:
            raise p.ProtocolError(f"Cannot read a message of kind {kind!r}")

    def _begin_exchange(self, message: "list[Any]") -> None:
        number = message[p.ID]
        exchange = self._to_socket(message) if "upgrade\n" in message[p.FIELDS] else None
        if exchange is None:
            exchange = AsgiExchange(self, message)
        self._exchanges[number] = exchange
        token = of_task.set(to_current(message))
        self._running[exchange] = self.loop.create_task(exchange.run())
        of_task.reset(token)

    def _to_socket(self, message: "list[Any]") -> "AsgiExchange | AsgiSocket | None":
        """Returns the WebSocket that a request asks for; `None`: it asks for none."""
        # Most applications have no WebSockets.
        from .asgi_socket import AsgiSocket, asks_for_socket

        is_asked = message[p.METHOD] == "GET" and asks_for_socket(message[p.FIELDS])
        return AsgiSocket(self, message) if is_asked else None

    def _look_drained(self) -> None:
        if self._draining and not self._running and not self.drained.done():
            self.drained.set_result(None)

    def _utilization(self) -> float:
        """Returns the share of its time for which the event loop has computed since the last call."""
        now, cpu = time.monotonic(), time.thread_time()
        span = now - self._measured_at
        busy = cpu - self._cpu_at
        self._measured_at, self._cpu_at = now, cpu
        return busy / span if span > 0 else 0.0
