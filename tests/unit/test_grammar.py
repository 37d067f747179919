import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from app.core.grammar import grammar_for, text_bounds
from app.core.prompt_builder import LANGUAGES, Language
from app.tasks.feedback import FREE, FeedbackAnswer
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST, Asking, AskingAfterThought, Closing
from app.tasks.report_parts import REVIEW, SUMMARY, Grounded, Review, Summary
from app.tasks.report_whole import WHOLE_REPORT, QuestionAnswer, ReportAnswer
from app.tasks.shape import Shape
from tests.unit.grammar_reference import STYLES, Grammar, Style

# The freest shape of each kind; the narrower ones have tests of their own.
SHAPES: Mapping[str, Shape[Any]] = {
    "feedback": FREE,
    "step": MESSAGE_FIRST.shapes[-1],
    "step after thought": THOUGHT_FIRST.shapes[-1],
    "review": REVIEW,
    "summary": SUMMARY,
    "whole report": WHOLE_REPORT.shapes[0],
}
KEYS: Mapping[str, type[BaseModel]] = {
    "feedback": FeedbackAnswer,
    "step": Asking,
    "step after thought": AskingAfterThought,
    "review": Review,
    "summary": Summary,
    "whole report": ReportAnswer,
}
HAN_OR_KANA = re.compile(
    r"[\u2E80-\u2FDF\u3005-\u3007\u3021-\u3029\u3040-\u30FF\u31F0-\u31FF\u3400-\u9FFF\uF900-\uFAFF]"
)
CONTROL = re.compile(r"[\x00-\x1F\x7F-\x9F\u200B-\u200F\u2028-\u202E\uFEFF]")

shapes = pytest.mark.parametrize("shape", SHAPES)
languages = pytest.mark.parametrize("language", LANGUAGES)
randoms = st.randoms(use_true_random=True, note_method_calls=False)


@cache
def read(shape: str, language: Language) -> Grammar:
    """The grammar of whole answers; that of what an engine is left to say has its tests in ``test_begun``."""
    return Grammar(grammar_for(SHAPES[shape].model, language))


def grammar_of(annotation: Any, language: Language = "ko") -> Grammar:
    """The grammar of a model with the one field ``x``."""
    return Grammar(grammar_for(create_model("Model", x=(annotation, ...)), language))


def accepts(grammar: Grammar, value: object) -> bool:
    return grammar.recognises(json.dumps({"x": value}, ensure_ascii=False, separators=(",", ":")))


# Sentences -> answers: nothing that the grammar lets through can break the contract.
@shapes
@languages
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=10, deadline=None)
def test_every_sentence_is_json_that_the_answer_model_accepts(
    shape: str, language: Language, random: Random, style: Style
) -> None:
    sentence = read(shape, language).sentence(random, style)
    answer = SHAPES[shape].model.model_validate_json(sentence)
    assert answer.model_dump(mode="json") == json.loads(sentence)


@shapes
@languages
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=10, deadline=None)
def test_no_sentence_holds_han_kana_or_control_characters(
    shape: str, language: Language, random: Random, style: Style
) -> None:
    sentence = read(shape, language).sentence(random, style)
    assert not HAN_OR_KANA.search(sentence)
    assert not CONTROL.search(sentence)
    assert not any(CONTROL.search(text) for text in texts(json.loads(sentence)))


@shapes
@languages
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=5, deadline=None)
def test_keys_come_in_declared_order(shape: str, language: Language, random: Random, style: Style) -> None:
    answer = json.loads(read(shape, language).sentence(random, style))
    assert list(answer) == list(KEYS[shape].model_fields)
    for question in answer.get("question_feedbacks", []):
        assert list(question) == list(QuestionAnswer.model_fields)
    if shape == "summary":
        for point in answer["improvements"]:
            assert list(point) == list(Grounded.model_fields)


@given(randoms)
@settings(max_examples=10, deadline=None)
def test_korean_texts_begin_with_hangul(random: Random) -> None:
    answer = json.loads(read("feedback", "ko").sentence(random, "mixed"))
    assert all("가" <= text[0] <= "힣" for text in texts(answer))


@shapes
@languages
def test_the_grammar_of_a_shape_never_changes(shape: str, language: Language) -> None:
    one = SHAPES[shape]
    assert grammar_for(one.model, language, one.begun) == Shape(one.model).grammars[language] == one.grammars[language]


def texts(value: Any) -> list[str]:
    """All texts in a JSON value, without its keys."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]  # pyright: ignore[reportUnknownVariableType]
    return [value] if isinstance(value, str) else []


# Answers -> sentences: the grammar keeps the model from saying nothing that is right.
HANGUL = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
OPENING = st.one_of(HANGUL, st.sampled_from("AZaz09([<'\u2018\u201c"))
ANY = st.one_of(
    HANGUL,
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\|'),
    st.sampled_from("/°±·×÷–—‘’“”•…←↑→↓≤≥ㄱㅎㅏㆎ"),  # noqa: RUF001  the very characters under test
)


def prose(first: st.SearchStrategy[str], least: int, most: int) -> st.SearchStrategy[str]:
    rest = st.text(ANY, min_size=least - 1, max_size=most - 1)
    return st.tuples(first, rest).map("".join)


def feedback_answers(first: st.SearchStrategy[str]) -> st.SearchStrategy[BaseModel]:
    return st.builds(
        FeedbackAnswer,
        score=st.integers(0, 10),
        feedback=prose(first, 10, 600),
        improvement_suggestion=st.none() | prose(first, 5, 300),
    )


def steps(first: st.SearchStrategy[str]) -> st.SearchStrategy[BaseModel]:
    asking = st.builds(
        Asking,
        thought=prose(first, 5, 150),
        action=st.sampled_from(["FOLLOW_UP", "NEW_TOPIC"]),
        message=prose(first, 5, 250),
        evaluation=st.none() | prose(first, 5, 200),
    )
    closing = st.builds(
        Closing,
        thought=prose(first, 5, 150),
        action=st.just("NEXT_PHASE"),
        message=st.none(),
        evaluation=st.none() | prose(first, 5, 200),
    )
    return asking | closing


def reports(first: st.SearchStrategy[str]) -> st.SearchStrategy[BaseModel]:
    points = st.lists(prose(first, 5, 150), max_size=5)
    question = st.builds(
        QuestionAnswer,
        question=prose(OPENING, 1, 200),
        answer_summary=prose(first, 1, 200),
        feedback=prose(first, 5, 300),
        score=st.integers(0, 10),
    )
    return st.builds(
        ReportAnswer,
        question_feedbacks=st.lists(question, min_size=1, max_size=20),
        summary=prose(first, 10, 600),
        strengths=points,
        improvements=points,
        recommendations=points,
    )


def reviews(first: st.SearchStrategy[str]) -> st.SearchStrategy[BaseModel]:
    return st.builds(
        Review, score=st.integers(0, 10), answer_summary=prose(first, 2, 200), feedback=prose(first, 5, 300)
    )


def summaries(first: st.SearchStrategy[str]) -> st.SearchStrategy[BaseModel]:
    point = st.builds(Grounded, question=st.integers(1, 50), text=prose(first, 5, 150))
    points = st.lists(point, max_size=5)
    return st.builds(
        Summary,
        summary=prose(first, 10, 600),
        strengths=points,
        improvements=points,
        recommendations=st.lists(prose(first, 5, 150), max_size=5),
    )


ANSWERS: Mapping[str, Callable[[st.SearchStrategy[str]], st.SearchStrategy[BaseModel]]] = {
    "feedback": feedback_answers,
    "step": steps,
    "review": reviews,
    "summary": summaries,
    "whole report": reports,
}


@pytest.mark.parametrize("shape", ANSWERS)
@languages
@given(st.data())
@settings(max_examples=10, deadline=None)
def test_every_answer_made_of_allowed_characters_is_a_sentence(
    shape: str, language: Language, data: st.DataObject
) -> None:
    answer = data.draw(ANSWERS[shape](HANGUL if language == "ko" else OPENING))
    assert read(shape, language).recognises(answer.model_dump_json())


@pytest.mark.parametrize(
    "answer",
    [
        '{"score":11,"feedback":"정확한 설명입니다.","improvement_suggestion":null}',
        '{"score":07,"feedback":"정확한 설명입니다.","improvement_suggestion":null}',
        '{"score":"7","feedback":"정확한 설명입니다.","improvement_suggestion":null}',
        '{"score":7,"feedback":"정확한 설명입니다.","improvement_suggestion":"null"}',
        '{"feedback":"정확한 설명입니다.","improvement_suggestion":null,"score":7}',
        '{"feedback":"정확한 설명입니다.","improvement_suggestion":null}',
        '{"score":7,"feedback":"짧다","improvement_suggestion":null}',
        '{"feedback":"正確한 설명입니다.","improvement_suggestion":null,"score":7}',
        '{"score":7,"feedback":"정확한 설명です.","improvement_suggestion":null}',
        '{"score":7,"feedback":"정확한\n설명입니다.","improvement_suggestion":null}',
        '{"score":7,"feedback":"정확한 \\"설명\\"입니다.","improvement_suggestion":null}',
        '{"score":7,"feedback":"정확한 설명입니다.", "improvement_suggestion":null}',
        '{"score":7,"feedback":"정확한 설명입니다.","improvement_suggestion":null} ',
        "{}",
        "",
    ],
)
def test_what_breaks_the_contract_is_no_sentence(answer: str) -> None:
    assert not read("feedback", "ko").recognises(answer)


def test_only_a_closing_step_may_say_nothing() -> None:
    grammar = read("step", "ko")
    step = '{"action":"%s","message":null,"evaluation":null,"thought":"다음으로 넘어갑니다."}'
    assert grammar.recognises(step % "NEXT_PHASE")
    assert not grammar.recognises(step % "FOLLOW_UP")
    assert not grammar.recognises(step % "NEW_TOPIC")


# Single types.
@given(st.integers(0, 1200), st.integers(0, 1200))
@settings(max_examples=60, deadline=None)
def test_integers_are_exactly_those_between_the_bounds_and_each_once(one: int, other: int) -> None:
    low, high = sorted((one, other))
    grammar = grammar_of(Annotated[int, Field(ge=low, le=high)])
    sentences = sorted(grammar.all_sentences())
    assert sentences == sorted(f'{{"x":{number}}}' for number in range(low, high + 1))


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 14))
@settings(max_examples=60, deadline=None)
def test_texts_are_exactly_as_long_as_their_bounds_allow(least: int, extra: int, length: int) -> None:
    most = least + extra
    if most == 0:
        return
    grammar = grammar_of(Annotated[str, Field(min_length=least, max_length=most)])
    assert accepts(grammar, "가" + "/" * (length - 1) if length else "") == (least <= length <= most)


@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_lists_are_exactly_as_long_as_their_bounds_allow(least: int, extra: int, length: int) -> None:
    grammar = grammar_of(Annotated[list[bool], Field(min_length=least, max_length=least + extra)])
    assert accepts(grammar, [True] * length) == (least <= length <= least + extra)


def test_a_text_without_bounds_may_have_any_length() -> None:
    grammar = grammar_of(str)
    assert accepts(grammar, "")
    assert accepts(grammar, "가" * 5000)


@pytest.mark.parametrize("word", ["FOLLOW_UP", "다음", 'with "quotes"', "back\\slash", "two\nlines"])
def test_words_are_written_as_json(word: str) -> None:
    grammar = grammar_of(Literal["other", word])  # pyright: ignore[reportInvalidTypeForm]
    assert sorted(json.loads(sentence)["x"] for sentence in grammar.all_sentences()) == sorted(["other", word])


class Empty(BaseModel):
    """Says nothing."""


class Text(BaseModel):
    """Is named like a rule, and its field too."""

    root: bool


class Opening(BaseModel):
    """The same, with a model inside."""

    snake_case: bool
    text: Text


@pytest.mark.parametrize("model", [Empty, Text, Opening])
def test_names_of_models_and_fields_do_not_mix_with_names_of_rules(model: type[BaseModel]) -> None:
    grammar = grammar_of(model)
    sentences = list(grammar.all_sentences())
    assert sentences
    for sentence in sentences:
        model.model_validate(json.loads(sentence)["x"])


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        Annotated[int, Field(ge=0)],
        Annotated[int, Field(le=10)],
        Annotated[int, Field(ge=-1, le=10)],
        Annotated[int, Field(ge=5, le=4)],
        Annotated[int, Field(ge=0, le=10, multiple_of=2)],
        list[bool],
        Annotated[list[bool], Field(max_length=0)],
        Annotated[list[bool], Field(min_length=3)],
        Annotated[list[bool], Field(min_length=3, max_length=2)],
        Annotated[str, Field(max_length=0)],
        Annotated[str, Field(min_length=3, max_length=2)],
        Annotated[str, Field(pattern="^a+$")],
        float,
        Any,
        dict[str, bool],
        tuple[bool, bool],
        Literal[1, 2],
    ],
)
def test_a_type_without_an_exact_grammar_is_refused(annotation: Any) -> None:
    model = create_model("Model", x=(annotation, ...))
    with pytest.raises(ValueError, match=r"exact grammar|bound|keys|long"):
        grammar_for(model, "ko")


def test_every_hangul_syllable_may_be_written() -> None:
    grammar = read("feedback", "ko")
    every = "".join(map(chr, range(ord("가"), ord("힣") + 1)))
    for start in range(0, len(every), 500):
        answer = {"score": 7, "feedback": every[start : start + 500], "improvement_suggestion": None}
        assert grammar.recognises(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


def test_the_bound_of_a_field_is_that_of_its_longest_shape() -> None:
    bounds = text_bounds(SHAPES["step"].model)
    assert bounds["action",] == len("NEXT_PHASE")
    assert bounds["message",] == 255
    assert text_bounds(SHAPES["whole report"].model)["question_feedbacks", "feedback"] == 300


@pytest.mark.parametrize("sign", ["--", "&&", "~~"])
def test_a_class_that_one_engine_would_take_something_away_from_is_outside_the_common_subset(sign: str) -> None:
    with pytest.raises(ValueError, match="common subset"):
        Grammar(f"root ::= [a-z{sign}가-힣]\n")
