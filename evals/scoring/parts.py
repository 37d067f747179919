"""What is measured: the items of each part, made from the suite."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import get_args

from app.core.llm_engine import LLMEngine
from app.schemas.task import TaskRequest
from evals.integrity import Injection
from evals.scoring.judging import Terms, inside_the_json, judge
from evals.scoring.parts_words import agreement, cost, reports, situations
from evals.scoring.results import Attacked, Graded, PlainScore, Retested, Shifted
from evals.scoring.runner import Item, PartName
from evals.scoring.suite import (
    GRADES,
    REAL_GRADES,
    Grade,
    GradedQuestion,
    Suite,
    Variant,
    spread,
    spread_over_kinds,
)
from evals.scoring.wrappers import CALLER, WRAPPERS, Wrapper

PARTS: tuple[PartName, ...] = get_args(PartName)
AGAIN = "again"
"""The name under which the first wrapper is measured a second time."""

_UNKNOWN_LEVEL, _UNKNOWN_PHASE = "JUNIOR", "TECHNICAL"  # of the attacks: all of them are on technical questions


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of the suite is used.

    Attributes:
        limit: Of each part, at most this many questions, pairs, attacks, situations, feedbacks or reports; 0: no limit.
        plain: Questions that are also asked for a score inside the JSON.
        retest: Questions whose real answers go through all wrappers.
        injections: Attacks, spread over their kinds.
        steps: Situations; 0: all.
        feedbacks: Read for contradictions.
        reports: Of 11 questions each.
        cost: Answers whose cost is compared.
    """

    limit: int = 0
    plain: int = 6
    retest: int = 12
    injections: int = 60
    steps: int = 0
    feedbacks: int = 60
    reports: int = 1
    cost: int = 8

    def at_most(self, wanted: int) -> int:
        """``wanted`` (0: all), within the limit."""
        most = wanted or 1_000_000
        return min(most, self.limit) if self.limit else most


def build_items(suite: Suite, names: Sequence[PartName], sizes: Sizes, terms: Terms) -> list[Item]:
    """Everything to find out, part after part."""
    makers: Mapping[PartName, Callable[[Suite, Sizes, Terms], list[Item]]] = MappingProxyType(
        {
            "pairs": _pairs,
            "retest": _retest,
            "variants": _variants,
            "injections": _injections,
            "situations": lambda s, z, t: situations(spread(s.situations, z.at_most(z.steps)), t),
            "agreement": lambda s, z, t: agreement(s.questions, z.at_most(z.feedbacks), t),
            "reports": lambda s, z, t: reports(s.questions, z.at_most(z.reports), t),
            "cost": lambda s, z, t: cost(s.questions, z.at_most(z.cost), t),
        }
    )
    return [item for name in PARTS if name in names for item in makers[name](suite, sizes, terms)]


def _request(one: GradedQuestion, grade: Grade, wrapper: Wrapper = CALLER) -> TaskRequest:
    return wrapper.request(one.question, one.answers[grade], one.level, one.phase)


def _pairs(suite: Suite, sizes: Sizes, terms: Terms) -> list[Item]:
    items: list[Item] = []
    for one in spread(suite.questions, sizes.at_most(0)):
        for grade in GRADES:
            request = _request(one, grade)
            run = partial(_grade, request=request, one=one, grade=grade, terms=terms)
            items.append(Item("pairs", f"{one.id}/{grade}", (request,), run, Graded))
    for one in spread(suite.questions, sizes.at_most(sizes.plain)) if sizes.plain else ():
        for grade in GRADES:
            request = _request(one, grade)
            run = partial(_plain, request=request, one=one, grade=grade, terms=terms)
            name = f"{one.id}/{grade}/inside the JSON"
            items.append(Item("pairs", name, (request,), run, PlainScore, weight=3, words=True))
    return items


async def _grade(engine: LLMEngine, *, request: TaskRequest, one: GradedQuestion, grade: Grade, terms: Terms) -> Graded:
    judged = await judge(engine, request, terms, one.question, one.answers[grade])
    return Graded(question=one.id, grade=grade, judged=judged)


async def _plain(
    engine: LLMEngine, *, request: TaskRequest, one: GradedQuestion, grade: Grade, terms: Terms
) -> PlainScore:
    return PlainScore(question=one.id, grade=grade, score=await inside_the_json(engine, request, terms))


def _retest(suite: Suite, sizes: Sizes, terms: Terms) -> list[Item]:
    items: list[Item] = []
    named = [*((wrapper.name, wrapper) for wrapper in WRAPPERS), (AGAIN, CALLER)]
    for one in spread(suite.questions, sizes.at_most(sizes.retest)):
        for grade in REAL_GRADES:
            for name, wrapper in named:
                request = _request(one, grade, wrapper)
                run = partial(_wrapped, request=request, one=one, grade=grade, name=name, terms=terms)
                items.append(Item("retest", f"{one.id}/{grade}/{name}", (request,), run, Retested))
    return items


async def _wrapped(
    engine: LLMEngine, *, request: TaskRequest, one: GradedQuestion, grade: Grade, name: str, terms: Terms
) -> Retested:
    judged = await judge(engine, request, terms, one.question, one.answers[grade])
    return Retested(question=one.id, grade=grade, wrapper=name, expected=judged.expected)


def _variants(suite: Suite, sizes: Sizes, terms: Terms) -> list[Item]:
    items: list[Item] = []
    for number, one in enumerate(spread(suite.variants, sizes.at_most(0))):
        base = CALLER.request(one.question, one.base, one.level, one.phase)
        variant = CALLER.request(one.question, one.variant, one.level, one.phase)
        run = partial(_shift, base=base, variant=variant, one=one, terms=terms)
        items.append(Item("variants", f"{one.kind}/{number}", (base, variant), run, Shifted, weight=2))
    return items


async def _shift(engine: LLMEngine, *, base: TaskRequest, variant: TaskRequest, one: Variant, terms: Terms) -> Shifted:
    return Shifted(
        kind=one.kind,
        question=one.question,
        base=await judge(engine, base, terms, one.question, one.base),
        variant=await judge(engine, variant, terms, one.question, one.variant),
    )


def _injections(suite: Suite, sizes: Sizes, terms: Terms) -> list[Item]:
    items: list[Item] = []
    for one in spread_over_kinds(suite.injections, sizes.at_most(sizes.injections)):
        base = CALLER.request(one.question, one.base, _UNKNOWN_LEVEL, _UNKNOWN_PHASE)
        injected = CALLER.request(one.question, one.text, _UNKNOWN_LEVEL, _UNKNOWN_PHASE)
        run = partial(_attack, base=base, injected=injected, one=one, terms=terms)
        items.append(Item("injections", one.id, (base, injected), run, Attacked, weight=2))
    return items


async def _attack(
    engine: LLMEngine, *, base: TaskRequest, injected: TaskRequest, one: Injection, terms: Terms
) -> Attacked:
    return Attacked(
        id=one.id,
        kind=one.kind,
        language=one.language,
        base=await judge(engine, base, terms, one.question, one.base),
        injected=await judge(engine, injected, terms, one.question, one.text),
    )
