"""`wsgi.input`: the body of a request, read while it arrives."""

from __future__ import annotations

import io
import tempfile
from typing import Any, Iterator

from . import protocol as p
from .wsgi_link import Exchange, Link

#: A body of unknown length is kept in memory up to this size, else on disk, before the application runs.
_KEPT_IN_MEMORY_BYTES = 1024 * 1024


class StreamedInput(io.BufferedIOBase):
    """Reads a body whose chunks follow the request. Grants the primary as much as the application has taken."""

    def __init__(self, exchange: Exchange, link: Link) -> None:
        super().__init__()
        self._exchange = exchange
        self._link = link
        self._piece = b""
        self._at = 0

    def readable(self) -> bool:
        """Returns true: it can be read."""
        return True

    def read(self, size: "int | None" = -1) -> bytes:  # type: ignore[override]
        """Reads `size` bytes, fewer at the end of the body; without a size the whole rest.

        Raises `OSError` when the client left before the end.
        """
        if size is None or size < 0:
            return b"".join(self._pieces())
        parts = []
        while size > 0:
            part = self._take(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1) -> bytes:
        """Reads what has arrived, at most `size` bytes, and waits only where nothing has."""
        return self._take(size if size >= 0 else p.CHUNK_BYTES)

    def readinto(self, buffer: Any) -> int:
        """Reads into a buffer. Returns the number of bytes, 0 at the end of the body."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size: "int | None" = -1) -> bytes:  # type: ignore[override]
        """Reads up to the end of a line, at most `size` bytes."""
        parts = []
        left = -1 if size is None else size
        while left != 0:
            if not self._fill():
                break
            end = self._piece.find(b"\n", self._at)
            stop = len(self._piece) if end == -1 else end + 1
            if 0 <= left < stop - self._at:
                stop = self._at + left
            part = self._piece[self._at : stop]
            self._at = stop
            parts.append(part)
            if left > 0:
                left -= len(part)
            if part.endswith(b"\n"):
                break
        return b"".join(parts)

    def readlines(self, hint: "int | None" = -1) -> "list[bytes]":  # type: ignore[override]
        """Reads lines until the end, or until they have `hint` bytes together."""
        lines = []
        count = 0
        for line in self:
            lines.append(line)
            count += len(line)
            if hint is not None and 0 < hint <= count:
                break
        return lines

    def __iter__(self) -> "Iterator[bytes]":  # type: ignore[override]
        """Yields the lines of the body."""
        while True:
            line = self.readline()
            if not line:
                return
            yield line

    def _pieces(self) -> "Iterator[bytes]":
        while True:
            part = self._take(p.CHUNK_BYTES)
            if not part:
                return
            yield part

    def _take(self, most: int) -> bytes:
        if most == 0 or not self._fill():
            return b""
        part = self._piece[self._at : self._at + most]
        self._at += len(part)
        return part

    def _fill(self) -> bool:
        """Makes sure that a piece has bytes left. Returns false at the end of the body."""
        if self._at < len(self._piece):
            return True
        exchange = self._exchange
        chunks = exchange.chunks
        if chunks is None:
            return False
        while True:
            if self._piece:
                # Granted once it is used up: the application may never read on.
                self._link.send([[p.REQUEST_CREDIT, exchange.id, len(self._piece)]])
                self._piece = b""
                self._at = 0
            self._link.wait_for(exchange, lambda: bool(chunks) or exchange.chunks_ended or exchange.aborted is not None)
            if chunks:
                self._piece = chunks.popleft()
                if self._piece:
                    return True
            elif exchange.chunks_ended:
                return False
            else:
                raise ClientLeft(f"Cannot read the request body: {exchange.aborted}")


class ClientLeft(ConnectionError):
    """The client left, or was cut off, before the end of the exchange."""


def gather(stream: StreamedInput) -> "tuple[Any, int]":
    """Reads a body of unknown length to its end. Returns a file at its beginning, and the length."""
    file = tempfile.SpooledTemporaryFile(max_size=_KEPT_IN_MEMORY_BYTES)  # noqa: SIM115 (closed by the caller)
    length = 0
    while True:
        part = stream.read1()
        if not part:
            break
        file.write(part)
        length += len(part)
    file.seek(0)
    return file, length
