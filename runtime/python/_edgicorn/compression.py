"""Compresses answers with gzip, which is in the standard library. `runtime/compress/` does the same for handlers, with more codings."""

from __future__ import annotations

import re
import zlib
from typing import Any

#: Smallest body that is compressed. A smaller one fits into one packet with its head anyway.
LEAST_BYTES = 1024

#: Level of gzip by the setting `compressionLevel`.
LEVELS = {"fast": 1, "balanced": 6, "best": 9}

#: Most streams that one worker compresses at a time: an encoder takes 220 KiB as long as its stream is open.
MOST_STREAMS = 128

_TYPES = re.compile(
    r"application/(?:[\w.-]+\+(?:json|xml|text)|ecmascript|graphql|javascript|json|json5|jsonl|jsonlines|ndjson|rtf|sql|toml"
    r"|vnd\.ms-fontobject|wasm|x-(?:javascript|ndjson|sh|yaml)|xml|yaml)|font/(?:otf|ttf)"
    r"|image/(?:bmp|svg\+xml|vnd\.microsoft\.icon|x-icon)|model/(?:gltf\+json|obj)"
)

#: An answer with one of these fields has a coding already, or would be false with one.
_KEPT = frozenset(("content-encoding", "content-digest", "repr-digest", "digest", "content-md5"))

_TAG = re.compile(r'(W/)?"([^"]*)"')
_CODED_TAG = re.compile(r'W/"([^"]*?)(--?)(?:br|gzip|zstd)"')
_WEIGHT = re.compile(r"\s*(?:x-)?(gzip|\*|identity)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?")


class Compression:
    """How this worker compresses its answers. Set once, before the first request."""

    #: `None`: it compresses none.
    level: "int | None" = None
    #: Streams of an ASGI application that are compressed now.
    streams = 0


class Plan:
    """The fields of an answer, with gzip (`None`: it stays plain) and without."""

    __slots__ = ("coded", "plain")

    def __init__(self, coded: "str | None", plain: str) -> None:
        self.coded = coded
        self.plain = plain


def plan_answer(status: int, fields: str, size: "int | None", request_fields: str) -> "Plan | None":
    """Decides how an answer is compressed, as `runtime/compress/plan-answer.ts` does. `None`: it leaves as it is.

    `size` is `None` for an unknown size.
    """
    if size is not None and size < LEAST_BYTES or status in (204, 205):
        return None
    pairs = _to_pairs(fields)
    if status == 304:
        return Plan(None, _to_block(_with_vary(_with_known_tag(pairs, request_fields))))
    names = {name for name, _ in pairs}
    kind = _find(pairs, "content-type")
    if kind is None or not is_compressible(kind) or names & _KEPT:
        return None
    if "no-transform" in (_find(pairs, "cache-control") or "").lower():
        return None
    varied = _with_vary(pairs)
    plain = _to_block(varied)
    if status == 206 or "content-range" in names:
        return Plan(None, plain)
    asked = _to_pairs(request_fields)
    # By the sizes of compressed answers, another site could find out secrets in them (BREACH).
    if _find(asked, "sec-fetch-site") == "cross-site" or not accepts_gzip(_find(asked, "accept-encoding")):
        return Plan(None, plain)
    return Plan(_to_block([*_with_coded_tag(varied), ("content-encoding", "gzip")]), plain)


def is_compressible(content_type: str) -> bool:
    """Tells whether bodies of a type become much smaller. Event streams are not among them: their events must not wait."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("text/"):
        return kind != "text/event-stream"
    return _TYPES.fullmatch(kind) is not None


def accepts_gzip(accept_encoding: "str | None") -> bool:
    """Tells whether a client prefers gzip to plain bytes (RFC 9110 section 12.5.3)."""
    if accept_encoding is None:
        return False
    weights = {}
    for member in accept_encoding.lower().split(","):
        match = _WEIGHT.fullmatch(member)
        if match is not None:
            weights[match[1]] = float(match[2] or 1)
    weight = weights.get("gzip", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


def to_plain_tags(tags: str) -> str:
    """Replaces the tags of compressed answers in a list by those that the application gave."""
    return _CODED_TAG.sub(lambda match: f'W/"{match[1]}"' if match[2] == "--" else f'"{match[1]}"', tags)


def to_coded_tag(tag: str) -> str:
    """Returns the tag of a compressed answer. It is weak: two compressions of the same bytes need not be equal."""
    match = _TAG.fullmatch(tag)
    return tag if match is None else f'W/"{match[2]}{"--" if match[1] else "-"}gzip"'


def compress(data: bytes) -> bytes:
    """Compresses a whole body."""
    encoder = make_encoder()
    return encoder.compress(data) + encoder.flush()


def compress_whole(
    answer: "tuple[int, str, int | None]", request: "tuple[str, str]", body: "bytes | None"
) -> "tuple[str, bytes | None]":
    """
    Compresses a whole body where the client accepts it.

    answer: status, field block and announced length; request: method and field block.
    Returns the fields and the body. The fields tell of the coding also where there is no body (HEAD, 304).
    """
    status, fields, length = answer
    method, request_fields = request
    size = len(body) if body is not None else length
    if Compression.level is None:
        return fields, body
    if body is None and status != 304 and (size is None or method != "HEAD"):
        return fields, None
    plan = plan_answer(status, fields, None if status == 304 else size, request_fields)
    if plan is None:
        return fields, body
    if plan.coded is None:
        return plan.plain, body
    if body is None:
        return plan.coded, None
    coded = compress(body)
    return (plan.coded, coded) if len(coded) < len(body) else (plan.plain, body)


def make_encoder() -> Any:
    """Returns an encoder for a body that comes in pieces."""
    return zlib.compressobj(Compression.level or 0, zlib.DEFLATED, 31)


def _to_pairs(block: str) -> "list[tuple[str, str]]":
    parts = block.split("\n")
    return list(zip(parts[0::2], parts[1::2]))


def _to_block(pairs: "list[tuple[str, str]]") -> str:
    return "\n".join([f"{name}\n{value}" for name, value in pairs])


def _find(pairs: "list[tuple[str, str]]", wanted: str) -> "str | None":
    values = [value for name, value in pairs if name == wanted]
    return ", ".join(values) if values else None


def _with_vary(pairs: "list[tuple[str, str]]") -> "list[tuple[str, str]]":
    named = _find(pairs, "vary") or ""
    listed = {name.strip().lower() for name in named.split(",")}
    if not listed & {"*", "accept-encoding"}:
        named = f"{named}, accept-encoding" if named else "accept-encoding"
    return [*(pair for pair in pairs if pair[0] != "vary"), ("vary", named)]


def _with_coded_tag(pairs: "list[tuple[str, str]]") -> "list[tuple[str, str]]":
    """Leaves out length and ranges of the plain body, too."""
    return [
        (name, to_coded_tag(value) if name == "etag" else value)
        for name, value in pairs
        if name not in ("content-length", "accept-ranges")
    ]


def _with_known_tag(pairs: "list[tuple[str, str]]", request_fields: str) -> "list[tuple[str, str]]":
    """Gives a 304 the tag of the answer that the client has."""
    tag = _find(pairs, "etag")
    known = _find(_to_pairs(request_fields), "if-none-match")
    return _with_coded_tag(pairs) if tag and known and to_coded_tag(tag) in known else pairs
