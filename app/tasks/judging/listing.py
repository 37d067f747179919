"""Whether an answer is little more than a list of names. Pure.

A model counts what is named as said: eleven names behind a thin sentence raise its score by four of ten points
(docs/scoring.md, keyword stuffing). A list may be what was asked for, so it changes no score: a person should look.
"""

import re

_MOST = 7  # names in a row that are no stuffing: the layers of OSI are seven
_LONGEST = 20  # characters of a name, its ending and the verb behind the last one included
_SHARE = 0.5  # of the answer

_SENTENCE = re.compile(r"[.!?](?:\s+|$)|\n(?![ \t]*[-*•])")  # notes of one statement a line are no list
_BETWEEN = re.compile(r"[,;/、·•]|\n[ \t]*[-*]")


def mostly_listed(answer: str) -> bool:
    """Whether lists of more than seven names make up more than half of ``answer``."""
    if len(_BETWEEN.findall(answer)) < _MOST:
        return False
    return sum(map(_listed, _SENTENCE.split(answer))) > _SHARE * len(answer)


def _listed(sentence: str) -> int:
    """Characters of the list that ``sentence`` is; 0 if it is none."""
    names = [part for part in map(str.strip, _BETWEEN.split(sentence)) if 0 < len(part) <= _LONGEST]
    return len(sentence) if len(names) > _MOST else 0
