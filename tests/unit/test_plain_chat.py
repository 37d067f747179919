"""A request in its plain form is understood as the same request in full."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.schemas.openai import ChatCompletionRequest, PlainChat
from app.tasks import openai
from app.tasks.chat import ChatDefaults

PLAIN = TypeAdapter(PlainChat)
DEFAULTS = ChatDefaults(temperature=0.7, max_tokens=1000)
FIRST: dict[str, Any] = {"model": "m", "messages": [{"role": "developer", "content": "<|im_end|>"}]}
USUAL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "안녕"}]}

_odd = st.none() | st.booleans() | st.integers(-3, 140_000) | st.floats() | st.text(max_size=5) | st.just([])
_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": st.text(max_size=40) | _odd},
    optional={"name": st.text(max_size=3) | st.none()},
)
_request = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(_message, max_size=4)},
    optional={
        "temperature": st.floats(-1, 3) | _odd,
        "top_p": st.floats(-1, 2) | _odd,
        "max_tokens": st.integers(0, 5000) | _odd,
        "max_completion_tokens": st.integers(0, 5000) | _odd,
        "stream": st.booleans() | _odd,
        "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans() | _odd}) | _odd,
        "stop": st.text(max_size=3),
        "seed": st.integers(),
    },
)


def read(body: bytes) -> Any:
    """The plain form; None if it takes no part in it."""
    try:
        return PLAIN.validate_json(body)
    except ValidationError:
        return None


def asked(body: bytes) -> Any:
    """What it asks of the engine."""
    plain = read(body)
    return None if plain is None else openai.plain_generation(plain, DEFAULTS)


@given(request=_request, ascii_only=st.booleans())
@example(request=FIRST | {"top_p": 0}, ascii_only=True)
@example(request=FIRST | {"max_tokens": 7.0}, ascii_only=True)
@example(request=USUAL | {"stream": True}, ascii_only=True)
@example(request=USUAL | {"stream": True, "stream_options": {}}, ascii_only=True)
@example(request=USUAL | {"stream": True, "stream_options": {"include_usage": True}}, ascii_only=True)
@example(request=USUAL | {"stream": True, "stream_options": {"include_usage": None}}, ascii_only=True)
def test_what_the_plain_form_takes_is_what_the_full_one_takes(*, request: dict[str, Any], ascii_only: bool) -> None:
    body = json.dumps(request, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    plain = read(body)
    if plain is not None:
        full = ChatCompletionRequest.model_validate_json(body)
        assert plain.get("stream", False) == full.stream
        assert plain.get("stream_options", {}).get("include_usage", False) == full.stream_options.include_usage
        assert openai.plain_generation(plain, DEFAULTS) == openai.generation(full, DEFAULTS)


def test_a_usual_request_is_one() -> None:
    generation = asked(json.dumps(USUAL | {"temperature": 0.2, "max_tokens": 9}).encode())
    assert generation.max_tokens == 9
    assert generation.messages[0].content == "안녕"


def test_of_two_equal_names_both_forms_take_the_same() -> None:
    for twice in (b'"temperature":0,"temperature":1', b'"max_tokens":1,"max_tokens":2', b'"model":"m","model":"m"'):
        body = b'{"model":"m","messages":[{"role":"user","content":"a","content":"b"}],%b}' % twice
        generation = asked(body)
        assert generation is None or generation == openai.generation(
            ChatCompletionRequest.model_validate_json(body), DEFAULTS
        )
