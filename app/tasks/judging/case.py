"""A caller's prompt -> what is judged in it: questions, answers, counts, level, phase, score bands. Pure.

Callers paste everything into one text and mark it by labels (``app.tasks.judging.labels``). A candidate can write
labels too, so they are not taken at their word: of a single question the first question label counts, and its answer
runs to the last of the caller's own closing words; in a numbered history the numbers must rise one by one, and of
several labels with the same number the last one that keeps that order counts. What a request states in its own fields
wins over all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from app.schemas.task import TaskRequest
from app.tasks.judging.labels import (
    Label,
    bands,
    closing,
    follow_up_limit,
    follow_ups,
    labels,
    level_of,
    phase_in,
    phase_of,
    score_at,
)

Level = Literal["NEWCOMER", "JUNIOR", "MID", "SENIOR"]
Phase = Literal["OPENING", "TECHNICAL", "PERSONALITY", "CLOSING"]
Source = Literal["fields", "labels", "none"]

_QUESTION = 2_000  # characters of a question that are looked at; more is no question
_HEAD = 600  # characters before the first question in which level and phase are looked for, besides the system prompt


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer.

    Attributes:
        question: As the caller gave it.
        answer: The candidate's words; empty if there are none yet.
        score: What it was given earlier, 0-10.
        at: Where the answer begins in the user prompt; None if it came in a field of its own.
    """

    question: str
    answer: str
    score: int | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged.

    Attributes:
        exchanges: Questions and answers, oldest first.
        source: Where they were found; ``none``: the whole prompt is all there is.
        follow_up_count: Follow-ups asked on the current topic.
        follow_up_limit: Follow-ups that may be asked on one topic.
        level: The candidate's.
        phase: Of the interview.
        bands: The caller's score bands: lowest score, highest score, words; empty if it states none.
        rubric: The caller's own rubric, in words; empty if it states none.
    """

    exchanges: tuple[Exchange, ...] = ()
    source: Source = "none"
    follow_up_count: int | None = None
    follow_up_limit: int | None = None
    level: Level | None = None
    phase: Phase | None = None
    bands: tuple[tuple[int, int, str], ...] = ()
    rubric: str = field(default="")

    @property
    def last(self) -> Exchange | None:
        """The exchange that is judged now: the last one that has an answer, if it is the last of all."""
        return self.exchanges[-1] if self.exchanges and self.exchanges[-1].answer else None


def read_one(request: TaskRequest) -> Case:
    """The case of a request about one answer."""
    text = request.user_prompt
    first = next(labels("question", text), None)
    case = _about(request, first)
    if request.question is not None or request.answer is not None:
        given = Exchange((request.question or "").strip(), (request.answer or "").strip())
        return replace(case, exchanges=(given,), source="fields")
    found = _single(text, first)
    return replace(case, exchanges=(found,), source="labels") if found else case


def read_many(request: TaskRequest) -> Case:
    """The case of a request about a whole phase or interview."""
    if request.history is None and request.question is not None:
        return read_one(request)
    asked = list(labels("question", request.user_prompt))
    case = _about(request, asked[0] if asked else None)
    if request.history is not None:
        given = [Exchange(item.question.strip(), item.answer.strip(), item.score) for item in request.history]
        if request.question is not None:
            given.append(Exchange(request.question.strip(), (request.answer or "").strip()))
        return replace(case, exchanges=tuple(given), source="fields")
    found = _history(request.user_prompt, asked)
    return replace(case, exchanges=tuple(found), source="labels") if found else case


def _about(request: TaskRequest, first: Label | None) -> Case:
    """Everything but the exchanges; ``first`` is the first question label of the user prompt."""
    user, usual = request.user_prompt, _usual(request.system_prompt)
    head = user[: min(first.start if first else _HEAD, _HEAD)]
    asked = follow_ups(user) or (None, None)
    limit = asked[1] if asked[1] is not None else usual.follow_up_limit
    phase = request.phase or phase_of(head) or usual.labelled_phase or phase_in(head) or usual.named_phase
    return Case(
        follow_up_count=request.follow_up_count if request.follow_up_count is not None else asked[0],
        follow_up_limit=request.follow_up_limit if request.follow_up_limit is not None else limit,
        level=_level(request.level or level_of(head) or usual.level),
        phase=_phase(phase),
        bands=() if request.rubric else usual.bands or bands(head),
        rubric=(request.rubric or "").strip(),
    )


class _Usual(NamedTuple):
    """What a system prompt says."""

    follow_up_limit: int | None
    level: str | None
    labelled_phase: str | None
    named_phase: str | None
    bands: tuple[tuple[int, int, str], ...]


@lru_cache(maxsize=64)  # callers have one for a phase of all interviews; 64 of the longest are 5 MB
def _usual(system: str) -> _Usual:
    return _Usual(follow_up_limit(system), level_of(system), phase_of(system), phase_in(system), bands(system))


def _level(name: str | None) -> Level | None:
    return name if name in ("NEWCOMER", "JUNIOR", "MID", "SENIOR") else None


def _phase(name: str | None) -> Phase | None:
    return name if name in ("OPENING", "TECHNICAL", "PERSONALITY", "CLOSING") else None


def _single(text: str, question: Label | None) -> Exchange | None:
    begin = question.end if question else 0
    answer = next(labels("answer", text, begin), None)
    if answer is None:
        return None
    words = text[begin : answer.start].strip()[:_QUESTION] if question else ""
    return _plain_exchange(words, text, answer.end, closing(text, answer.end))


def _history(text: str, asked: Sequence[Label]) -> list[Exchange]:
    starts = _in_order(asked)
    answers = list(labels("answer", text, starts[0].end)) if starts else []
    found: list[Exchange] = []
    for index, start in enumerate(starts):
        last = index + 1 == len(starts)
        until = len(text) if last else starts[index + 1].start
        answer = next((label for label in answers if start.end <= label.start < until), None)
        if answer is None:
            question = text[start.end : closing(text, start.end) if last else until]
            if question.strip():  # asked and not answered yet
                found.append(Exchange(question.strip()[:_QUESTION], ""))
            continue
        end = min(until, closing(text, answer.end)) if last else until
        found.append(_exchange(text[start.end : answer.start].strip()[:_QUESTION], text, answer.end, end))
    return found


def _in_order(found: Sequence[Label]) -> list[Label]:
    """The question labels that are the caller's: numbered one by one if any is numbered, else all of them."""
    if not found or found[0].number is None:
        return [label for label in found if label.number is None]
    first = found[0]
    highest = max(label.number or 0 for label in found)
    for last in range(highest, (first.number or 0) - 1, -1):
        if chain := _chain(found, first, last):
            return chain
    return [first]


def _chain(found: Sequence[Label], first: Label, last: int) -> list[Label] | None:
    """Labels first.number..last, each the last one of its number before the next; None if one is missing."""
    chain: list[Label] = []
    before = max(label.start for label in found) + 1
    for number in range(last, first.number or 0, -1):
        label = next((x for x in reversed(found) if x.number == number and first.start < x.start < before), None)
        if label is None:
            return None
        chain.append(label)
        before = label.start
    return [first, *reversed(chain)]


def _exchange(question: str, text: str, begin: int, end: int) -> Exchange:
    """The exchange whose answer is ``text[begin:end]``; the caller's own score and review behind it are cut off."""
    score = None
    reviews = [label.start for label in labels("review", text, begin, end)]
    end = reviews[-1] if reviews else end
    marks = list(labels("score", text, begin, end))
    if marks and (value := score_at(text, marks[-1])) is not None and "\n" not in text[marks[-1].end : end].strip():
        score, end = value, marks[-1].start
    return _plain_exchange(question, text, begin, end, score)


def _plain_exchange(question: str, text: str, begin: int, end: int, score: int | None = None) -> Exchange:
    raw = text[begin:end]
    lead = len(raw) - len(raw.lstrip())
    return Exchange(question, raw.strip(), score, begin + lead)
