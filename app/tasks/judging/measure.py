"""The score of an answer, measured: one constrained digit, and the mean of what the model holds likely there.

Asked for inside a long JSON after the caller's example, a score is the example's (docs/scoring.md has the figures).
Asked alone, as one token about the quoted answer, the same model tells answers apart, and the mean of the digits'
probabilities tells them apart better than the digit it would choose (Wang, Zhang, Choi 2025, arXiv 2503.03064).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Priority, Sampling, Usage
from app.core.integrity import Flag
from app.core.llm_engine import Slot
from app.core.prompt_builder import Language
from app.errors import ServiceError
from app.schemas.scoring import ScoreMeta
from app.tasks.attempt import Patience
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.gates import Gate, gate
from app.tasks.judging.plainly import plainly
from app.tasks.judging.rubric import DIGITS, GRAMMAR, Rubric, messages, rubric_for, scale, to_score, whole_prompt

log = structlog.get_logger("measure")

_ALTERNATIVES = 20  # likeliest tokens asked for: room for the six digits among what the grammar forbids
_SAMPLES = 5  # digits drawn from an engine that tells no probabilities
_SHARE = 0.35  # of the time that is left: a measurement must leave enough for the words
# Standard deviation on the scale of 0-10 from which a person should look: more than one band of two points either way.
_WIDE = 2.4
_NEUTRAL = Sampling(temperature=0.0, presence_penalty=0.0, repetition_penalty=1.0)


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
        flagged: Whether there was such an attempt.
    """

    exchange: Exchange
    stopped: Gate | None
    flagged: bool


def heard(exchange: Exchange, flags: Sequence[Flag]) -> Heard:
    """What is measured of ``exchange``; ``flags`` are spans in its answer. Pure."""
    exchange = replace(exchange, answer=_without(exchange.answer, flags)) if flags else exchange
    return Heard(exchange, gate(exchange.question, exchange.answer), bool(flags))


async def measure(
    slot: Slot,
    case: Case,
    answer: Heard | None,
    language: Language,
    patience: Patience,
    *,
    prompt: str = "",
    priority: Priority = Priority.FEEDBACK,
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

    Never raises a ServiceError: an answer that cannot be measured says so.
    """
    rubric = rubric_for(case.phase)
    if answer is not None:
        if stopped := answer.stopped:
            meta = _meta(rubric, "gate", expected=stopped.score, gate=stopped.name, review=answer.flagged)
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
    return _result(rubric, case, digits, usage, method, flagged=answer is not None and answer.flagged)


def _result(
    rubric: Rubric, case: Case, digits: Mapping[int, float], usage: Usage, method: str, *, flagged: bool
) -> Measured:
    points = scale(case)
    mean = sum(digit * share for digit, share in digits.items())
    expected = to_score(mean, points)
    spread = math.sqrt(sum(share * (points[digit] - expected) ** 2 for digit, share in digits.items()))
    entropy = -sum(share * math.log2(share) for share in digits.values() if share > 0)
    meta = _meta(
        rubric,
        method,
        expected=expected,
        distribution=digits,
        entropy=entropy,
        review=flagged or spread >= _WIDE,
    )
    return Measured(meta, math.floor(expected + 0.5), usage)


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
    """The probability of each digit, by the engine's own word or, where it gives none, by a few samples.

    Raises:
        ServiceError: the engine refused, answered no digit, or not by ``until``.
    """
    generation = Generation(asked, 1, _NEUTRAL, GRAMMAR, priority, _ALTERNATIVES, common=True)
    text, alternatives, usage = await _one(slot, generation, until)
    likely = _likely(alternatives)
    if likely:
        return likely, usage, "expected value of one token"
    drawn = [int(text)]
    for seed in range(1, _SAMPLES):
        sampling = _NEUTRAL._replace(temperature=1.0, seed=seed)
        text, _, more = await _one(slot, generation._replace(sampling=sampling, alternatives=0), until)
        drawn.append(int(text))
        usage = usage.and_of(more)
    return {digit: drawn.count(digit) / len(drawn) for digit in set(drawn)}, usage, f"mean of {_SAMPLES} samples"


async def _one(slot: Slot, generation: Generation, until: Deadline) -> tuple[str, Mapping[str, float], Usage]:
    async with slot.stream(generation, until=until) as tokens:
        text = "".join([piece async for piece in tokens]).strip() or tokens.reasoning.strip()
    if text not in _NAMES:
        raise ServiceError("The engine gave no digit where the grammar allows nothing else.")
    return text, tokens.alternatives[0] if tokens.alternatives else {}, tokens.usage


_NAMES = {str(digit) for digit in range(DIGITS)}


def _likely(alternatives: Mapping[str, float]) -> Mapping[int, float]:
    """Log-probabilities of tokens -> probabilities of the legal digits, which add up to 1."""
    weights: dict[int, float] = {}
    for token, logprob in alternatives.items():
        if token.strip() in _NAMES:
            digit = int(token.strip())
            weights[digit] = weights.get(digit, 0.0) + math.exp(logprob)
    total = sum(weights.values())
    return {digit: weight / total for digit, weight in weights.items()} if total > 0 else {}


def _without(answer: str, flags: Sequence[Flag]) -> str:
    """``answer`` without the flagged spans."""
    for flag in sorted(flags, key=lambda flag: flag.start, reverse=True):
        answer = f"{answer[: flag.start]} {answer[flag.end :]}"
    return answer.strip()
