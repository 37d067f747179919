"""A whole answer is read as strictly as a stream."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from app.core.completion import Pace, read_completion
from app.core.engine_events import decoded
from app.engines.profiles import SGLANG
from app.errors import EngineFailure, PromptTooLong, ServiceError


def body(**changed: Any) -> bytes:
    """SGLang's answer, but for fields of its choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "네."}, "finish_reason": "stop"} | changed
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}
    return to_json({"object": "chat.completion", "choices": [choice], "usage": usage})


def test_text_reason_and_tokens_are_read() -> None:
    said = read_completion(body(), SGLANG)
    assert (decoded(said.literal), said.finish) == ("네.", "stop")
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.cached_tokens) == (7, 2, 5)


def test_what_else_was_likely_is_read_token_by_token() -> None:
    told = [{"token": "네", "top_logprobs": [{"token": "네", "logprob": -0.1}, {"token": "아", "logprob": -2.5}]}]
    said = read_completion(body(logprobs={"content": told}), SGLANG)
    assert said.alternatives == ({"네": -0.1, "아": -2.5},)


NO_LIKELIHOODS: list[Any] = [{"x": 1}, {"content": [{}]}, {"content": [{"top_logprobs": [{"token": "네"}]}]}, 1]


@pytest.mark.parametrize("logprobs", NO_LIKELIHOODS)
def test_likelihoods_that_make_no_sense_are_a_failure_of_the_engine(logprobs: Any) -> None:
    with pytest.raises(EngineFailure):
        read_completion(body(logprobs=logprobs), SGLANG)


@pytest.mark.parametrize(("thought", "read"), [("음", "음"), (None, ""), (7, "7")])
def test_what_an_engine_puts_where_thoughts_belong_is_text(thought: Any, read: str) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": thought}
    assert read_completion(body(message=message), SGLANG).reasoning == read


def test_a_thought_is_no_answer() -> None:
    assert read_completion(body(message={"content": "<think>음</think>\n\n네."}), SGLANG).literal == '"네."'.encode()


def test_an_answer_that_does_not_say_why_it_ended_is_none() -> None:
    with pytest.raises(EngineFailure):
        read_completion(body(finish_reason=None), SGLANG)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"choices":[]}', b"null", b'{"choices":[{"message":null}]}'])
def test_nonsense_is_a_failure_of_the_engine(raw: bytes) -> None:
    with pytest.raises(EngineFailure):
        read_completion(raw, SGLANG)


def as_sglang_writes_it(content: str, *, ascii_only: bool, **choice: Any) -> bytes:
    """SGLang 0.5.23's answer to a plain chat, byte for byte but for the content."""
    last = {"logprobs": None, "finish_reason": "stop", "matched_stop": 2} | choice
    message = {"role": "assistant", "content": content, "reasoning_content": None}
    usage = {
        "prompt_tokens": 37,
        "total_tokens": 49,
        "completion_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 36},
        "reasoning_tokens": 0,
        "completion_tokens_details": None,
    }
    answer = {
        "id": "052be4abdea346b083559cbb21badd6d",
        "object": "chat.completion",
        "created": 1795403415,
        "model": "Qwen/Qwen3-32B-Instruct",
        "choices": [{"index": 0, "message": message, **last}],
        "usage": usage,
        "metadata": {"weight_version": "default", "weight_versions": [{"version": "default", "start": 0, "end": 6}]},
    }
    return json.dumps(answer, ensure_ascii=ascii_only, separators=(",", ":")).encode("utf-8", "surrogatepass")


THOUGHTS = ["<think>음</think>\n\n네.", " \n<think>", "<thin", "<b>", "\u3000<think>a</think>네", "<think>끝이 없다"]


@given(
    content=st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(THOUGHTS),
    ascii_only=st.booleans(),
    finish=st.sampled_from(["stop", "length"]),
    matched=st.sampled_from([None, 2, "끝", '"', "}"]),
)
@example(content="네.", ascii_only=False, finish="stop", matched=None)
def test_what_is_not_parsed_reads_like_what_is(*, content: str, ascii_only: bool, finish: str, matched: Any) -> None:
    raw = as_sglang_writes_it(content, ascii_only=ascii_only, finish_reason=finish, matched_stop=matched)
    said = read_completion(raw, SGLANG)
    parsed = read_completion(b" " + raw, SGLANG)  # a blank is enough to be parsed
    assert from_json(said.literal) == from_json(parsed.literal)
    assert said[1:] == parsed[1:]


def test_half_a_surrogate_pair_and_half_a_character_are_not_passed_on() -> None:
    for broken in (b'"\\ud800"', b'"\xea\xb0"'):
        raw = as_sglang_writes_it("네.", ascii_only=False).replace('"네."'.encode(), broken)
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
