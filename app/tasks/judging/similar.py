"""How alike two short texts are, by the pairs of characters they share. Pure; works for Korean without a tokenizer."""

import re
from collections import Counter
from collections.abc import Sequence
from operator import add

_IGNORED = re.compile(r"[\W_]+")
# The endings and the politeness of an interviewer's sentence, which say nothing about what is asked.
_POLITE = re.compile(
    r"(?:설명|말씀|이야기|얘기|소개|답변)?(?:을|를)?(?:좀|더|한번|조금)?"
    r"(?:해주실수있나요|해주시겠어요|해주시겠습니까|해주세요|해보세요|주세요|부탁드립니다|하셨나요|하시나요|인가요|있나요|있으신가요|무엇인가요|까요|나요)$"
)
_MOST_POLITE = 16  # letters that such an ending has at most


def pairs(text: str) -> Counter[str]:
    """Pairs of neighbouring letters and digits, white space, marks and polite endings aside."""
    plain = _plain(text)
    return Counter(map(add, plain, plain[1:]))


def _plain(text: str) -> str:
    plain = _IGNORED.sub("", text.lower())
    if found := _POLITE.search(plain, max(0, len(plain) - _MOST_POLITE)):
        plain = plain[: found.start()]
    return plain


def similarity(one: str, other: str) -> float:
    """Sørensen-Dice coefficient of the character pairs (Dice 1945): 0 nothing in common, 1 the same."""
    return similarities(one, [other])[0]


def similarities(one: str, others: Sequence[str]) -> Sequence[float]:
    """``similarity`` of ``one`` to each of ``others``."""
    first = pairs(one)
    size = first.total()
    found: list[float] = []
    for other in others:
        second = pairs(other)
        total = size + second.total()
        found.append(2 * _shared(first, second) / total if total else float(one.strip() == other.strip()))
    return found


def share_within(part: str, whole: str) -> float:
    """The share of ``part``'s character pairs that are in ``whole``: 0 to 1."""
    inner = pairs(part)
    return _shared(inner, pairs(whole)) / inner.total() if inner else 0.0


def lies_within(part: str, whole: str, least: float) -> bool:
    """Whether ``share_within`` is ``least`` or more.

    Most answers hold too few pairs of their question, however often; to see that takes half the time of counting.
    """
    inner, outer = _plain(part), _plain(whole)
    known = set(map(add, outer, outer[1:]))
    held = sum(map(known.__contains__, map(add, inner, inner[1:])))
    return held >= least * (len(inner) - 1) and share_within(part, whole) >= least


def _shared(one: Counter[str], other: Counter[str]) -> int:
    """``(one & other).total()`` in a third of the time."""
    return sum([min(count, other[pair]) for pair, count in one.items() if pair in other])
