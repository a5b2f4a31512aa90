"""One WebSocket of an ASGI application: its scope, `receive` and `send` (ASGI 3, WebSocket specification 2.5)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from . import protocol as p
from .asgi import AsgiExchange, ClientLeft, to_headers, to_scope
from .error_page import tell_failure
from .fields import BadAnswer
from .waiting import Waiting

if TYPE_CHECKING:
    from .asgi_worker import AsgiWorker

_VERSIONS = {"version": "3.0", "spec_version": "2.5"}

#: Bytes that `send` gives to the primary before it waits until the client has taken some of them.
_WINDOW_BYTES = 64 * 1024
#: Bytes of messages after which the worker asks the primary whether they have left.
_FLUSH_BYTES = _WINDOW_BYTES // 2
#: Each message counts as so many bytes more.
_MESSAGE_BYTES = 64

#: Close codes of RFC 6455 section 7.4 and its registry.
_NORMAL = 1000
_NO_CODE = 1005
_ABNORMAL = 1006
_INTERNAL_ERROR = 1011
_CODES = frozenset((1000, 1001, 1002, 1003, 1005, *range(1007, 1015)))
_MOST_REASON_BYTES = 123

_PROTOCOL = "sec-websocket-protocol"

# States: the request waits for `websocket.accept`, a response refuses it, messages pass, the application has closed, or
# the client is gone.
_CONNECTING = "connecting"
_DENYING = "denying"
_OPEN = "open"
_CLOSING = "closing"
_GONE = "gone"


def asks_for_socket(fields: str) -> bool:
    """Tells whether the fields of a request ask for a WebSocket (RFC 6455 section 4.2.1)."""
    return any("websocket" in _tokens(value.lower()) for value in _values(fields, "upgrade"))


def to_socket_scope(
    message: "list[Any]", mount: str, state: "dict[str, Any] | None", depth: "int | None" = None
) -> "dict[str, Any]":
    """Returns the scope of a request for a WebSocket."""
    scope = to_scope(message, mount, state, depth)
    del scope["method"]
    scope["type"] = "websocket"
    scope["asgi"] = _VERSIONS
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = _offered(message[p.FIELDS])
    scope["extensions"] = {"websocket.http.response": {}}
    return scope


class AsgiSocket(Waiting):
    """One WebSocket, from its request until its task has ended and the primary has told its end."""

    __slots__ = (
        "_message",
        "id",
        "_state",
        "_is_connect_taken",
        "_is_end_taken",
        "_is_task_over",
        "_denial",
        "_events",
        "_end",
        "_sent_bytes",
        "_asked_bytes",
        "_flushed_bytes",
    )

    def __init__(self, worker: "AsgiWorker", message: "list[Any]") -> None:
        super().__init__(worker)
        self._message = message
        self.id = message[p.ID]
        self._state = _CONNECTING
        self._is_connect_taken = False
        self._is_end_taken = False
        self._is_task_over = False
        #: Sends the response that refuses the request.
        self._denial: "AsgiExchange | None" = None
        #: Messages of the client that the application has not received.
        self._events: "deque[list[Any]]" = deque()
        #: The event at the end, once it has come.
        self._end: "dict[str, Any] | None" = None
        # Bytes since the beginning: given to the primary, those before the last question, those that have left.
        self._sent_bytes = 0
        self._asked_bytes = 0
        self._flushed_bytes = 0

    async def run(self) -> None:
        """Runs the application for this WebSocket. Raises nothing."""
        worker = self._worker
        try:
            scope = to_socket_scope(self._message, worker.mount, worker.state, worker.depth)
            await worker.application(scope, self.receive, self.send)
            self._finish()
        except BaseException as error:
            self._fail(error)
        finally:
            self._is_task_over = True
            # The primary keeps messages, and the end, until they are confirmed.
            for event in self._events:
                self._confirm(event[2])
            self._events.clear()
            worker.ended(self)

    async def receive(self) -> "dict[str, Any]":
        """Returns `websocket.connect`, then the messages of the client, then `websocket.disconnect`."""
        if not self._is_connect_taken:
            self._is_connect_taken = True
            return {"type": "websocket.connect"}
        while True:
            if self._events:
                _, _, number, data, is_binary = self._events.popleft()
                self._confirm(number)
                if is_binary:
                    return {"type": "websocket.receive", "bytes": data}
                return {"type": "websocket.receive", "text": data.decode("utf-8")}
            if self._end is not None:
                self._is_end_taken = True
                return dict(self._end)
            await self._until_received()

    async def send(self, event: "dict[str, Any]") -> None:
        """Takes an event of the application. Raises `OSError` once the client is gone."""
        kind = event["type"]
        state = self._state
        if state == _GONE:
            # Applications close in `finally`, also after the client has.
            if kind != "websocket.close":
                raise self._left()
        elif state == _OPEN:
            if kind == "websocket.send":
                await self._send_message(event)
            elif kind == "websocket.close":
                self._close(event.get("code"), event.get("reason"))
            else:
                raise BadAnswer(f"Cannot send {kind!r}: expected websocket.send or websocket.close after websocket.accept")
        elif state == _CONNECTING:
            if kind == "websocket.accept":
                self._accept(event)
            elif kind == "websocket.close":
                self._refuse(403, "", b"")
            elif kind == "websocket.http.response.start":
                await self._deny(event)
            else:
                raise BadAnswer(
                    f"Cannot send {kind!r}: expected websocket.accept, websocket.close or websocket.http.response.start first"
                )
        elif state == _DENYING:
            if kind != "websocket.http.response.body" or self._denial is None:
                raise BadAnswer(f"Cannot send {kind!r}: the application has refused the WebSocket")
            await self._denial.send({**event, "type": "http.response.body"})
            if self._denial.is_ended:
                self._come_to_end(_ABNORMAL, "")
        else:
            raise BadAnswer(f"Cannot send {kind!r} after websocket.close")

    # From the worker.

    def take(self, message: "list[Any]") -> None:
        """Takes a message of the primary about this WebSocket."""
        kind = message[0]
        if kind == p.SOCKET_MESSAGE:
            if self._is_task_over:
                self._confirm(message[2])
            else:
                self._events.append(message)
                self._wake_receive()
        elif kind == p.SOCKET_FLUSHED:
            number = message[2]
            if number == 0:
                self._lose()
            else:
                self._flushed_bytes = number
                self._wake_send()
        elif kind == p.SOCKET_CLOSED:
            _, _, number, code, reason, _ = message
            self._confirm(number)
            self._come_to_end(code, reason)
            self._worker.forget_socket(self)
        elif kind == p.SOCKET_FORGET:
            # The request was refused after all.
            self._come_to_end(_ABNORMAL, "")
            self._worker.forget_socket(self)

    def abort(self, reason: str) -> None:
        """No client waits for the answer any more."""
        if self._denial is not None:
            self._denial.abort(reason)
        self._come_to_end(_ABNORMAL, "")

    def grant(self, count: int) -> None:
        """Adds credit for the response that refuses the request."""
        if self._denial is not None:
            self._denial.grant(count)

    def push(self, piece: bytes) -> None:
        """Drops a piece of a body: a request for a WebSocket has none."""

    def end(self) -> None:
        """Notes the end of a body, which a request for a WebSocket does not have."""

    def take_file(self, is_taken: bool) -> None:
        """Ignores the answer about a file: no response of a WebSocket is one."""

    def _come_to_end(self, code: int, reason: str) -> None:
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._lose()
        self._wake_receive()

    def _lose(self) -> None:
        """The client takes nothing more."""
        self._state = _GONE
        self._wake_send()

    # The answer.

    def _accept(self, event: "dict[str, Any]") -> None:
        block = to_headers(event.get("headers") or ())[0]
        protocol = event.get("subprotocol")
        if any(True for _ in _values(block, _PROTOCOL)):
            raise BadAnswer(f"Cannot accept a WebSocket: found the header {_PROTOCOL}, expected it as subprotocol")
        if protocol is not None:
            offered = _offered(self._message[p.FIELDS])
            if protocol not in offered:
                raise BadAnswer(
                    f"Cannot accept a WebSocket: found the subprotocol {protocol!r}, expected one that the client offers: {offered!r}"
                )
            block = f"{block}\n{_PROTOCOL}\n{protocol}" if block else f"{_PROTOCOL}\n{protocol}"
        self._state = _OPEN
        self._worker.accepted_socket(self)
        self._worker.send([p.RESPONSE_SOCKET, self.id, block, True, [], True])

    async def _deny(self, event: "dict[str, Any]") -> None:
        denial = AsgiExchange(self._worker, self._message, compresses=False)
        await denial.send({**event, "type": "http.response.start"})
        self._denial = denial
        self._state = _DENYING

    def _refuse(self, status: int, block: str, body: bytes) -> None:
        self._state = _CLOSING
        self._worker.send([p.RESPONSE, self.id, status, "", block, body])
        self._come_to_end(_ABNORMAL, "")

    async def _send_message(self, event: "dict[str, Any]") -> None:
        data = event.get("bytes")
        is_binary = data is not None
        if is_binary:
            data = bytes(data)
        else:
            text = event.get("text")
            if not isinstance(text, str):
                raise BadAnswer("Cannot send websocket.send: found neither bytes nor text, expected one of both")
            data = text.encode("utf-8")
        if len(data) > p.MAX_SOCKET_MESSAGE_BYTES:
            raise BadAnswer(
                f"Cannot send a message of {len(data)} bytes: expected at most {p.MAX_SOCKET_MESSAGE_BYTES}, so send it in parts"
            )
        while self._sent_bytes - self._flushed_bytes >= _WINDOW_BYTES:
            await self._until_sendable()
            if self._state == _GONE:
                raise self._left()
            if self._state != _OPEN:
                raise BadAnswer("Cannot send 'websocket.send' after websocket.close")
        self._act([p.ACT_SEND, self.id, data, is_binary], len(data))
        self._sent_bytes += len(data) + _MESSAGE_BYTES
        if self._sent_bytes - self._asked_bytes >= _FLUSH_BYTES:
            self._asked_bytes = self._sent_bytes
            # The primary reads whole numbers above 2^32 as another type.
            self._act([p.ACT_FLUSH, self.id, float(self._sent_bytes)])

    def _close(self, code: "int | None", reason: "str | None") -> None:
        code = _NORMAL if code is None else code
        reason = reason or ""
        if code not in _CODES and not 3000 <= code <= 4999:
            raise BadAnswer(f"Cannot close a WebSocket: found the code {code!r}, expected 1000 to 1014 or 3000 to 4999")
        size = len(reason.encode("utf-8"))
        if size > _MOST_REASON_BYTES:
            raise BadAnswer(f"Cannot close a WebSocket: found a reason of {size} bytes, expected at most {_MOST_REASON_BYTES}")
        self._state = _CLOSING
        self._act([p.ACT_CLOSE, self.id, code, reason])
        self._wake_send()

    def _confirm(self, number: int) -> None:
        self._act([p.ACT_CONFIRM, self.id, number])

    def _act(self, act: "list[Any]", size: int = 0) -> None:
        self._worker.send_act(act, size)

    def _left(self) -> ClientLeft:
        return ClientLeft("Cannot send to a WebSocket: its client is gone")

    # The end of the task.

    def _finish(self) -> None:
        if self._state == _OPEN:
            self._close(_NORMAL, "")
        elif self._state == _CONNECTING:
            raise BadAnswer("Cannot answer a request for a WebSocket: the application ended without websocket.accept or websocket.close")
        elif self._denial is not None and self._state == _DENYING and not self._denial.is_ended:
            raise BadAnswer("Cannot send a response: the application ended before its last piece")

    def _fail(self, error: BaseException) -> None:
        worker = self._worker
        if self._state == _GONE and _is_about_the_end(error):
            worker.log.debug(f"application ended after its client left: {type(error).__name__}: {error}")
            return
        if self._state == _CONNECTING:
            self._denial = AsgiExchange(worker, self._message, compresses=False)
            self._state = _DENYING
        if self._denial is not None and self._state == _DENYING:
            self._denial.fail(error)
            return
        tell_failure(worker.log, self._message, error)
        if self._state == _OPEN:
            self._close(_INTERNAL_ERROR, "")


def _is_about_the_end(error: BaseException) -> bool:
    """Tells whether an error only says that the client is gone: Starlette raises its own, which is no `OSError`."""
    return isinstance(error, (OSError, asyncio.CancelledError)) or type(error).__name__ == "WebSocketDisconnect"


def _offered(fields: str) -> "list[str]":
    """Returns the subprotocols that a client offers."""
    return [token for value in _values(fields, _PROTOCOL) for token in _tokens(value)]


def _values(fields: str, name: str) -> "list[str]":
    """Returns the values of a field."""
    parts = fields.split("\n")
    return [parts[at + 1] for at in range(0, len(parts) - 1, 2) if parts[at] == name]


def _tokens(value: str) -> "list[str]":
    """Returns the elements of a list, such as `a, b`."""
    return [token for token in (part.strip() for part in value.split(",")) if token]
