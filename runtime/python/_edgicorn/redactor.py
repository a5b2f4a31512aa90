"""Keeps secrets out of log lines, by the same rules as `log/redactor.ts`."""

from __future__ import annotations

import re
from urllib.parse import unquote

_REDACTED = "[redacted]"

#: Texts without any of these have no secret.
_SUSPICIOUS = re.compile(r"authorization|cookie|password|bearer|basic|[?&;#][^=&\s\"]{1,200}=", re.IGNORECASE)

#: A parameter in an address. A `;` or `?` that begins no parameter belongs to the value.
_PARAMETER = re.compile(
    r"([?&;#])([^=&;?#\s\"'<>\\]{1,200})="
    r"([^&;?#\s\"'<>\\]*(?:[;?](?![^=&;?#\s\"'<>\\]*=)[^&;?#\s\"'<>\\]*)*)"
)

#: A field with its value, also as a member of JSON or of a printed environ: `Cookie: a=b`, `'HTTP_COOKIE': 'a=b'`.
_FIELD = re.compile(
    r"(?<![A-Za-z])((?:proxy[-_])?authorization|(?:set[-_])?cookie|(?<=\")password(?=\"))"
    r"(\\?[\"']?\s*[:=,]\s*\\?[\"']?|\\n)([^\\\"'\r\n]+)",
    re.IGNORECASE,
)

#: A token of a scheme. A word without digit, upper case or punctuation is none.
_SCHEME = re.compile(r"\b([Bb]earer|[Bb]asic)\s+(?=[\w.~+/-]*[\dA-Z=.])[\w.~+/=-]{6,}")

_HUMP = re.compile(r"([a-z\d])([A-Z])")
_NOT_WORD = re.compile(r"[^a-z\d]+")


class Redactor:
    """Replaces secrets in a text."""

    def __init__(self, names: "list[str]") -> None:
        self._wanted = [words for words in map(_to_words, names) if words != "__"]

    def redact(self, text: str) -> str:
        """Returns the text without secrets."""
        if not _SUSPICIOUS.search(text):
            return text
        text = _PARAMETER.sub(self._replace_parameter, text)
        text = _FIELD.sub(lambda found: found.group(1) + found.group(2) + _REDACTED, text)
        return _SCHEME.sub(lambda found: f"{found.group(1)} {_REDACTED}", text)

    def _replace_parameter(self, found: "re.Match[str]") -> str:
        words = _to_words(unquote(found.group(2)))
        if any(each in words for each in self._wanted) or self._hides_secret(found.group(3)):
            return f"{found.group(1)}{found.group(2)}={_REDACTED}"
        return found.group(0)


    def _hides_secret(self, encoded: str) -> bool:
        """Tells whether a value is an encoded address with a secret parameter: `next=%2Fa%3Ftoken%3Db`."""
        if "%3d" not in encoded.lower():
            return False
        decoded = unquote(encoded)
        return self.redact(decoded) != decoded


def _to_words(name: str) -> str:
    """`accessToken` -> `_access_token_`."""
    words = _NOT_WORD.split(_HUMP.sub(r"\1_\2", name[:200]).lower())
    return "_" + "_".join(word for word in words if word) + "_"
