"""Attempts to steer the judge, found in the text of a candidate. Pure.

A flag is a hint for a person, never a verdict: patterns know the common attacks in Korean and English, not all of
them. What makes a phrase suspicious is that it orders, asks for a score or imitates the prompt; talking about
prompts, scores and ignored exceptions is what candidates do, so nouns alone raise nothing. All patterns have bounded
gaps, so the time grows with the length of the text and no faster.
"""

import base64
import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from app.core.attack_patterns import CONTROL_TOKEN, ENGLISH, NAMED, PHRASES, QUOTED, FlagKind
from app.core.folded import folded, visible


@dataclass(frozen=True, slots=True)
class Flag:
    """One attempt: ``text[start:end]`` of the text as it was given."""

    kind: FlagKind
    start: int
    end: int


def find_flags(text: str) -> tuple[Flag, ...]:
    """Every attempt found in ``text``, in order; spans of one kind do not overlap.

    Meant for what one candidate wrote. A whole prompt has headers of its own, so there ``fake_header`` says nothing;
    the other kinds hold.
    """
    seen = visible(text)
    plain = folded(seen)
    found = [Flag("hidden_text", *one.span()) for one in _HIDDEN.finditer(text)] if _MAY_HIDE.search(text) else []
    found += [Flag(kind, *plain.origin(start, end)) for kind, start, end in _matches(plain.text)]
    found += [Flag("encoded", *seen.origin(start, end)) for start, end in _encoded(seen.text)]
    if len(plain.text) >= _BLOCK and _LETTER.search(plain.text):
        turned = codecs.encode(plain.text, "rot13")
        found += [
            Flag("encoded", *plain.origin(*one.span()))
            for phrases in ENGLISH
            if phrases.may_be_in(turned)
            for one in phrases.pattern.finditer(turned)
        ]
    return _merged(found)


def _merged(found: list[Flag]) -> tuple[Flag, ...]:
    merged: list[Flag] = []
    last: dict[FlagKind, int] = {}  # of each kind, where its last span is in ``merged``
    for flag in sorted(found, key=lambda one: (one.start, one.end)):
        before = merged[last[flag.kind]] if flag.kind in last else None
        reach = _NEAR if flag.kind == "hidden_text" else 0
        if before is not None and flag.start < before.end + reach:
            merged[last[flag.kind]] = Flag(flag.kind, before.start, max(before.end, flag.end))
        else:
            last[flag.kind] = len(merged)
            merged.append(flag)
    return tuple(merged)


def _matches(text: str) -> Iterator[tuple[FlagKind, int, int]]:
    for phrases in PHRASES:
        if not phrases.may_be_in(text):
            continue
        for found in phrases.pattern.finditer(text):
            if found.end() > found.start() and not QUOTED.match(text, found.end()):
                yield phrases.kind, *found.span()
    for found in CONTROL_TOKEN.finditer(text):
        if not NAMED.match(text, found.end()):
            yield "control_token", *found.span()


# --- What cannot be seen or read ---

# Tags but for the flags of regions, which are written with them; direction controls; characters without width inside
# a word or in a row, as copied text has single ones at its edges; and variation selectors in a row.
_HIDDEN = re.compile(
    r"(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+"
    r"|\U0001f3f4(?![\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f)[\U000e0000-\U000e007f]+"
    r"|[\u202a-\u202e\u2066-\u2069]"
    r"|(?<=\w)[\u200b-\u200d\u2060-\u2064\u3164\ufeff\u034f]+(?=\w)"
    r"|[\u200b-\u200d\u2060-\u2064\u3164\ufeff]{4,}|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
)
# One character of what it looks for; most texts have none, and to see that takes a tenth.
_MAY_HIDE = re.compile(
    r"[\u034f\u200b-\u200d\u202a-\u202e\u2060-\u2069\u3164\ufe00-\ufe0f\ufeff\U0001f3f4\U000e0000-\U000e01ef]"
)
_LETTER = re.compile(r"[a-z]")  # what rot13 turns, of folded text
_NEAR = 16  # hidden characters within this many of each other are one attempt

_BLOCK = 24
_LONGEST = 4  # bytes of a character
_DECODED = 4_096  # characters of one block that are looked at
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{24,}")
_HEX = re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-fA-F]{2} ?){12,}")
_BINARY = re.compile(r"(?:[01]{8} ?){3,}")
_ESCAPES = re.compile(r"[%&\\]")
_ESCAPED = re.compile(
    r"[\w.~-]{0,20}(?:%[0-9a-fA-F]{2}[\w.~-]{0,20}){4,}|(?:\\u[0-9a-fA-F]{4} ?){4,}|(?:&#x?[0-9a-fA-F]{2,6};){4,}"
)


def _encoded(text: str) -> Iterator[tuple[int, int]]:
    """Blocks that decode to prose, and escaped ones that decode to another attempt."""
    for pattern, decode in ((_BASE64, _from_base64), (_HEX, _from_hex), (_BINARY, _from_binary)):
        for found in pattern.finditer(text):
            decoded = decode(found.group()[:_DECODED])
            if _reads_well(decoded) or _attempts(decoded):
                yield found.span()
    for found in _ESCAPED.finditer(text) if _ESCAPES.search(text) else ():
        if _attempts(_unescaped(found.group()[:_DECODED])):
            yield found.span()


def _from_base64(block: str) -> str:
    usual = block.replace("-", "+").replace("_", "/")
    return _text(base64.b64decode(usual[: len(usual) // 4 * 4]))


def _from_hex(block: str) -> str:
    digits = block.replace(" ", "")
    return _text(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _from_binary(block: str) -> str:
    return _text(bytes(int(one, 2) for one in re.findall("[01]{8}", block)))


def _unescaped(block: str) -> str:
    plain = re.sub(r"\\u([0-9a-fA-F]{4}) ?", lambda one: chr(int(one[1], 16)), block)
    return html.unescape(unquote(plain, errors="replace"))


def _text(raw: bytes) -> str:
    """``raw`` as text, but for a character cut at its end; empty if it is no text."""
    text = raw.decode(errors="ignore")
    whole = len(raw) - len(text.encode()) < _LONGEST
    return text if whole and "".join(text.split()).isprintable() else ""


def _reads_well(text: str) -> bool:
    return bool(re.search(r"[가-힣]{2}|[A-Za-z]{2} [A-Za-z]", text)) and not text.startswith("{")


def _attempts(text: str) -> bool:
    return bool(text) and next(_matches(folded(visible(text)).text), None) is not None
