"""Runs requests through a WSGI application: PEP 3333."""

from __future__ import annotations

import io
import threading
import zlib
from contextvars import copy_context
from typing import Any, Callable, Iterable
from urllib.parse import unquote_to_bytes

from . import protocol as p
from .compression import LEAST_BYTES, Compression, compress_whole, make_encoder, plan_answer, to_plain_tags
from .current import of_thread, to_current
from .error_page import answer_failure, tell_failure
from .fields import NO_BODY, PHRASES, BadAnswer, describe, is_page_wanted, split_origin, split_url, to_block
from .logs import Log, LogStream
from .handed_file import FileWrapper, to_handed
from .mount import split_mount
from .wsgi_input import ClientLeft, StreamedInput, gather
from .wsgi_link import Exchange, Link, Slot, path_of


class _EnvironNames(dict):
    """Names of environ by names of fields. A field with an underscore has none: it could forge another one."""

    def __missing__(self, name: str) -> "str | None":
        if "_" in name:
            known = None
        else:
            known = "HTTP_" + name.upper().replace("-", "_")
        if len(self) < 1000:
            self[name] = known
        return known


_ENVIRON_NAMES = _EnvironNames(
    {
        "content-type": "CONTENT_TYPE",
        "content-length": "CONTENT_LENGTH",
        # The primary sets this field, and no client can send it.
        "x-edgicorn-user": "REMOTE_USER",
    }
)


class _Origins(dict):
    def __missing__(self, origin: str) -> "tuple[str, str, str]":
        parts = split_origin(origin)
        if len(self) < 1000:
            self[origin] = parts
        return parts


class _Statuses(dict):
    """Status and phrase by the text that an application gives."""

    def __missing__(self, text: str) -> "tuple[int, str]":
        code, _, phrase = text.partition(" ")
        if len(code) != 3 or not code.isdigit() or not 200 <= int(code) <= 599:
            raise BadAnswer(f'Cannot send the status {text!r}: expected a number from 200 to 599 and a phrase, such as "200 OK"')
        if "\n" in phrase or "\r" in phrase or len(phrase) > 1000:
            raise BadAnswer(f"Cannot send the status {text!r}: found a line break or a long phrase, expected a short text")
        number = int(code)
        parsed = number, "" if phrase == PHRASES.get(number) else phrase
        if len(self) < 1000:
            self[text] = parsed
        return parsed


class WsgiRunner:
    """Calls the application for each request. One for all threads."""

    def __init__(
        self,
        application: "Callable[..., Iterable[bytes]]",
        link: Link,
        log: Log,
        *,
        mount: str,
        depth: "int | None",
        threads: int,
        is_development: bool,
    ) -> None:
        self.application = application
        self.link = link
        self.log = log
        self.mount = mount
        self._depth = depth
        self.is_development = is_development
        self._origins = _Origins()
        self.statuses = _Statuses()
        self._warned: "set[str]" = set()
        self._errors = LogStream(log, "error", "wsgi.errors", None)
        self._base: "dict[str, Any]" = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": threads > 1,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.errors": self._errors,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
            "SERVER_SOFTWARE": "edgicorn",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SCRIPT_NAME": mount,
        }

    def run(self, slot: Slot, exchange: Exchange) -> None:
        """Answers one request. Raises nothing but `ChannelEnded`."""
        of_thread.id = to_current(exchange.message)
        answer = Answer(self, slot, exchange)
        body_file = None
        try:
            environ = self._to_environ(exchange.message)
            if exchange.chunks is None:
                body = exchange.message[p.BODY]
                if body is None:
                    environ["wsgi.input"] = io.BytesIO()
                else:
                    environ["wsgi.input"] = io.BytesIO(body)
                    environ["CONTENT_LENGTH"] = str(len(body))
            else:
                stream = StreamedInput(exchange, self.link)
                if "CONTENT_LENGTH" in environ:
                    environ["wsgi.input"] = stream
                else:
                    # Applications take a request without a length for one without a body.
                    body_file, length = gather(stream)
                    environ["wsgi.input"] = body_file
                    environ["CONTENT_LENGTH"] = str(length)
            answer.send_all(self.application(environ, answer.start))
        except p.ChannelEnded:
            raise
        except BaseException as error:
            self._fail(answer, exchange, error)
        finally:
            if body_file is not None:
                body_file.close()
            self._errors.flush()
            of_thread.id = 0

    def _to_environ(self, message: "list[Any]") -> "dict[str, Any]":
        environ = self._base.copy()
        origin, path, query = split_url(message[p.URL])
        scheme, host, port = self._origins[origin]
        environ["wsgi.url_scheme"] = scheme
        environ["SERVER_NAME"] = host
        environ["SERVER_PORT"] = port
        environ["REQUEST_METHOD"] = message[p.METHOD]
        environ["REMOTE_ADDR"] = message[p.CLIENT_ADDRESS]
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = environ["RAW_URI"] = f"{path}?{query}" if query else path
        if self._depth is not None:
            self._split_path(environ, path, message[p.PARAMS])
        else:
            if "%" in path:
                path = unquote_to_bytes(path).decode("latin-1")
            environ["PATH_INFO"] = path[len(self.mount) :] if self.mount else path
        fields = message[p.FIELDS]
        if fields:
            before = len(environ)
            parts = fields.split("\n")
            names = parts[0::2]
            environ.update(zip(map(_ENVIRON_NAMES.__getitem__, names), parts[1::2]))
            if len(environ) - before != len(names) or None in environ:
                self._join_fields(environ, names, parts[1::2])
            if Compression.level is not None and "-match\n" in fields:
                for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
                    if name in environ:
                        environ[name] = to_plain_tags(environ[name])
        return environ

    def _split_path(self, environ: "dict[str, Any]", path: str, params: "dict[str, str] | None") -> None:
        """Sets the names of a mount that has parameters or encoded characters, and so differs by request."""
        script, rest = split_mount(path, self._depth or 0)
        environ["SCRIPT_NAME"] = unquote_to_bytes(script).decode("latin-1")
        environ["PATH_INFO"] = unquote_to_bytes(rest).decode("latin-1")
        # https://wsgi.readthedocs.io/en/latest/specifications/routing_args.html
        environ["wsgiorg.routing_args"] = ((), params or {})

    def _join_fields(self, environ: "dict[str, Any]", names: "list[str]", values: "list[str]") -> None:
        """Sets fields that came several times, and leaves out those with underscores."""
        environ.pop(None, None)  # type: ignore[call-overload]
        joined: "dict[str, str]" = {}
        for name, value in zip(names, values):
            key = _ENVIRON_NAMES[name]
            if key is None:
                self._warn_once(name)
            elif key not in joined:
                joined[key] = value
            elif key == "HTTP_COOKIE":
                joined[key] += "; " + value
            elif key not in ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_HOST"):
                joined[key] += "," + value
        environ.update(joined)

    def _warn_once(self, name: str) -> None:
        if name in self._warned or len(self._warned) > 100:
            return
        self._warned.add(name)
        self.log.warn(f"field {name} of a request left out: its underscore could stand for a hyphen")

    def _fail(self, answer: "Answer", exchange: Exchange, error: BaseException) -> None:
        left = exchange.aborted is not None
        if left and isinstance(error, (ClientLeft, OSError)):
            self.log.debug("request given up", reason=exchange.aborted)
            return
        tell_failure(self.log, exchange.message, error)
        if not left:
            answer.fail(error)


class Answer:
    """The answer of one request: `start_response`, `write`, and the sending of the body."""

    __slots__ = ("_runner", "_slot", "_exchange", "_status", "_phrase", "_fields", "_length", "_sent", "_is_begun", "_is_ended", "_has_body", "_is_planned", "_encoder")

    def __init__(self, runner: WsgiRunner, slot: Slot, exchange: Exchange) -> None:
        self._runner = runner
        self._slot = slot
        self._exchange = exchange
        self._status = 0
        self._phrase = ""
        self._fields = ""
        self._length: "int | None" = None
        self._sent = 0
        self._is_begun = False
        self._is_ended = False
        self._has_body = True
        self._is_planned = False
        #: Compresses a body that leaves in pieces.
        self._encoder: Any = None

    def start(self, status: str, headers: "list[tuple[str, str]]", exc_info: Any = None) -> "Callable[[bytes], None]":
        """`start_response` of PEP 3333."""
        if exc_info is not None:
            try:
                if self._is_begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status:
            raise BadAnswer("Cannot call start_response twice without exc_info")
        number, phrase = self._runner.statuses[status]
        self._fields, self._length = to_block(headers)
        self._status, self._phrase = number, phrase
        self._has_body = number not in NO_BODY and self._exchange.message[p.METHOD] != "HEAD"
        return self.write

    def write(self, data: bytes) -> None:
        """The `write` of PEP 3333, for applications from before iterables."""
        if not self._status:
            raise BadAnswer("Cannot write before start_response")
        self._send_piece(data)

    def send_all(self, result: "Iterable[bytes]") -> None:
        """Sends the iterable, piece by piece as it is produced, and closes it exactly once."""
        try:
            kind = type(result)
            if (kind is list or kind is tuple) and len(result) == 1 and self._status and not self._is_begun:  # type: ignore[arg-type]
                data = result[0]  # type: ignore[index]
                if type(data) is bytes and len(data) <= p.CHUNK_BYTES and self._length in (None, len(data)):
                    self._send_whole(data)
                    return
            if kind is FileWrapper:
                # The primary sends files as they are. HEAD, and a file that this worker has to send, are like it.
                self._is_planned = True
            if kind is FileWrapper and self._hand_over(result.file):  # type: ignore[attr-defined]
                return
            if isinstance(result, (str, bytes)):
                raise BadAnswer(f"Cannot send a body of type {describe(result)}: expected an iterable of bytes, such as [body]")
            for data in result:
                if data:
                    if not self._status:
                        raise BadAnswer("Cannot send a body: start_response was not called")
                    self._send_piece(data)
                    if not self._has_body:
                        break
            self._finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _hand_over(self, file: Any) -> bool:
        """Lets the primary send a file. Returns false if this worker must."""
        if not self._status or self._is_begun or not self._has_body:
            return False
        handed = to_handed(file, self._length)
        if handed is None:
            return False
        exchange = self._exchange
        self._send([[p.RESPONSE_FILE, exchange.id, self._status, self._phrase, self._fields, handed]])
        # The file stays open until the primary has opened it.
        self._runner.link.wait_for(exchange, lambda: exchange.file_taken is not None or exchange.aborted is not None)
        if exchange.aborted is not None:
            raise ClientLeft(f"Cannot send the response: {exchange.aborted}")
        if not exchange.file_taken:
            return False
        self._is_begun = self._is_ended = True
        return True

    def fail(self, error: BaseException) -> None:
        """Answers 500, or breaks off an answer that has begun."""
        if self._is_ended:
            return
        self._is_ended = True
        number = self._exchange.id
        if self._is_begun:
            self._runner.link.send([[p.RESPONSE_ABORT, number]])
            return
        fields = self._exchange.message[p.FIELDS]
        status, block, body = answer_failure(
            error, is_development=self._runner.is_development, wants_page=is_page_wanted(fields)
        )
        if self._exchange.message[p.METHOD] == "HEAD":
            body = None  # type: ignore[assignment]
        self._send([[p.RESPONSE, number, status, "", block, body]])

    def _send_whole(self, body: "bytes | None") -> None:
        self._is_begun = self._is_ended = True
        exchange = self._exchange
        if exchange.aborted is not None:
            return
        if not self._has_body:
            body = None
        if body is None or len(body) >= LEAST_BYTES:
            body = self._compress(body)
        message = [p.RESPONSE, exchange.id, self._status, self._phrase, self._fields, body]
        try:
            self._runner.link.send_answer(self._slot, message)
        except UnicodeEncodeError as error:
            self._is_begun = self._is_ended = False
            raise BadAnswer(f"Cannot send the headers: {error}") from error

    def _compress(self, body: "bytes | None") -> "bytes | None":
        """Compresses a whole body where the client accepts it. Sets the fields that tell of it, also without a body."""
        if self._is_planned:
            return body
        message = self._exchange.message
        answer = (self._status, self._fields, self._length)
        self._fields, body = compress_whole(answer, (message[p.METHOD], message[p.FIELDS]), body)
        return body

    def _plan_stream(self) -> None:
        """Decides whether the pieces of the body are compressed."""
        self._is_planned = True
        if Compression.level is None:
            return
        plan = plan_answer(self._status, self._fields, self._length, self._exchange.message[p.FIELDS])
        if plan is None:
            return
        self._fields = plan.coded or plan.plain
        if plan.coded is not None:
            self._encoder = make_encoder()

    def _send_piece(self, data: bytes) -> None:
        if type(data) is not bytes:
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise BadAnswer(f"Cannot send a piece of type {describe(data)}: expected bytes")
            data = bytes(data)
        length = self._length
        if self._is_ended:
            self._sent += len(data)
            if length is not None and self._sent > length:
                self._tell_surplus()
            return
        if not self._has_body:
            self._send_whole(None)
            return
        if not self._is_begun and len(data) == length and length <= p.CHUNK_BYTES:
            # The common case: all of the body, with its length. What follows, if anything does, is left out.
            self._sent = length
            self._send_whole(data)
            return
        if length is not None and self._sent + len(data) > length:
            self._tell_surplus()
            data = data[: length - self._sent]
        self._sent += len(data)
        if not self._is_planned:
            self._plan_stream()
        if self._encoder is not None:
            # A piece of a body without a length may be all that comes for a while.
            data = self._encoder.compress(data)
            if length is None:
                data += self._encoder.flush(zlib.Z_SYNC_FLUSH)
        self._stream(data)

    def _stream(self, data: bytes) -> None:
        exchange = self._exchange
        number = exchange.id
        at = 0
        while at < len(data):
            if exchange.credit <= 0:
                self._runner.link.wait_for(exchange, lambda: exchange.credit > 0 or exchange.aborted is not None)
            if exchange.aborted is not None:
                raise ClientLeft(f"Cannot send the response: {exchange.aborted}")
            end = min(len(data), at + p.CHUNK_BYTES, at + exchange.credit)
            piece = data if end - at == len(data) else data[at:end]
            exchange.credit -= end - at
            at = end
            if self._is_begun:
                self._send([[p.RESPONSE_CHUNK, number, piece]])
            else:
                self._begin([[p.RESPONSE_CHUNK, number, piece]])

    def _begin(self, more: "list[Any]") -> None:
        self._is_begun = True
        exchange = self._exchange
        exchange.began_answer = True
        head = [p.RESPONSE, exchange.id, self._status, self._phrase, self._fields, True]
        self._send([head, *more])

    def _finish(self) -> None:
        if not self._status:
            raise BadAnswer("Cannot send a response: start_response was not called")
        if self._is_ended:
            return
        if self._encoder is not None and self._exchange.aborted is None and self._length in (None, self._sent):
            self._stream(self._encoder.flush())
        if not self._is_begun:
            if self._length and self._has_body:
                raise BadAnswer(f"Cannot send a response: its body is empty, expected the {self._length} bytes of its content-length")
            self._send_whole(b"")
            return
        self._is_ended = True
        exchange = self._exchange
        if self._length is not None and self._sent < self._length and self._has_body:
            self._runner.link.send([[p.RESPONSE_ABORT, exchange.id]])
            raise BadAnswer(f"Cannot end a response: its body has {self._sent} bytes, expected the {self._length} of its content-length")
        if exchange.aborted is None:
            self._send([[p.RESPONSE_END, exchange.id]])

    def _tell_surplus(self) -> None:
        exchange = self._exchange
        self._runner.log.warn(
            "body of a response cut: it is longer than its content-length",
            contentLength=self._length,
            method=exchange.message[p.METHOD],
            path=path_of(exchange.message[p.URL]),
        )

    def _send(self, messages: "list[Any]") -> None:
        slot = self._slot
        try:
            with slot.lock:
                answers = slot.answers
                payload = slot.pack([*answers, *messages] if answers else messages)
                slot.answers = []
        except UnicodeEncodeError as error:
            self._is_begun = self._is_ended = False
            raise BadAnswer(f"Cannot send the headers: {error}") from error
        self._runner.link.send_packed(payload)


def run_threads(runner: WsgiRunner, link: Link, count: int) -> None:
    """Runs the application in `count` threads, of which the calling one is the first. Returns at the end of the channel."""
    slots = [Slot() for _ in range(count)]
    link.slots = slots
    link.start_own_thread()
    for number, slot in enumerate(slots[1:], start=2):
        name = f"edgicorn-{number}"
        threading.Thread(target=_serve, args=(runner, link, slot), name=name, daemon=True).start()
    _serve(runner, link, slots[0])


def _serve(runner: WsgiRunner, link: Link, slot: Slot) -> None:
    slot.ident = threading.get_ident()
    try:
        while True:
            exchange = link.next_request(slot)
            if exchange is None:
                return
            try:
                # Values of context variables must not stay for the thread's next request.
                copy_context().run(runner.run, slot, exchange)
            finally:
                link.finish(slot)
    except p.ChannelEnded:
        pass
