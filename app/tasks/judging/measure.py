"""The score of an answer, measured: one constrained digit, and the mean of what the model holds likely there.

Asked for inside a long JSON after the caller's example, a score is the example's (docs/scoring.md has the figures).
Asked alone, as one token about the quoted answer, the same model tells answers apart. Whether an answer that does well
is to be believed is asked by itself, and changes no score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from app.core.deadline import Deadline
from app.core.generation import Message, Priority, Usage
from app.core.integrity import Flag
from app.core.llm_engine import Slot
from app.core.prompt_builder import Language
from app.errors import ServiceError
from app.schemas.scoring import ScoreMeta
from app.tasks.attempt import Patience
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.choice import choose
from app.tasks.judging.doubt import DOUBTED, WORTH_ASKING, doubt
from app.tasks.judging.gates import Gate, gate
from app.tasks.judging.listing import mostly_listed
from app.tasks.judging.plainly import plainly
from app.tasks.judging.rubric import CHOICE, Rubric, messages, rubric_for, scale, to_score, whole_prompt

log = structlog.get_logger("measure")

_SHARE = 0.35  # of the time that is left: a measurement must leave enough for the words
# Standard deviation on the scale of 0-10 from which a person should look: more than one band of two points either way.
_WIDE = 2.4


@dataclass(frozen=True, slots=True)
class Measured:
    """What one answer is worth.

    Attributes:
        meta: As told to the caller.
        score: 0-10, rounded; None if there is nothing to score or it could not be measured.
        usage: Tokens spent on it.
    """

    meta: ScoreMeta
    score: int | None
    usage: Usage

    @property
    def gated(self) -> bool:
        """Whether there was no answer to put before the model."""
        return self.meta.gate is not None


@dataclass(frozen=True, slots=True)
class Heard:
    """What is measured of one answer.

    Attributes:
        exchange: The question, and the answer without what looks like an attempt to steer the judge.
        stopped: The gate that stops it, if one does.
        review: Whether a person should look, whatever it scores: there was such an attempt, or it only lists names.
    """

    exchange: Exchange
    stopped: Gate | None
    review: bool


def heard(exchange: Exchange, flags: Sequence[Flag]) -> Heard:
    """What is measured of ``exchange``; ``flags`` are spans in its answer. Pure."""
    exchange = replace(exchange, answer=_without(exchange.answer, flags)) if flags else exchange
    review = bool(flags) or mostly_listed(exchange.answer)
    return Heard(exchange, gate(exchange.question, exchange.answer), review)


async def measure(
    slot: Slot,
    case: Case,
    answer: Heard | None,
    language: Language,
    patience: Patience,
    *,
    prompt: str = "",
    priority: Priority = Priority.FEEDBACK,
    doubting: bool = True,
) -> Measured:
    """Measure one answer.

    Args:
        slot: The place at the engine.
        case: What the answer belongs to.
        answer: What is measured; None to judge the whole ``prompt``.
        language: Of the rubric.
        patience: How long the request may take.
        prompt: The caller's text, for when nothing could be cut out of it.
        priority: Passed on to the engine.
        doubting: Whether it is asked of an answer that does well if it is to be believed (see ``doubt``).

    Never raises a ServiceError: an answer that cannot be measured says so.
    """
    rubric, plain = rubric_for(case.phase), None
    if answer is not None:
        if stopped := answer.stopped:
            meta = _meta(rubric, "gate", expected=stopped.score, gate=stopped.name, review=answer.review)
            return Measured(meta, stopped.score, Usage())
        plain = replace(answer.exchange, answer=plainly(answer.exchange.answer))
        asked = messages(rubric, case, plain, language)
    else:
        asked = whole_prompt(rubric, prompt, language)
    until = Deadline.after(patience.left() * _SHARE)
    try:
        digits, usage, method = await digit_shares(slot, asked, priority, until)
    except ServiceError as error:
        log.warning("not measured", reason=type(error).__name__)
        return Measured(_meta(rubric, "none", review=True), None, Usage())
    meta = _result(rubric, case, digits, method, review=answer is not None and answer.review)
    expected = meta.expected or 0.0
    if plain is not None and doubting and expected >= WORTH_ASKING:
        share, more = await _doubt(slot, rubric, plain, language, priority, until)
        usage = usage.and_of(more)
        review = meta.review_recommended or share is None or share >= DOUBTED
        meta = meta.model_copy(update={"doubt": share, "review_recommended": review})
    return Measured(meta, math.floor(expected + 0.5), usage)


async def _doubt(
    slot: Slot, rubric: Rubric, exchange: Exchange, language: Language, priority: Priority, until: Deadline
) -> tuple[float | None, Usage]:
    try:
        share, usage = await doubt(slot, rubric.check, exchange, language, priority, until)
    except ServiceError as error:
        log.warning("not asked whether it is to be believed", reason=type(error).__name__)
        return None, Usage()
    return round(share, 3), usage


def _result(rubric: Rubric, case: Case, digits: Mapping[int, float], method: str, *, review: bool) -> ScoreMeta:
    points = scale(case)
    mean = sum(digit * share for digit, share in digits.items())
    expected = to_score(mean, points)
    spread = math.sqrt(sum(share * (points[digit] - expected) ** 2 for digit, share in digits.items()))
    return _meta(
        rubric,
        method,
        expected=expected,
        distribution=digits,
        entropy=-sum(share * math.log2(share) for share in digits.values() if share > 0),
        review=review or spread >= _WIDE,
    )


def _meta(
    rubric: Rubric,
    method: str,
    *,
    expected: float | None = None,
    distribution: Mapping[int, float] | None = None,
    entropy: float = 0.0,
    gate: str | None = None,
    review: bool = False,
) -> ScoreMeta:
    return ScoreMeta(
        expected=None if expected is None else round(expected, 3),
        distribution={str(digit): round(share, 4) for digit, share in sorted((distribution or {}).items())},
        entropy=round(entropy, 3),
        method=method,
        gate=gate,
        rubric=rubric.version,
        review_recommended=review or gate == "unscorable",
    )


async def digit_shares(
    slot: Slot, asked: tuple[Message, ...], priority: Priority, until: Deadline
) -> tuple[Mapping[int, float], Usage, str]:
    """The probability of each digit.

    Raises:
        ServiceError: see ``choose``.
    """
    shares, usage, method = await choose(slot, asked, CHOICE, priority, until)
    return {int(name): share for name, share in shares.items()}, usage, method


def _without(answer: str, flags: Sequence[Flag]) -> str:
    """``answer`` without the flagged spans."""
    for flag in sorted(flags, key=lambda flag: flag.start, reverse=True):
        answer = f"{answer[: flag.start]} {answer[flag.end :]}"
    return answer.strip()
