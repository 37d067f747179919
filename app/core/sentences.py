"""Where sentences end, in Korean and English prose. Pure."""

import re
import unicodedata

# A mark, closing quotes or brackets after it, then white space or the end of the text.
_END = re.compile(r"[.?!\u2026\u3002]+[\"'\u2019\u201d)\]]*(?=(\s|$))")
# After these a full stop ends no sentence: abbreviations, and the numbers of a list.
_NO_END = re.compile(r"(?:^|[\s(])(?:e\.g|i\.e|vs|etc|cf|No|Mr|Mrs|Ms|Dr|\d{1,2})\.$")
_ELLIPSIS = "\u2026"


class SentenceSplitter:
    """Splits growing text at the ends of its sentences.

    No text is held back; a mark may come later than the text it belongs to, since a full stop ends a sentence only if
    white space follows. It then comes with an empty text.
    """

    def __init__(self) -> None:
        self._sentence = ""  # the text since the last end
        self._pending = False

    def feed(self, text: str) -> list[tuple[str, bool]]:
        """``text`` in pieces; True for a piece with which a sentence ends."""
        pieces: list[tuple[str, bool]] = []
        known = len(self._sentence)
        self._sentence += text
        while (end := _first_end(self._sentence, whole=False)) is not None:
            pieces.append((self._sentence[known:end], True))
            self._sentence = self._sentence[end:]
            known = max(0, known - end)
        if rest := self._sentence[known:]:
            pieces.append((rest, False))
        return pieces

    def close(self) -> list[tuple[str, bool]]:
        """The mark of the last sentence, which the end of the text ends."""
        last, self._sentence = self._sentence.strip(), ""
        return [("", True)] if last else []


def _first_end(text: str, *, whole: bool) -> int | None:
    """Where the first sentence of ``text`` ends; at the very end of the text only if it is ``whole``."""
    for found in _END.finditer(text):
        if not found.group(1) and not whole:
            return None
        if not _NO_END.search(text, 0, found.end()):
            return found.end()
    return None


def sentences_of(text: str) -> list[str]:
    """``text`` in its sentences, each with the white space behind it; together they are ``text``."""
    found: list[str] = []
    while (end := _first_end(text, whole=True)) is not None:
        end += len(text[end:]) - len(text[end:].lstrip())
        found.append(text[:end])
        text = text[end:]
    return [*found, text] if text else found


def cut_at_sentence(text: str, limit: int) -> str:
    """The longest prefix of whole sentences within ``limit`` characters.

    If even the first sentence is longer: as many of its words as fit, with an ellipsis.
    """
    text = text.strip()
    if len(text) <= limit and _ends_well(text):
        return text
    ends: list[int] = []
    at = 0
    while (end := _first_end(text[at:], whole=True)) is not None and at + end <= limit:
        at += end
        ends.append(at)
    return text[: ends[-1]].strip() if ends else _cut_at_word(text, limit)


def _ends_well(text: str) -> bool:
    return any(found.end() == len(text) for found in _END.finditer(text, max(0, len(text) - 8)))


def _cut_at_word(text: str, limit: int) -> str:
    if len(text) < limit:
        return f"{text}{_ELLIPSIS}" if text else ""
    end = limit - 1
    while end > 0 and unicodedata.combining(text[end]):
        end -= 1
    head = text[:end]
    words = head.rsplit(None, 1)
    kept = words[0] if len(words) > 1 and not text[end : end + 1].isspace() else head
    return f"{kept.rstrip()}{_ELLIPSIS}"
