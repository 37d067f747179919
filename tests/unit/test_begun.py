"""What every answer begins with is given to the engine, and the grammar is exactly that of the rest."""

import json
from functools import cache
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, create_model

from app.core.begun import begun_of
from app.core.grammar import grammar_for
from app.tasks.feedback import FREE, SCORED
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.interview_words import LONGEST_OPENING
from app.tasks.report_parts import REVIEWS, SUMMARY
from app.tasks.report_whole import WHOLE_REPORT
from app.tasks.shape import Shape
from tests.unit.grammar_reference import STYLES, Grammar, Style
from tests.unit.test_task_shapes import EVERY_SHAPE

CHOSEN: list[Shape[Any]] = [
    *(FREE, SCORED[0], SCORED[10], REVIEWS[7], SUMMARY),
    *(*MESSAGE_FIRST.shapes, *THOUGHT_FIRST.shapes, *WHOLE_REPORT.shapes),
]
MESSAGE = 255 - LONGEST_OPENING - 1  # characters of a message behind the sentence that it is begun with
randoms = st.randoms(use_true_random=True, note_method_calls=False)


@cache
def both(shape: Shape[Any]) -> tuple[Grammar, Grammar]:
    """The grammar of whole answers, and that of what an engine is left to say."""
    return Grammar(grammar_for(shape.model, "ko")), Grammar(shape.grammars["ko"])


@pytest.mark.parametrize("shape", CHOSEN, ids=lambda shape: shape.begun)
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=6, deadline=None)
def test_the_beginning_and_any_rest_are_a_whole_answer(shape: Shape[Any], random: Random, style: Style) -> None:
    whole, rest = both(shape)
    answer = shape.begun + ("네." if shape.opens == "message" else "") + rest.sentence(random, style)
    assert whole.recognises(answer)
    shape.model.model_validate_json(answer)


@pytest.mark.parametrize("shape", CHOSEN, ids=lambda shape: shape.begun)
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=6, deadline=None)
def test_every_whole_answer_is_the_beginning_and_a_rest(shape: Shape[Any], random: Random, style: Style) -> None:
    whole, rest = both(shape)
    answer = whole.sentence(random, style)
    assert answer.startswith(shape.begun)
    if shape.opens == "message":  # it goes on behind a sentence
        assert rest.recognises(" " + answer[len(shape.begun) :]) == (len(json.loads(answer)["message"]) <= MESSAGE)
    else:
        assert rest.recognises(answer[len(shape.begun) :])


@pytest.mark.parametrize("shape", EVERY_SHAPE, ids=lambda shape: shape.begun)
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=6, deadline=None)
def test_an_engine_that_repeats_the_beginning_can_be_told_from_one_that_goes_on(
    shape: Shape[Any], random: Random, style: Style
) -> None:
    assert shape.begun.startswith("{")
    assert not both(shape)[1].sentence(random, style).startswith("{")


class _Open(BaseModel):
    x: str = Field(min_length=1, max_length=5)


class _Closed(BaseModel):
    x: None


@pytest.mark.parametrize(
    ("annotation", "begun"),
    [
        (str, '{"x":"'),
        (str | None, '{"x'),
        (Literal["a"], '{"x":"a"}'),
        (Literal["NEW_TOPIC", "NEXT_PHASE"], '{"x":"'),
        (None, '{"x":null}'),
        (bool, '{"x'),
        (list[str], '{"x'),
        (_Open, '{"x":{"x":"'),
        (_Open | _Closed, '{"x":{"x'),
    ],
)
def test_it_ends_where_a_value_is_open_and_never_within_a_word(annotation: Any, begun: str) -> None:
    assert begun_of(create_model("Model", x=(annotation, ...))) == begun


def test_a_number_that_is_known_belongs_to_it_and_one_that_is_not_does_not() -> None:
    known: Any = (int, Field(ge=7, le=7))
    free: Any = (int, Field(ge=0, le=10))
    assert begun_of(create_model("Model", x=known, y=free)) == '{"x":7,"y'


class _One(BaseModel):
    kind: Literal["one"]
    items: list[Literal["a"]] = Field(max_length=2)


class _Two(BaseModel):
    kind: Literal["two"]
    items: list[Literal["b"]] = Field(max_length=2)


def test_what_two_kinds_of_answers_hold_stays_apart_behind_their_common_beginning() -> None:
    model: Any = RootModel[_One | _Two]
    begun = begun_of(model)
    rest = Grammar(grammar_for(model, "ko", begun))
    assert begun == '{"kind":"'
    assert rest.recognises('one","items":["a","a"]}')
    assert rest.recognises('two","items":["b"]}')
    assert not rest.recognises('one","items":["b"]}')
    assert not rest.recognises('two","items":["a"]}')


@pytest.mark.parametrize("begun", ['{"y":"', '{"x":"a', '{"x":1', "["])
def test_no_grammar_follows_what_not_every_answer_begins_with(begun: str) -> None:
    with pytest.raises(ValueError, match=r"said|goes on|begin with"):
        grammar_for(create_model("Model", x=(Literal["ab", "cd"], ...)), "ko", begun)
