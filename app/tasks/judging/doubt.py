"""Whether an answer that does well is to be believed: one more token, by a question of its own.

One digit weighs how much is said, so a small model gives a long false answer a good one (docs/scoring.md). Asked by
itself whether what is said is true, or, of a personal answer, whether whoever says it is to be trusted, the same model
tells many of those. It also doubts some that are right, so it recommends a review and changes no score. It is asked in
English, whatever the answer is in, and without examples: with eight of them it read 600 to 900 tokens instead of 260
and told false answers from good ones no better. Asked in the conversation of the digit it told nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

from app.core.deadline import Deadline
from app.core.defuse import defuse
from app.core.generation import Message, Priority, Usage
from app.core.llm_engine import Slot
from app.core.prompt_builder import Language
from app.tasks.judging.case import Exchange
from app.tasks.judging.choice import Choice, choose
from app.tasks.judging.rubric import LONGEST, Check

WORTH_ASKING = 5.0
"""Score from which an answer is asked about: what is below fails anyway."""
DOUBTED = 1 / 3
"""Probability that it is not to be believed, from which a person should look. A small model is never sure that a
candidate is right: on the tune half of the suite it was 0.30 at most of 68 good answers, and more than a third of 18 of
the 27 false ones that were asked about. A model that is sure is far from it on either side."""

_YES, _NO = "Yes", "No"
GRAMMAR = f'root ::= "{_YES}" | "{_NO}"\n'
_CHOICE = Choice(frozenset((_YES, _NO)), GRAMMAR)
_LANGUAGES: Mapping[Language, str] = {"ko": "Korean", "en": "English"}


class Doubt(NamedTuple):
    """Whether an answer is to be believed.

    Attributes:
        share: Probability that it is not to be believed, 0 to 1.
        usage: Tokens spent on it.
    """

    share: float
    usage: Usage


async def doubt(
    slot: Slot, check: Check, exchange: Exchange, language: Language, priority: Priority, until: Deadline
) -> Doubt:
    """Ask about one answer.

    Args:
        slot: The place at the engine.
        check: What is asked.
        exchange: The question and the answer.
        language: Of the answer.
        priority: Passed on to the engine.
        until: When it must be known.

    Raises:
        ServiceError: see ``choose``.
    """
    shares, usage, _ = await choose(slot, _messages(check, exchange, language), _CHOICE, priority, until)
    return Doubt(shares.get(_NO, 0.0), usage)


def _messages(check: Check, exchange: Exchange, language: Language) -> tuple[Message, ...]:
    role = check.role.format(language=_LANGUAGES[language])
    asked = f"Question: {defuse(exchange.question)}\nAnswer: «{defuse(exchange.answer[:LONGEST])}»\n{check.ask}"
    # No word about orders inside the answer: doubt changes no score, and such a word made good answers doubted.
    return Message("system", role), Message("user", asked)
