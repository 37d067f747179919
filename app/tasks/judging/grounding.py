"""What a point of a report rests on: a passage of an answer, word for word. Pure."""

import re
from collections.abc import Sequence

from app.schemas.scoring import Evidence
from app.tasks.judging.case import Exchange
from app.tasks.judging.similar import share_within
from app.tasks.report_parts import Grounded

_SENTENCE = re.compile(r"[^.!?\n…]+(?:[.!?…]+|$)")
_LONGEST = 200  # characters of a quote
SHOWS_STRENGTH = 5  # score from which an answer can show a strength: the caller's band "average"


def grounded(
    field: str, points: Sequence[Grounded], exchanges: Sequence[Exchange], scores: Sequence[int], *, least: int = 0
) -> tuple[list[str], list[Evidence]]:
    """The points that rest on an answer, and the quotes they rest on; the others are dropped.

    Args:
        field: Of the report.
        points: What the model said, each with the number of a question.
        exchanges: Questions and answers, in the order in which the model saw them.
        scores: Of each answer.
        least: Score an answer must have to show such a point.
    """
    texts: list[str] = []
    evidence: list[Evidence] = []
    for point in points:
        text, at = point.text.strip(), point.question - 1
        if at >= len(exchanges) or scores[at] < least or text in texts:
            continue
        quote = passage(text, exchanges[at].answer)
        if not quote:
            continue
        evidence.append(Evidence(field=field, index=len(texts), question=point.question, quote=quote))
        texts.append(text)
    return texts, evidence


def passage(point: str, answer: str) -> str:
    """The sentence of ``answer`` that shares most with ``point``, as it stands there; empty if there is none."""
    sentences = [found.group().strip()[:_LONGEST].strip() for found in _SENTENCE.finditer(answer)]
    return max((sentence for sentence in sentences if sentence), key=lambda one: share_within(point, one), default="")
