"""One token out of a few: how likely the model holds each of them.

Asked for one token alone, and heard by its probabilities instead of by its choice, a model tells more than it says
(Wang, Zhang, Choi 2025, arXiv 2503.03064; docs/scoring.md has the figures).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from app.core.deadline import Deadline
from app.core.engine_events import decoded
from app.core.generation import Generation, Message, Priority, Sampling, Usage
from app.core.llm_engine import Slot
from app.errors import ServiceError

_ALTERNATIVES = 20  # likeliest tokens asked for: room for the legal ones among what the grammar forbids
_SAMPLES = 5  # drawn from an engine that tells no probabilities
_NEUTRAL = Sampling(temperature=0.0, presence_penalty=0.0, repetition_penalty=1.0)


class Choice(NamedTuple):
    """What may be said.

    Attributes:
        names: The legal tokens, without white space around them.
        grammar: Allows those and nothing else.
    """

    names: frozenset[str]
    grammar: str


class Chosen(NamedTuple):
    """What was said.

    Attributes:
        shares: The probability of each legal token that was told; they add up to 1.
        usage: Tokens spent.
        method: How it was found out, as ``meta.score.method`` says it.
    """

    shares: Mapping[str, float]
    usage: Usage
    method: str


async def choose(slot: Slot, asked: tuple[Message, ...], choice: Choice, priority: Priority, until: Deadline) -> Chosen:
    """The probability of each token, by the engine's own word or, where it gives none, by a few samples.

    Raises:
        ServiceError: the engine refused, said something else, or nothing by ``until``.
    """
    generation = Generation(asked, 1, _NEUTRAL, choice.grammar, priority, _ALTERNATIVES, common=True)
    text, alternatives, usage = await _one(slot, generation, choice, until)
    likely = _likely(alternatives, choice)
    if likely:
        return Chosen(likely, usage, "expected value of one token")
    drawn = [text]
    for seed in range(1, _SAMPLES):
        sampling = _NEUTRAL._replace(temperature=1.0, seed=seed)
        text, _, more = await _one(slot, generation._replace(sampling=sampling, alternatives=0), choice, until)
        drawn.append(text)
        usage = usage.and_of(more)
    return Chosen({name: drawn.count(name) / len(drawn) for name in set(drawn)}, usage, f"mean of {_SAMPLES} samples")


async def _one(
    slot: Slot, generation: Generation, choice: Choice, until: Deadline
) -> tuple[str, Mapping[str, float], Usage]:
    said = await slot.complete(generation, until=until)
    text = decoded(said.literal).strip() or said.reasoning.strip()
    if text not in choice.names:
        raise ServiceError("The engine said something where the grammar allows nothing but one of a few words.")
    return text, said.alternatives[0] if said.alternatives else {}, said.usage


def _likely(alternatives: Mapping[str, float], choice: Choice) -> Mapping[str, float]:
    """Log-probabilities of tokens -> probabilities of the legal ones, which add up to 1."""
    weights: dict[str, float] = {}
    for token, logprob in alternatives.items():
        name = token.strip()
        if name in choice.names:
            weights[name] = weights.get(name, 0.0) + math.exp(logprob)
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()} if total > 0 else {}
