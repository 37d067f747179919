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
from app.tasks.judging.remembered import Known, Memory
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
    memory: Memory | None = None,
) -> Measured:
    """Measure one answer, or remember how it measured.

    Args:
        slot: The place at the engine.
        case: What the answer belongs to.
        answer: What is measured; None to judge the whole ``prompt``.
        language: Of the rubric.
        patience: How long the request may take.
        prompt: The caller's text, for when nothing could be cut out of it.
        priority: Passed on to the engine.
        doubting: Whether it is asked of an answer that does well if it is to be believed (see ``doubt``);
            what is known of that is told all the same.
        memory: What the caller's earlier requests found out; None to measure anew.

    Never raises a ServiceError: an answer that cannot be measured says so.
    """
    rubric = rubric_for(case.phase)
    if answer is not None and (stopped := answer.stopped):
        meta = _meta(rubric, "gate", expected=stopped.score, gate=stopped.name, review=answer.review)
        return Measured(meta, stopped.score, Usage())
    asking = _Asking(slot, rubric, language, priority, Deadline.after(patience.left() * _SHARE))
    plain = replace(answer.exchange, answer=plainly(answer.exchange.answer)) if answer else None
    place = None
    if memory is not None and plain is not None:
        place = memory.place(f"{rubric.version}\n{case.rubric}", language, plain.question, plain.answer)
    earlier, usage = place.known(case.bands) if place else None, Usage()
    known = earlier
    try:
        if known is None:
            known, usage = await asking.digits(case, plain, prompt)
    except ServiceError as error:
        log.warning("not measured", reason=type(error).__name__)
        return Measured(_meta(rubric, "none", review=True), None, Usage())
    meta = _result(rubric, known, reused=earlier is not None, review=answer is not None and answer.review)
    if plain is not None and (doubting or known.doubt is not None) and (meta.expected or 0.0) >= WORTH_ASKING:
        if known.doubt is None:
            share, more = await asking.doubt(plain)
            known, usage = known._replace(doubt=share), usage.and_of(more)
        review = meta.review_recommended or known.doubt is None or known.doubt >= DOUBTED
        meta = meta.model_copy(update={"doubt": known.doubt, "review_recommended": review})
    if place is not None and known is not earlier:
        place.keep(known)
    return Measured(meta, math.floor((meta.expected or 0.0) + 0.5), usage)


@dataclass(frozen=True, slots=True)
class _Asking:
    """How the engine is asked about one answer."""

    slot: Slot
    rubric: Rubric
    language: Language
    priority: Priority
    until: Deadline

    async def digits(self, case: Case, answer: Exchange | None, prompt: str) -> tuple[Known, Usage]:
        """How ``answer`` measures, or all of ``prompt``.

        Raises:
            ServiceError: see ``choose``.
        """
        if answer is not None:
            asked = messages(self.rubric, case, answer, self.language)
        else:
            asked = whole_prompt(self.rubric, prompt, self.language)
        digits, usage, method = await digit_shares(self.slot, asked, self.priority, self.until)
        return Known(digits, method, case.bands, scale(case)), usage

    async def doubt(self, answer: Exchange) -> tuple[float | None, Usage]:
        """How far ``answer`` is not to be believed; None if that could not be found out."""
        try:
            share, usage = await doubt(self.slot, self.rubric.check, answer, self.language, self.priority, self.until)
        except ServiceError as error:
            log.warning("not asked whether it is to be believed", reason=type(error).__name__)
            return None, Usage()
        return round(share, 3), usage


def _result(rubric: Rubric, known: Known, *, reused: bool, review: bool) -> ScoreMeta:
    digits, points = known.digits, known.points
    mean = sum(digit * share for digit, share in digits.items())
    expected = to_score(mean, points)
    spread = math.sqrt(sum(share * (points[digit] - expected) ** 2 for digit, share in digits.items()))
    return _meta(
        rubric,
        known.method,
        expected=expected,
        distribution=digits,
        entropy=-sum(share * math.log2(share) for share in digits.values() if share > 0),
        review=review or spread >= _WIDE,
        reused=reused,
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
    reused: bool = False,
) -> ScoreMeta:
    return ScoreMeta(
        expected=None if expected is None else round(expected, 3),
        distribution={str(digit): round(share, 4) for digit, share in sorted((distribution or {}).items())},
        entropy=round(entropy, 3),
        method=method,
        gate=gate,
        rubric=rubric.version,
        reused=reused,
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
