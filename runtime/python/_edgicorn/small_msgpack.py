"""MessagePack for applications without the package msgpack: the types that the channel uses."""

from __future__ import annotations

import struct
from typing import Any

_FLOAT64 = struct.Struct(">d")
_UINT16 = struct.Struct(">H")
_UINT32 = struct.Struct(">I")
_INT32 = struct.Struct(">i")


def pack(value: Any) -> bytes:
    """Encodes nil, booleans, numbers, strings, bytes, lists, tuples and maps."""
    out = bytearray()
    _pack(value, out)
    return bytes(out)


def _pack(value: Any, out: bytearray) -> None:
    kind = type(value)
    if kind is int:
        _pack_int(value, out)
    elif kind is str:
        data = value.encode()
        _pack_length(len(data), out, (0xA0, 31), (0xD9, 0xDA, 0xDB))
        out += data
    elif kind is bytes or isinstance(value, (bytes, bytearray, memoryview)):
        _pack_length(len(value), out, None, (0xC4, 0xC5, 0xC6))
        out += value
    elif value is None:
        out.append(0xC0)
    elif value is True:
        out.append(0xC3)
    elif value is False:
        out.append(0xC2)
    elif kind is list or kind is tuple:
        _pack_length(len(value), out, (0x90, 15), (None, 0xDC, 0xDD))
        for item in value:
            _pack(item, out)
    elif kind is dict:
        _pack_length(len(value), out, (0x80, 15), (None, 0xDE, 0xDF))
        for key, item in value.items():
            _pack(key, out)
            _pack(item, out)
    elif kind is float:
        out.append(0xCB)
        out += _FLOAT64.pack(value)
    elif isinstance(value, (int, str, float)):
        # A subclass, such as an `IntEnum` or a marked-up string.
        base = int if isinstance(value, int) else str if isinstance(value, str) else float
        _pack(base(value), out)
    else:
        raise TypeError(f"Cannot pack {kind.__name__}")


def _pack_int(value: int, out: bytearray) -> None:
    if 0 <= value < 0x80:
        out.append(value)
    elif value < 0:
        if value >= -0x20:
            out.append(value + 0x100)
        elif value >= -0x80000000:
            out.append(0xD2)
            out += _INT32.pack(value)
        else:
            _pack_large(value, out)
    elif value < 0x100:
        out += bytes((0xCC, value))
    elif value < 0x10000:
        out.append(0xCD)
        out += _UINT16.pack(value)
    elif value < 0x100000000:
        out.append(0xCE)
        out += _UINT32.pack(value)
    else:
        _pack_large(value, out)


def _pack_large(value: int, out: bytearray) -> None:
    """Encodes as a float, as the primary does. JavaScript would read a whole number of 64 bits as another type."""
    out.append(0xCB)
    out += _FLOAT64.pack(value)


def _pack_length(length: int, out: bytearray, fix: "tuple[int, int] | None", codes: tuple) -> None:
    if fix is not None and length <= fix[1]:
        out.append(fix[0] | length)
    elif codes[0] is not None and length < 0x100:
        out += bytes((codes[0], length))
    elif length < 0x10000:
        out.append(codes[1])
        out += _UINT16.pack(length)
    else:
        out.append(codes[2])
        out += _UINT32.pack(length)


def unpack(data: "bytes | memoryview") -> Any:
    """Decodes one value. Raises `ValueError` for anything else than one value of the channel's types."""
    try:
        value, end = _unpack(bytes(data), 0)
    except (IndexError, struct.error) as error:
        raise ValueError("Cannot unpack a frame: it ends too early") from error
    if end != len(data):
        raise ValueError("Cannot unpack a frame: it has more than one value")
    return value


def _unpack(data: bytes, at: int) -> "tuple[Any, int]":
    code = data[at]
    at += 1
    if code < 0x80:
        return code, at
    if code < 0x90:
        return _unpack_map(data, at, code & 15)
    if code < 0xA0:
        return _unpack_list(data, at, code & 15)
    if code < 0xC0:
        return _take(data, at, code & 31).decode("utf-8", "replace"), at + (code & 31)
    if code >= 0xE0:
        return code - 0x100, at
    if code == 0xC0:
        return None, at
    if code == 0xC2 or code == 0xC3:
        return code == 0xC3, at
    if code in _NUMBERS:
        number = _NUMBERS[code]
        return number.unpack_from(data, at)[0], at + number.size
    if code in _LENGTHS:
        kind, size = _LENGTHS[code]
        length = int.from_bytes(_take(data, at, size), "big")
        at += size
        if kind == "map":
            return _unpack_map(data, at, length)
        if kind == "list":
            return _unpack_list(data, at, length)
        piece = _take(data, at, length)
        return (piece if kind == "bytes" else piece.decode("utf-8", "replace")), at + length
    raise ValueError(f"Cannot unpack a frame: found code {code:#x}")


def _take(data: bytes, at: int, length: int) -> bytes:
    piece = data[at : at + length]
    if len(piece) != length:
        raise IndexError
    return piece


def _unpack_list(data: bytes, at: int, length: int) -> "tuple[list, int]":
    items = []
    for _ in range(length):
        item, at = _unpack(data, at)
        items.append(item)
    return items, at


def _unpack_map(data: bytes, at: int, length: int) -> "tuple[dict, int]":
    items = {}
    for _ in range(length):
        key, at = _unpack(data, at)
        items[key], at = _unpack(data, at)
    return items, at


_NUMBERS = {
    0xCA: struct.Struct(">f"),
    0xCB: _FLOAT64,
    0xCC: struct.Struct(">B"),
    0xCD: _UINT16,
    0xCE: _UINT32,
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: _INT32,
    0xD3: struct.Struct(">q"),
}

_LENGTHS = {
    0xC4: ("bytes", 1),
    0xC5: ("bytes", 2),
    0xC6: ("bytes", 4),
    0xD9: ("text", 1),
    0xDA: ("text", 2),
    0xDB: ("text", 4),
    0xDC: ("list", 2),
    0xDD: ("list", 4),
    0xDE: ("map", 2),
    0xDF: ("map", 4),
}
