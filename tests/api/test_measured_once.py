"""What an answer measured for one request holds for the next ones about it, and for nobody else."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.judged import doubting, measuring
from tests.simulator.sim_harness import Simulator
from tests.support.prompts import GOOD_ANSWER, feedback_prompt, step_prompt
from tests.support.service import Service


def said_again(service: Service, path: str, prompt: Any, **headers: str) -> Any:
    """The answer to a request that may make use of earlier ones."""
    answer = service.post(path, prompt, 300, **{"Cache_Control": "max-age=0", **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


def own_answer() -> str:
    """An answer that no other test gives."""
    return f"{GOOD_ANSWER} 저는 지원자 {uuid4()}입니다."


def test_an_answer_is_measured_once_for_its_feedback_its_step_and_its_report(
    api_service: Service, api_engine: Simulator
) -> None:
    answer = own_answer()
    api_engine.script("4", "Yes")
    feedback = said_again(api_service, "/api/feedback", feedback_prompt(answer))
    step = said_again(api_service, "/api/interview/step", step_prompt(answer=answer))
    history = [{"question": "자바의 가비지 컬렉션을 설명해 주세요.", "answer": answer}]
    report = said_again(
        api_service, "/api/report", {"user_prompt": "리포트", "system_prompt": "ko", "history": history}
    )
    assert len(measuring(api_engine)) == 1
    assert len(doubting(api_engine)) == 1
    first, again = feedback["meta"]["score"], step["meta"]["score"]
    assert (first["reused"], again["reused"]) == (False, True)
    for told in ("expected", "distribution", "doubt", "review_recommended"):
        assert first[told] == again[told]
    assert first["doubt"] is not None
    assert [one["score"] for one in report["question_feedbacks"]] == [feedback["score"]]


def test_a_step_leaves_the_question_of_belief_to_the_feedback(api_service: Service, api_engine: Simulator) -> None:
    answer = own_answer()
    api_engine.script("4", "{", "{", "{", "Yes", "{", "{")  # a step's digit, its action and words; belief and words
    step = said_again(api_service, "/api/interview/step", step_prompt(answer=answer))
    assert doubting(api_engine) == []
    prompt = feedback_prompt(answer) | {"system_prompt": "면접관입니다. 답변을 평가해 주세요."}
    feedback = said_again(api_service, "/api/feedback", prompt)
    assert (len(measuring(api_engine)), len(doubting(api_engine))) == (1, 1)
    assert step["meta"]["score"]["doubt"] is None
    assert feedback["meta"]["score"]["doubt"] is not None


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"Authorization": "Bearer other"}), ({}, {"Cache_Control": "no-store"}), ({"Cache_Control": "no-store"}, {})],
)
def test_nobody_gets_what_another_one_measured_or_what_was_not_to_be_kept(
    api_service: Service, api_engine: Simulator, first: dict[str, str], second: dict[str, str]
) -> None:
    answer = own_answer()
    for headers in (first, second):
        step = said_again(api_service, "/api/interview/step", step_prompt(answer=answer), **headers)
        assert step["meta"]["score"]["reused"] is False
    assert len(measuring(api_engine)) == 2
