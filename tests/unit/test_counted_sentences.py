"""Where an engine counts sentences, a text ends with as many as its field may have, and says so if it was stopped."""

import json
import re
from random import Random
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model

from app.core.grammar import TEXT_CLASS, at_most, grammar_for, share
from app.core.prompt_builder import LANGUAGES, Language
from app.core.sentences import sentences_of
from app.tasks.closing import end_sentences
from app.tasks.feedback import FREE, SCORED
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.report_parts import REVIEW, SUMMARY
from app.tasks.report_whole import WHOLE_REPORT
from app.tasks.shape import Shape
from tests.unit.grammar_reference import STYLES, Grammar, Style

COUNTED = {language: Grammar(grammar_for(FREE.model, language, counted=True)) for language in LANGUAGES}
ROOM = share(600, 2)
SHAPES: list[Shape[Any]] = [FREE, REVIEW, SUMMARY, MESSAGE_FIRST.shapes[-1], THOUGHT_FIRST.shapes[-1]]
MOST = {"feedback": 2, "improvement_suggestion": 1, "answer_summary": 1, "summary": 4, "evaluation": 1, "thought": 1}
INSIDE = re.compile(r"[.!?…][0-9a-z]")
randoms = st.randoms(use_true_random=True, note_method_calls=False)


def says(feedback: str, suggestion: str | None = None) -> bool:
    """Whether an engine that counts can say this feedback."""
    answer = {"score": 7, "feedback": feedback, "improvement_suggestion": suggestion}
    return COUNTED["ko"].recognises(json.dumps(answer, ensure_ascii=False, separators=(",", ":")))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.begun)
@pytest.mark.parametrize("language", LANGUAGES)
@given(randoms, st.sampled_from(STYLES))
@settings(max_examples=15, deadline=None)
def test_whatever_is_said_is_as_many_sentences_as_were_asked_for(
    shape: Shape[Any], language: Language, random: Random, style: Style
) -> None:
    said = json.loads(Grammar(grammar_for(shape.model, language, counted=True)).sentence(random, style))
    for name, count in MOST.items():
        text: str = said.get(name) or ""
        most = shape.bounds.get((name,), 0)
        assert len(sentences_of(text)) <= count
        assert len(text) <= most + 2 * len(INSIDE.findall(text))
        if text:
            said[name] = text[:most]
    shape.model.model_validate(said)


@pytest.mark.parametrize(
    "feedback",
    [
        "개념을 정확히 설명했습니다. 다만 사례가 부족합니다.",
        "개념을 정확히 설명했습니다",
        "배포한 Node.js 20.11.1이 10.0.0.1에서 응답한다고 했습니다. vue.js도 씁니다.",
        "응답이 3.5초에서 0.8초로 줄었다고 말했습니다. 근거도 있습니다!",
        "무엇을 왜 바꾸었는지 모두 말했습니다... '(G1)' 같은 물음에도 답이 됩니다.",
        "개념을 설명했습니다." + " 가" * ((ROOM - 1) // 2) + ".",
    ],
)
def test_two_sentences_of_any_kind_can_be_said(feedback: str) -> None:
    assert says(feedback, re.split(r"[.!]+ ", feedback, maxsplit=1)[0])


@pytest.mark.parametrize(
    "feedback",
    [
        "개념을 정확히 설명했습니다. 사례가 있습니다. 더 짧아도 됩니다.",
        "정확히 설명한 답변입니까? 그렇습니다! 다만 길었습니다.",
        "이해가 깊은 답변입니다… 사례가 있습니다… 더 짧아도 됩니다.",
        "가" * (ROOM + 1),
        "개념을 정확히 설명했습니다.  사례가 있습니다.",
        "개념을 정확히 설명했습니다. 사례가 있습니다.더 짧아도 됩니다.",
        "개념을 정확히 설명했습니다. 사례가 있습니다.jwt는 상태가 없습니다.",
        "개념을 정확히 설명했습니다. 사례가 있습니다.2단계는 상태가 없습니다.",
    ],
)
def test_a_third_sentence_and_an_endless_one_cannot(feedback: str) -> None:
    assert not says(feedback)


@given(count=st.integers(1, 4), part=st.integers(20, 400), random=randoms)
@settings(max_examples=40, deadline=None)
def test_a_text_of_so_many_sentences_is_no_longer_than_its_bound_but_for_marks_inside_them(
    count: int, part: int, random: Random
) -> None:
    most = count * part
    field = Annotated[str, Field(max_length=most, json_schema_extra=at_most(count))]
    grammar = Grammar(grammar_for(create_model("Model", x=(field, ...)), "ko", counted=True))
    text = json.loads(grammar.sentence(random, "longest"))["x"]
    assert most // 2 <= len(text) - 2 * len(INSIDE.findall(text)) <= most
    assert len(sentences_of(text)) <= count


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_classes_of_a_counted_text_are_those_of_any_other(language: Language) -> None:
    rules = dict(line.split(" ::= ", 1) for line in grammar_for(FREE.model, language, counted=True).splitlines())
    every = {chr(code) for code in range(0x20, 0x10000)}
    ours = {name: members(rules[name], every) for name in ("text", "mark", "plain", "latin", "next", "closer")}
    assert members(TEXT_CLASS, every) == ours["text"] == ours["mark"] | ours["plain"] | ours["latin"]
    assert ours["plain"] | ours["latin"] == ours["next"] | ours["closer"] | {" "}
    assert not ours["mark"] & (ours["plain"] | ours["latin"]) | ours["plain"] & ours["latin"]
    assert ours["next"] & ours["closer"] == {"'"}


def members(text: str, of: set[str]) -> set[str]:
    """Which characters a class holds."""
    one = Grammar(f"root ::= {text}\n")
    return set(one.all_sentences()) & of


def test_only_what_may_be_counted_has_two_shapes() -> None:
    assert SCORED[7].counted is SCORED[7].counted
    assert SCORED[7].counted.begun == SCORED[7].begun
    assert SCORED[7].counted.grammars["ko"] != SCORED[7].grammars["ko"]
    assert SCORED[7].grammars["ko"] == grammar_for(SCORED[7].model, "ko", SCORED[7].begun)
    assert all(shape.counted is shape for shape in WHOLE_REPORT.shapes)


ENDLESS = ("끝없이 이어지는 말과 " * 30)[:ROOM]
WHOLE = "개념을 정확히 설명했습니다."


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"{WHOLE} {ENDLESS}", WHOLE),
        (f"{WHOLE} {ENDLESS}.", WHOLE),
        (f"{ENDLESS}. {WHOLE}", f"{ENDLESS[: ENDLESS[: ROOM - 1].rindex(' ')]}…"),
    ],
)
def test_a_sentence_that_was_stopped_is_not_told_as_if_it_had_ended(said: str, left: str) -> None:
    answer, repaired = end_sentences(FREE.model(score=7, feedback=said, improvement_suggestion=None), FREE.counted)
    assert (answer.feedback, repaired) == (left, ["feedback: cut short"])
    assert re.search(r"[.…]$", answer.feedback)


@pytest.mark.parametrize("said", [f"{WHOLE} {WHOLE}", WHOLE, f"{ENDLESS[:-1]}. {ENDLESS[:-1]}."])
def test_a_sentence_that_ended_by_itself_stays(said: str) -> None:
    given_answer = FREE.model(score=7, feedback=said, improvement_suggestion=None)
    assert end_sentences(given_answer, FREE.counted) == (given_answer, [])


def test_where_nobody_counts_a_long_sentence_is_one() -> None:
    given_answer = FREE.model(score=7, feedback=f"{ENDLESS} 끝.", improvement_suggestion=None)
    assert end_sentences(given_answer, FREE) == (given_answer, [])
