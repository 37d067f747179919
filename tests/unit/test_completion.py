"""A whole answer is read as strictly as a stream."""

from typing import Any

import pytest
from pydantic_core import to_json

from app.core.completion import Pace, read_completion
from app.engines.profiles import SGLANG
from app.errors import EngineFailure, PromptTooLong, ServiceError


def body(**changed: Any) -> bytes:
    """SGLang's answer, but for fields of its choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "네."}, "finish_reason": "stop"} | changed
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
    return to_json({"object": "chat.completion", "choices": [choice], "usage": usage})


def test_text_reason_and_tokens_are_read() -> None:
    said = read_completion(body(), SGLANG)
    assert (said.text, said.finish) == ("네.", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.cached_tokens) == (7, 2, 5)


def test_a_thought_is_no_answer() -> None:
    assert read_completion(body(message={"content": "<think>음</think>\n\n네."}), SGLANG).text == "네."


def test_an_answer_that_does_not_say_why_it_ended_is_none() -> None:
    with pytest.raises(EngineFailure):
        read_completion(body(finish_reason=None), SGLANG)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"choices":[]}', b"null", b'{"choices":[{"message":null}]}'])
def test_nonsense_is_a_failure_of_the_engine(raw: bytes) -> None:
    with pytest.raises(EngineFailure):
        read_completion(raw, SGLANG)


def test_an_error_in_spite_of_its_status_is_an_error() -> None:
    error = {"object": "error", "message": "The input is longer than the model's context length", "code": 400}
    with pytest.raises(ServiceError) as caught:
        read_completion(to_json(error), SGLANG)
    assert isinstance(caught.value, PromptTooLong)


def test_an_answer_may_take_twice_as_long_as_those_before_it() -> None:
    pace = Pace(10)
    for _ in range(200):
        pace.note(2.5, 100)
    assert pace.patience(1000) == pytest.approx(10 + 2 * 25, rel=0.01)
