"""Sentences of a feedback that only repeat the question or the answer. Pure.

Small models recite what a candidate said as their feedback on it. It tells nobody anything, and its words are taken for
the judge's: "오류를 냈지만" beside an 8 is the candidate's own story.
"""

import re
from collections.abc import Sequence

from app.core.sentences import sentences_of

_IGNORED = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W_]+")
_SHORTEST = 12  # letters and digits; shorter sentences stand in many answers by chance
_LEAD = 3  # one part in so many may be the judge's at its beginning: "답변은 ...". At its end it would be a judgement.


def without_echoes(text: str, heard: Sequence[str]) -> str:
    """``text`` without its sentences that stand in one of ``heard`` word for word, white space and marks aside."""
    sentences = sentences_of(text)
    if not any(_may_echo(one, heard) for one in sentences):  # nearly always, and found out in half the time
        return text.strip()
    plain = [_plain(one) for one in heard]
    return "".join([one for one in sentences if not _echoes(_plain(one), plain)]).strip()


def _may_echo(sentence: str, heard: Sequence[str]) -> bool:
    """Whether its last word was heard at all."""
    words = _WORD.findall(sentence)
    return bool(words) and any(words[-1] in one for one in heard)


def _echoes(sentence: str, heard: Sequence[str]) -> bool:
    if len(sentence) < _SHORTEST:
        return False
    told = sentence[len(sentence) // _LEAD :]
    return any(told in one for one in heard)


def _plain(text: str) -> str:
    return _IGNORED.sub("", text.lower())
