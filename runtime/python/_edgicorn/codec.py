"""Frames of the channel: a length in four bytes, least significant first, then an array of messages."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator

from . import small_msgpack

#: Bytes that one read can take.
_BUFFER_BYTES = 256 * 1024

#: Largest frame: bodies of one turn and their heads. The primary's own bound is lower unless a route raises it.
_MAX_FRAME_BYTES = 128 * 1024 * 1024


def pick_codec() -> "tuple[Callable[[], Callable[[Any], bytes]], Callable[[Any], Any], str]":
    """Returns a maker of packers, an unpacker, and the codec's name.

    A packer of the package msgpack has a buffer of its own: each thread needs one.
    """
    if os.environ.get("SMALL_MSGPACK") != "1":
        try:
            import msgpack

            def make_packer() -> Callable[[Any], bytes]:
                return msgpack.Packer(use_bin_type=True, autoreset=True).pack

            def unpack(data: Any) -> Any:
                return msgpack.unpackb(
                    data,
                    raw=False,
                    strict_map_key=False,
                    unicode_errors="replace",
                    max_bin_len=_MAX_FRAME_BYTES,
                    max_str_len=_MAX_FRAME_BYTES,
                )

            # An old or foreign package of this name may not know these options.
            if unpack(make_packer()([1, "a", b"b"])) == [1, "a", b"b"]:
                return make_packer, unpack, f"msgpack {'.'.join(map(str, msgpack.version))}"
        except Exception:
            pass
    return (lambda: small_msgpack.pack), small_msgpack.unpack, "built in"


make_packer, unpack, codec_name = pick_codec()


def to_frame(payload: bytes) -> bytes:
    """Puts the length in front of a packed array of messages."""
    return len(payload).to_bytes(4, "little") + payload


class FrameReader:
    """Cuts the byte stream into frames, wherever it was split."""

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0

    def space(self) -> memoryview:
        """Returns the memory for the next read."""
        return self._view[self._end :]

    def filled(self, count: int) -> Iterator[list]:
        """Notes that `count` bytes were read into the space. Yields the messages of each complete frame."""
        self._end += count
        needed = 4
        while self._end - self._start >= 4:
            start = self._start
            needed = 4 + int.from_bytes(self._buffer[start : start + 4], "little")
            if needed > _MAX_FRAME_BYTES:
                raise ValueError(f"Cannot read a frame: it announces {needed} bytes")
            if self._end - start < needed:
                break
            self._start = start + needed
            yield unpack(self._view[start + 4 : start + needed])
            needed = 4
        self._make_room(needed)

    def feed(self, data: bytes) -> Iterator[list]:
        """Takes bytes that another reader read. Yields the messages of each complete frame."""
        at = 0
        while at < len(data):
            space = self.space()
            count = min(len(space), len(data) - at)
            space[:count] = data[at : at + count]
            at += count
            yield from self.filled(count)

    def _make_room(self, needed: int) -> None:
        if self._start == self._end:
            self._start = self._end = 0
            if len(self._buffer) > _BUFFER_BYTES:
                self._resize(_BUFFER_BYTES)
        elif self._start + needed > len(self._buffer) or self._end == len(self._buffer):
            rest = bytes(self._view[self._start : self._end])
            self._resize(max(needed, _BUFFER_BYTES))
            self._view[: len(rest)] = rest
            self._start, self._end = 0, len(rest)

    def _resize(self, size: int) -> None:
        if size == len(self._buffer):
            return
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
