"""One request of an ASGI application: its scope, `receive` and `send` (ASGI 3, HTTP specification 2.3)."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, Iterable
from urllib.parse import unquote

from . import protocol as p
from .compression import LEAST_BYTES, MOST_STREAMS, Compression, compress_whole, make_encoder, plan_answer, to_plain_tags
from .error_page import answer_failure, tell_failure
from .fields import NO_BODY, BadAnswer, check_size, is_page_wanted, split_origin, split_url, to_length
from .handed_file import to_handed
from .mount import split_mount
from .waiting import Waiting

if TYPE_CHECKING:
    from .asgi_worker import AsgiWorker

_VERSIONS = {"version": "3.0", "spec_version": "2.3"}


class ClientLeft(ConnectionError):
    """The client left, or was cut off, before the end of the exchange."""


class _EncodedNames(dict):
    """Names of fields as bytes. The same few names come again and again."""

    def __missing__(self, name: str) -> bytes:
        encoded = name.encode("latin-1")
        if len(self) < 1000:
            self[name] = encoded
        return encoded


_ENCODED = _EncodedNames()


class _DecodedNames(dict):
    """Names of response fields in lower case, as text."""

    def __missing__(self, name: bytes) -> str:
        if not isinstance(name, (bytes, bytearray)):
            raise BadAnswer(f"Cannot send a header with the name {name!r}: expected bytes")
        decoded = bytes(name).decode("latin-1").lower()
        if len(self) < 1000:
            self[name] = decoded
        return decoded


_DECODED = _DecodedNames()


class _Origins(dict):
    def __missing__(self, origin: str) -> "tuple[str, tuple[str, int]]":
        scheme, host, port = split_origin(origin)
        parts = scheme, (host, int(port))
        if len(self) < 1000:
            self[origin] = parts
        return parts


_ORIGINS = _Origins()


def to_scope(
    message: "list[Any]", mount: str, state: "dict[str, Any] | None", depth: "int | None" = None
) -> "dict[str, Any]":
    """Returns the scope of a request message. With a depth, the mount is so many segments of the path."""
    origin, raw_path, query = split_url(message[p.URL])
    scheme, server = _ORIGINS[origin]
    fields = message[p.FIELDS]
    if fields:
        parts = fields.split("\n")
        if Compression.level is not None and "-match\n" in fields:
            for at in range(0, len(parts) - 1, 2):
                if parts[at] in ("if-none-match", "if-match"):
                    parts[at + 1] = to_plain_tags(parts[at + 1])
        headers = [
            (_ENCODED[name], value.encode("latin-1")) for name, value in zip(parts[0::2], parts[1::2]) if "_" not in name
        ]
    else:
        headers = []
    scope = {
        "type": "http",
        "asgi": _VERSIONS,
        "http_version": "1.1",
        "server": server,
        "client": (message[p.CLIENT_ADDRESS], 0),
        "scheme": scheme,
        "method": message[p.METHOD],
        "root_path": mount,
        "path": unquote(raw_path) if "%" in raw_path else raw_path,
        "raw_path": raw_path.encode("ascii", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": headers,
        "extensions": {"http.response.pathsend": {}},
    }
    if depth is not None:
        scope["root_path"] = unquote(split_mount(raw_path, depth)[0])
        scope["path_params"] = dict(message[p.PARAMS] or {})
    if state is not None:
        scope["state"] = state.copy()
    return scope


def to_headers(headers: "Iterable[tuple[bytes, bytes]]") -> "tuple[str, int | None]":
    """Returns the field block of the headers of a response, and their content-length. Raises `BadAnswer`."""
    parts: "list[str]" = []
    length = None
    for name, value in headers:
        lower = _DECODED[name]
        text = bytes(value).decode("latin-1")
        parts.append(lower)
        parts.append(text)
        if lower == "content-length":
            length = to_length(text)
    block = "\n".join(parts)
    if parts and (block.count("\n") != len(parts) - 1 or "\r" in block or "\0" in block):
        raise BadAnswer("Cannot send the headers: found a line break or NUL in one, expected text")
    check_size(block)
    return block, length


class AsgiExchange(Waiting):
    """One request, from its arrival until its task has ended."""

    __slots__ = (
        "_message",
        "id",
        "_chunks",
        "_chunks_ended",
        "_is_body_taken",
        "_aborted",
        "_credit",
        "_taken",
        "_status",
        "_fields",
        "_length",
        "_has_body",
        "_sent",
        "_is_begun",
        "_is_ended",
        "_is_planned",
        "_encoder",
    )

    def __init__(self, worker: "AsgiWorker", message: "list[Any]", *, compresses: bool = True) -> None:
        super().__init__(worker)
        self._message = message
        self.id = message[p.ID]
        body = message[p.BODY]
        self._chunks: "deque[bytes]" = deque()
        self._chunks_ended = body is not True
        if body is not True:
            self._chunks.append(body or b"")
        self._is_body_taken = False
        self._aborted: "str | None" = None
        self._credit = worker.credit_bytes
        #: Settles when the primary says whether it sends a file.
        self._taken: "asyncio.Future[bool] | None" = None
        self._status = 0
        self._fields = ""
        self._length: "int | None" = None
        self._has_body = True
        self._sent = 0
        self._is_begun = False
        self._is_ended = False
        self._is_planned = not compresses
        #: Compresses a body that leaves in pieces.
        self._encoder: Any = None

    async def run(self) -> None:
        """Runs the application for this request. Raises nothing."""
        worker = self._worker
        try:
            scope = to_scope(self._message, worker.mount, worker.state, worker.depth)
            await worker.application(scope, self.receive, self.send)
            if not self._is_ended and self._aborted is None:
                done = "ended without one" if not self._status else "ended before its last piece"
                raise BadAnswer(f"Cannot send a response: the application {done}")
        except asyncio.CancelledError:
            if self._aborted is None:
                self.fail(BadAnswer("Cannot send a response: the application was cancelled"))
        except BaseException as error:
            if self._aborted is None:
                self.fail(error)
            elif not isinstance(error, OSError):
                worker.log.debug(f"application failed after its client left: {type(error).__name__}: {error}")
        finally:
            if self._encoder is not None:
                Compression.streams -= 1
            worker.ended(self)

    @property
    def is_ended(self) -> bool:
        """Tells whether the response has ended."""
        return self._is_ended

    async def receive(self) -> "dict[str, Any]":
        """Returns the next piece of the request's body, then waits for the client to leave."""
        while True:
            if self._aborted is not None or self._is_ended:
                return {"type": "http.disconnect"}
            if self._chunks:
                piece = self._chunks.popleft()
                more = not (self._chunks_ended and not self._chunks)
                if self._message[p.BODY] is True and piece:
                    self._worker.send([p.REQUEST_CREDIT, self.id, len(piece)])
                self._is_body_taken = not more
                return {"type": "http.request", "body": piece, "more_body": more}
            if self._chunks_ended and not self._is_body_taken:
                self._is_body_taken = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._until_received()

    async def send(self, event: "dict[str, Any]") -> None:
        """Takes an event of the application. Raises `OSError` once the client has left."""
        if self._aborted is not None:
            raise ClientLeft(f"Cannot send the response: {self._aborted}")
        kind = event["type"]
        if kind == "http.response.body":
            if not self._status:
                raise BadAnswer("Cannot send http.response.body before http.response.start")
            if self._is_ended:
                raise BadAnswer("Cannot send http.response.body after the end of the response")
            body = event.get("body", b"")
            if type(body) is not bytes:
                body = bytes(body)
            if event.get("more_body", False):
                await self._send_piece(body)
            else:
                await self._send_last(body)
        elif kind == "http.response.start":
            self._start(event)
        elif kind == "http.response.pathsend":
            await self._send_path(event["path"])
        else:
            raise BadAnswer(f"Cannot send {kind!r}: expected http.response.start or http.response.body")

    # From the worker.

    def push(self, piece: bytes) -> None:
        """Takes a piece of the request's body."""
        if piece:
            self._chunks.append(piece)
            self._wake_receive()

    def end(self) -> None:
        """Notes the end of the request's body."""
        self._chunks_ended = True
        self._wake_receive()

    def grant(self, count: int) -> None:
        """Adds credit for the response."""
        self._credit += count
        if self._credit > 0:
            self._wake_send()

    def take_file(self, is_taken: bool) -> None:
        """The primary sends the file that it was given, or cannot."""
        future = self._taken
        if future is not None and not future.done():
            future.set_result(is_taken)

    def abort(self, reason: str) -> None:
        """No client waits for this exchange any more."""
        self._aborted = reason
        self.take_file(False)
        self._wake_receive()
        self._wake_send()

    # The answer.

    def _start(self, event: "dict[str, Any]") -> None:
        if self._status:
            raise BadAnswer("Cannot send http.response.start twice")
        status = event["status"]
        if not 200 <= status <= 599:
            raise BadAnswer(f"Cannot send the status {status!r}: expected a number from 200 to 599")
        self._fields, self._length = to_headers(event.get("headers", ()))
        self._status = int(status)
        self._has_body = status not in NO_BODY and self._message[p.METHOD] != "HEAD"

    async def _send_last(self, body: bytes) -> None:
        if not self._is_begun and (not self._has_body or len(body) <= p.CHUNK_BYTES):
            if not self._has_body:
                self._compress(None)
                self._end_with([p.RESPONSE, self.id, self._status, "", self._fields, None])
                return
            self._sent += len(body)
            self._check_length()
            if len(body) >= LEAST_BYTES and self._encoder is None:
                body = self._compress(body) or b""
            self._end_with([p.RESPONSE, self.id, self._status, "", self._fields, body])
            return
        if body:
            await self._send_piece(body)
        if self._has_body:
            self._check_length()
            if self._encoder is not None:
                await self._stream(self._encoder.flush())
            self._end_with([p.RESPONSE_END, self.id])

    def _end_with(self, message: "list[Any]") -> None:
        self._is_ended = True
        self._worker.send(message)
        self._wake_receive()

    def _check_length(self) -> None:
        if self._length is not None and self._sent != self._length:
            raise BadAnswer(
                f"Cannot end a response: its body has {self._sent} bytes, expected the {self._length} of its content-length"
            )

    async def _send_piece(self, body: bytes) -> None:
        if not self._has_body:
            if not self._is_begun:
                # The head is the whole answer. Pieces that follow are left out.
                self._is_begun = True
                self._compress(None)
                self._worker.send([p.RESPONSE, self.id, self._status, "", self._fields, None])
            return
        if self._length is not None and self._sent + len(body) > self._length:
            raise BadAnswer(f"Cannot send a response: its body is longer than the {self._length} bytes of its content-length")
        self._sent += len(body)
        if not self._is_planned:
            self._plan_stream()
        encoder = self._encoder
        if encoder is not None:
            if len(body) > p.CHUNK_BYTES:
                body = await self._worker.loop.run_in_executor(None, encoder.compress, body)
            else:
                body = encoder.compress(body)
            # A piece of a body without a length may be all that comes for a while.
            if self._length is None:
                body += encoder.flush(zlib.Z_SYNC_FLUSH)
        await self._stream(body)

    def _compress(self, body: "bytes | None") -> "bytes | None":
        """Compresses a whole body where the client accepts it. Sets the fields that tell of it, also without a body."""
        if self._is_planned:
            return body
        message = self._message
        answer = (self._status, self._fields, self._length)
        self._fields, body = compress_whole(answer, (message[p.METHOD], message[p.FIELDS]), body)
        return body

    def _plan_stream(self) -> None:
        """Decides whether the pieces of the body are compressed."""
        self._is_planned = True
        if Compression.level is None:
            return
        plan = plan_answer(self._status, self._fields, self._length, self._message[p.FIELDS])
        if plan is None:
            return
        if plan.coded is None or Compression.streams >= MOST_STREAMS:
            self._fields = plan.plain
            return
        self._fields = plan.coded
        self._encoder = make_encoder()
        Compression.streams += 1

    async def _stream(self, body: bytes) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._worker.send([p.RESPONSE, self.id, self._status, "", self._fields, True])
        at = 0
        while at < len(body):
            while self._credit <= 0:
                await self._until_sendable()
                if self._aborted is not None:
                    raise ClientLeft(f"Cannot send the response: {self._aborted}")
            end = min(len(body), at + p.CHUNK_BYTES, at + self._credit)
            self._credit -= end - at
            self._worker.send([p.RESPONSE_CHUNK, self.id, body[at:end]])
            at = end

    async def _send_path(self, path: str) -> None:
        """The extension `http.response.pathsend`: the whole body is a file."""
        if not self._status:
            raise BadAnswer("Cannot send http.response.pathsend before http.response.start")
        if self._is_ended or self._sent:
            raise BadAnswer("Cannot send http.response.pathsend after a part of the body")
        # The primary sends files as they are. HEAD, and a file that this worker has to send, are like it.
        self._is_planned = True
        if not self._has_body:
            await self._send_last(b"")
            return
        loop = self._worker.loop
        with open(path, "rb", buffering=0) as file:
            handed = to_handed(file, self._length)
            if handed is not None:
                self._taken = loop.create_future()
                self._worker.send([p.RESPONSE_FILE, self.id, self._status, "", self._fields, handed])
                is_taken = await self._taken
                if self._aborted is not None:
                    raise ClientLeft(f"Cannot send the response: {self._aborted}")
                if is_taken:
                    self._is_begun = self._is_ended = True
                    self._wake_receive()
                    return
            while True:
                piece = await loop.run_in_executor(None, file.read, p.CHUNK_BYTES)
                if not piece:
                    break
                await self._send_piece(piece)
        await self._send_last(b"")

    def fail(self, error: BaseException) -> None:
        """Logs why the application failed. Answers 500, or breaks the response off."""
        worker = self._worker
        tell_failure(worker.log, self._message, error)
        if self._is_ended:
            return
        self._is_ended = True
        if not self._is_begun:
            status, block, body = answer_failure(
                error, is_development=worker.is_development, wants_page=is_page_wanted(self._message[p.FIELDS])
            )
            is_head = self._message[p.METHOD] == "HEAD"
            worker.send([p.RESPONSE, self.id, status, "", block, None if is_head else body])
        elif self._has_body:
            worker.send([p.RESPONSE_ABORT, self.id])
        self._wake_receive()
