"""What was settled before the model speaks is in the grammar: it cannot say anything else."""

import json
import re
from typing import Any

import pytest

from app.schemas.interview import Action
from app.tasks.feedback import FREE, SCORED
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST, StepTask
from app.tasks.report_parts import REVIEW, REVIEWS, SUMMARY
from app.tasks.report_whole import WHOLE_REPORT
from app.tasks.shape import Shape
from tests.unit.grammar_reference import Grammar

EVERY_SHAPE: list[Shape[Any]] = [
    *(FREE, *SCORED, *MESSAGE_FIRST.shapes, *THOUGHT_FIRST.shapes),
    *(REVIEW, *REVIEWS, SUMMARY, *WHOLE_REPORT.shapes),
]


OPENING = "네, 잘 들었습니다."


def says(shape: Shape[Any], answer: str) -> bool:
    """Whether an engine can say ``answer`` in Korean: it is given the beginning, and the grammar leaves it the rest."""
    begun = shape.begun + (OPENING if shape.opens == "message" else "")
    return answer.startswith(begun) and Grammar(shape.grammars["ko"]).recognises(answer[len(begun) :])


ALLOWED: tuple[tuple[Action, ...], ...] = (
    ("FOLLOW_UP",),
    ("NEW_TOPIC",),
    ("NEXT_PHASE",),
    ("FOLLOW_UP", "NEW_TOPIC"),
    ("NEW_TOPIC", "NEXT_PHASE"),
    ("FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE"),
)


@pytest.mark.parametrize("score", range(11))
@pytest.mark.parametrize(("free", "scored"), [(FREE, SCORED), (REVIEW, REVIEWS)], ids=["feedback", "review"])
def test_a_known_score_is_the_only_one_that_can_be_said(
    score: int, free: Shape[Any], scored: tuple[Shape[Any], ...]
) -> None:
    texts = {name: "정확하고 구체적인 설명입니다." for name in free.model.model_fields if name != "score"}
    for said in range(11):
        answer = json.dumps({"score": said, **texts}, ensure_ascii=False, separators=(",", ":"))
        assert says(scored[score], answer) == (said == score)
        assert says(free, answer)


def step(order: StepTask, action: Action) -> str:
    """A step as the model would say it, its keys in the order of the task."""
    message = None if action == "NEXT_PHASE" else f"{OPENING} 어떤 경험이 있나요?"
    said = {"action": action, "message": message, "evaluation": None}
    thought = {"thought": "다음으로 넘어갑니다."}
    answer = {**said, **thought} if order is MESSAGE_FIRST else {**thought, **said}
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("order", [MESSAGE_FIRST, THOUGHT_FIRST], ids=["message-first", "thought-first"])
def test_there_is_one_shape_of_a_step_for_each_set_of_actions(order: StepTask) -> None:
    actions = ALLOWED[-1]
    found = [tuple(action for action in actions if says(shape, step(order, action))) for shape in order.shapes]
    assert sorted(found) == sorted(ALLOWED)


@pytest.mark.parametrize("shape", EVERY_SHAPE, ids=lambda shape: shape.model.__name__)
def test_an_answer_may_soon_be_over_once_less_than_two_hundred_characters_are_left(shape: Shape[Any]) -> None:
    behind = shape.fields[shape.fields.index(shape.tail) + 1 :]
    left = sum(shape.bounds[name,] for name in behind)
    assert left < 200 <= left + shape.bounds[shape.tail,]


@pytest.mark.parametrize("shape", EVERY_SHAPE, ids=lambda shape: shape.model.__name__)
def test_only_a_single_class_of_characters_is_repeated(shape: Shape[Any]) -> None:
    """Xgrammar spends half a second on each token where a choice is repeated within bounds, and nothing on a class."""
    text = shape.grammars["ko"]
    rules = dict(line.split(" ::= ", 1) for line in text.splitlines())
    for name in re.findall(r"([a-z-]+)\{\d", text):
        assert re.fullmatch(r"\[[^ ]*( [^ ]*)?\]", rules[name]), name
