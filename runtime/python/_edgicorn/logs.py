"""The worker's part of the server's log: one line per event, in the form that the primary writes."""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import sys
import threading
import time
import traceback
from typing import Any, Callable, Iterable

from .current import current_id, to_request_id
from .redactor import Redactor

LEVELS = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60, "silent": 100}

#: Levels of the module `logging` by the levels of the server's log.
PYTHON_LEVELS = {
    "trace": 1,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "silent": logging.CRITICAL + 10,
}

#: Time between looks whether the log file was moved away by a program that rotates logs.
_LOOK_SECONDS = 1.0

#: Least time between two reports of failures to the primary.
_REPORT_SECONDS = 0.05

#: Longest message of such a report.
_LONGEST_REPORT = 300

#: Longest line of a print that waits for its end.
_MOST_UNENDED = 64 * 1024


class Log:
    """Writes log lines: JSON for programs, or one readable line for a person at a terminal."""

    def __init__(self, settings: "dict[str, Any]") -> None:
        self._level = LEVELS.get(settings["logLevel"], 30)
        #: Level of the module `logging` that has the same lines.
        self.python_level = PYTHON_LEVELS.get(settings["logLevel"], logging.INFO)
        self._file = settings["logFile"]
        self._fd = 2
        self._looked_at = 0.0
        self._lock = threading.Lock()
        self._prefix = settings["requestIdPrefix"]
        self._app = settings["app"]["spec"]
        #: Sends a reason to the primary, once the worker can.
        self.send_failure: "Callable[[dict[str, Any]], None] | None" = None
        self._reported_at = float("-inf")
        self._redact = Redactor(settings["redactQuery"]).redact
        self._base = {"pid": os.getpid(), "workerId": settings["workerId"]}
        form = settings["logFormat"]
        self._pretty = self._file is None and (
            form == "pretty" or (form == "auto" and os.isatty(2))
        )

    def debug(self, message: str, **fields: Any) -> None:
        """Writes a line of level debug."""
        self.write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Writes a line of level info."""
        self.write("info", message, fields)

    def warn(self, message: str, **fields: Any) -> None:
        """Writes a line of level warn."""
        self.write("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Writes a line of level error."""
        self.write("error", message, fields)

    def write(self, level: str, message: str, fields: "dict[str, Any]") -> None:
        """Writes a line. Names the request that the calling code answers, unless the fields do."""
        if LEVELS[level] < self._level:
            return
        now = time.time()
        number = current_id()
        if number and "requestId" not in fields:
            fields = {"requestId": to_request_id(self._prefix, number), **fields}
        if self._pretty:
            clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now * 1000) % 1000:03}"
            shown = {"workerId": self._base["workerId"], **fields}
            stack = shown.pop("err", {}).get("stack", "") if isinstance(shown.get("err"), dict) else ""
            line = f"[{clock}] {level.upper()}: {_harmless(message)} {_to_json(shown)}\n"
            if stack:
                line += "".join(f"    {_harmless(row)}\n" for row in stack.rstrip("\n").split("\n"))
        else:
            at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z"
            line = _to_json({"level": level, "time": at, **self._base, **fields, "msg": message}) + "\n"
        self._write(self._redact(line).encode("utf-8", "backslashreplace"))

    def failure(self, message: str, error: BaseException, **fields: Any) -> None:
        """Writes a line of level error with the traceback of an exception."""
        kind = type(error).__name__
        err = {"type": kind, "message": str(error), "stack": format_error(error)}
        self.write("error", message, {"err": err, **fields})

    def report(self, error: BaseException) -> None:
        """Reports to the primary why the request that the calling code answers fails: few reports of a flood."""
        number = current_id()
        now = time.monotonic()
        if self.send_failure is None or not number or now - self._reported_at < _REPORT_SECONDS:
            return
        self._reported_at = now
        # That module needs this one.
        from .loading import place_of

        try:
            self.send_failure(
                {
                    "requestId": to_request_id(self._prefix, number),
                    "message": " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_REPORT],
                    "handler": self._app,
                    "place": place_of(error),
                }
            )
        except Exception:  # A report that fails must not change the answer.
            return

    def _write(self, data: bytes) -> None:
        with self._lock:
            if self._file is not None:
                self._open()
            while data:
                try:
                    data = data[os.write(self._fd, data) :]
                except BlockingIOError:
                    # Standard error is a pipe whose reader is slow: its other writers made it non-blocking.
                    time.sleep(0.01)
                except OSError:
                    # The reader is gone, or the disk is full.
                    return

    def _open(self) -> None:
        """Opens the log file, and opens it anew after it was moved."""
        now = time.monotonic()
        if self._fd != 2 and now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            if self._fd != 2:
                here, there = os.fstat(self._fd), os.stat(self._file)
                if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                    return
        except OSError:
            pass
        try:
            fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError:
            return
        if self._fd != 2:
            os.close(self._fd)
        self._fd = fd


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _harmless(text: str) -> str:
    """Replaces control characters, which could forge a line or move the cursor of a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\t" else repr(each)[1:-1] for each in text)


class LogStream(io.TextIOBase):
    """A text stream whose lines become log lines. Stands for `sys.stdout`, `sys.stderr` and `wsgi.errors`."""

    def __init__(self, log: Log, level: str, stream: str, descriptor: "int | None") -> None:
        super().__init__()
        self._log = log
        self._log_level = level
        self._stream = stream
        self._descriptor = descriptor
        self._rests: "dict[int, str]" = {}

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding that programs ask a stream for."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The handling of characters that cannot be encoded."""
        return "backslashreplace"

    @property
    def buffer(self) -> "_ByteSide":
        """The stream for bytes, which some programs write to."""
        return _ByteSide(self)

    @property
    def name(self) -> str:
        """Name of the stream, as Python's own streams have one."""
        return f"<{self._stream}>"

    def writable(self) -> bool:
        """Returns true: it can be written."""
        return True

    def reconfigure(self, **_: Any) -> None:
        """Changes nothing: encoding and line ends are those of the log."""

    def isatty(self) -> bool:
        """Returns false: colours would stand in the log."""
        return False

    def fileno(self) -> int:
        """Returns the descriptor that child processes of the application may write to."""
        if self._descriptor is None:
            raise io.UnsupportedOperation("fileno")
        return self._descriptor

    def write(self, text: str) -> int:
        """Takes text. Each complete line becomes a log line."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        thread = threading.get_ident()
        rest = self._rests.pop(thread, "") + text
        *lines, rest = rest.split("\n")
        if len(rest) > _MOST_UNENDED:
            lines.append(rest)
            rest = ""
        if rest:
            self._rests[thread] = rest
        if any(lines):
            self._tell(lines)
        return len(text)

    def writelines(self, lines: "Iterable[str]") -> None:  # type: ignore[override]
        """Takes a sequence of texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Writes the line that has no end yet."""
        if not self._rests:
            return
        rest = self._rests.pop(threading.get_ident(), "")
        if rest:
            self._tell([rest])

    def close(self) -> None:
        """Keeps the stream open: a library must not end the log of all others."""
        self.flush()

    def _tell(self, lines: "list[str]") -> None:
        # A traceback is one event.
        text = "\n".join(lines).rstrip("\n") if lines[0].startswith("Traceback ") else None
        for line in [text] if text is not None else lines:
            if line:
                self._log.write(self._log_level, line.rstrip("\r"), {"stream": self._stream})


class _ByteSide(io.RawIOBase):
    def __init__(self, text: LogStream) -> None:
        super().__init__()
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        self._text.flush()


class LogHandler(logging.Handler):
    """Passes records of the module `logging` to the server's log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        try:
            fields: "dict[str, Any]" = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                if record.levelno >= logging.ERROR:
                    # A framework answers 500 by itself, and logs the exception.
                    self._log.report(error)
                fields["err"] = {
                    "type": type(error).__name__,
                    "message": str(error),
                    "stack": format_error(error),
                }
            self._log.write(_level_of(record.levelno), record.getMessage(), fields)
        except Exception:
            self.handleError(record)


def _level_of(number: int) -> str:
    if number >= logging.CRITICAL:
        return "fatal"
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


def take_over_output(log: Log) -> None:
    """Sends prints, standard error and the module `logging` to the server's log.

    An application that sets up `logging` itself replaces the handler. What it then writes to standard error arrives here
    all the same.
    """
    sys.stdout.flush()
    sys.stdout = LogStream(log, "info", "stdout", 1)  # type: ignore[assignment]
    sys.stderr = LogStream(log, "warn", "stderr", 2)  # type: ignore[assignment]
    handler = LogHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(log.python_level)
    logging.captureWarnings(True)
    # The default for loggers that have no handler, before an application has replaced the root's.
    logging.lastResort = handler  # type: ignore[assignment]


def format_error(error: BaseException) -> str:
    """Returns the traceback of an exception, without the frames of this worker."""
    return "".join(traceback.format_exception(type(error), error, trim(error.__traceback__)))


_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def trim(trace: Any) -> Any:
    """Returns the part of a traceback that begins in the application; all of it where none does."""
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        at = at.tb_next
    while at is not None and _is_import_machinery(at.tb_frame.f_code.co_filename):
        at = at.tb_next
    return at if at is not None else trace


def _is_import_machinery(path: str) -> bool:
    return path.startswith("<frozen importlib") or path == _IMPORTLIB


_IMPORTLIB = importlib.__file__


def is_own_file(path: str) -> bool:
    """Tells whether a source file belongs to this worker."""
    return path.startswith(_OWN_FOLDER)
