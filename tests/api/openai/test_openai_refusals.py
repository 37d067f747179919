"""What the service refuses, and the exception that the official client makes of it."""

import json
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.simulator.sim_harness import Simulator
from tests.support.service import Service

MODEL = "Qwen/Qwen3-32B-Instruct"
HELLO = [{"role": "user", "content": "안녕하세요"}]


class Case(NamedTuple):
    """Fields of a request, and what is said about them."""

    fields: dict[str, Any]
    param: str | None
    code: str


def said(**message: Any) -> dict[str, Any]:
    return {"messages": [*HELLO, {"role": "user", "content": "a"} | message]}


def unsupported(**fields: Any) -> Case:
    (name,) = fields
    return Case(fields, name, "unsupported_parameter")


IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
CASES = {
    # fields that engines understand and callers must not reach
    "tools": unsupported(tools=[]),
    "tool_choice": unsupported(tool_choice="none"),
    "functions": unsupported(functions=[]),
    "logit_bias": unsupported(logit_bias={"1": 100}),
    "top_logprobs": unsupported(top_logprobs=5),
    "modalities": unsupported(modalities=["text"]),
    "audio": unsupported(audio={}),
    "metadata": unsupported(metadata={"a": "b"}),
    "reasoning_effort": unsupported(reasoning_effort="low"),
    "service_tier": unsupported(service_tier="auto"),
    "regex": unsupported(regex="a+"),
    "ebnf": unsupported(ebnf='root ::= "a"'),
    "custom_logit_processor": unsupported(custom_logit_processor="x"),
    "lora_path": unsupported(lora_path="x"),
    "rid": unsupported(rid="x"),
    "priority": unsupported(priority=9),
    "top_k": unsupported(top_k=1),
    "chat_template_kwargs": unsupported(chat_template_kwargs={"enable_thinking": True}),
    "input_ids": unsupported(input_ids=[1]),
    "ignore_eos": unsupported(ignore_eos=True),
    # fields that are taken at one value only
    "n 2": unsupported(n=2),
    "n true": unsupported(n=True),
    "logprobs": unsupported(logprobs=True),
    "store": unsupported(store=True),
    "json_object": unsupported(response_format={"type": "json_object"}),
    "json_schema": unsupported(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
    "response_format a string": unsupported(response_format="text"),
    # bounds and types
    "temperature": Case({"temperature": 2.1}, "temperature", "invalid_value"),
    "temperature a string": Case({"temperature": "1"}, "temperature", "invalid_value"),
    "top_p": Case({"top_p": 1.1}, "top_p", "invalid_value"),
    "max_tokens": Case({"max_tokens": 0}, "max_tokens", "invalid_value"),
    "max_completion_tokens": Case({"max_completion_tokens": 10**9}, "max_completion_tokens", "invalid_value"),
    "presence_penalty": Case({"presence_penalty": 3}, "presence_penalty", "invalid_value"),
    "frequency_penalty": Case({"frequency_penalty": -3}, "frequency_penalty", "invalid_value"),
    "seed": Case({"seed": 2**63 + 1000}, "seed", "invalid_value"),
    "stop empty": Case({"stop": ""}, "stop.0", "invalid_value"),
    "stop a number": Case({"stop": 1}, "stop", "invalid_value"),
    "five stops": Case({"stop": list("abcde")}, "stop", "invalid_value"),
    "user": Case({"user": "u" * 513}, "user", "invalid_value"),
    "stream": Case({"stream": "yes"}, "stream", "invalid_value"),
    "stream_options": Case(
        {"stream_options": {"continuous_usage_stats": True}},
        "stream_options.continuous_usage_stats",
        "unsupported_parameter",
    ),
    # messages
    "no messages": Case({"messages": []}, "messages", "invalid_value"),
    "messages null": Case({"messages": None}, "messages", "invalid_value"),
    "bad role": Case(said(role="wizard"), "messages.1.role", "invalid_value"),
    "tool role": Case(said(role="tool"), "messages.1.role", "invalid_value"),
    "tool_call_id": Case(said(tool_call_id="x"), "messages.1.tool_call_id", "unsupported_parameter"),
    "tool_calls": Case(said(role="assistant", tool_calls=[{}]), "messages.1.tool_calls", "unsupported_parameter"),
    "content null": Case(said(role="assistant", content=None), "messages.1.content", "invalid_value"),
    "content a number": Case(said(content=1), "messages.1.content", "invalid_value"),
    "content too long": Case(said(content="a" * 200_001), "messages.1.content", "invalid_value"),
    "no parts": Case(said(content=[]), "messages.1.content", "invalid_value"),
    "an image": Case(
        said(content=[{"type": "text", "text": "a"}, IMAGE]), "messages.1.content", "unsupported_parameter"
    ),
    "part without text": Case(said(content=[{"type": "text"}]), "messages.1.content", "invalid_value"),
    "part with more": Case(
        said(content=[{"type": "text", "text": "a", "x": 1}]), "messages.1.content", "invalid_value"
    ),
    "part a string": Case(said(content=["a"]), "messages.1.content", "invalid_value"),
    # the model's context
    "prompt too long": Case(said(content="가나다 " * 40_000), None, "context_length_exceeded"),
    "max_tokens beyond the context": Case({"max_tokens": 100_000}, None, "context_length_exceeded"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_what_is_not_accepted_is_a_bad_request_that_names_it(sim_client: OpenAI, name: str, *, stream: bool) -> None:
    case = CASES[name]
    body = {"model": MODEL, "messages": HELLO, "stream": stream} | case.fields
    with pytest.raises(openai.BadRequestError) as caught:
        sim_client.post("/chat/completions", body=body, cast_to=object)
    error = caught.value
    assert (error.param, error.code, error.type) == (case.param, case.code, "invalid_request_error")
    assert (case.param or "context") in error.message
    assert error.response.headers["x-should-retry"] == "false"
    assert error.response.json()["error"]["request_id"] == error.request_id
    assert not {"Traceback", "sglang", "pydantic", "Value error"} & set(error.message.split())


def test_no_refused_request_reaches_the_engine(sim_client: OpenAI, api_engine: Simulator) -> None:
    for case in CASES.values():
        if case.code != "context_length_exceeded":
            with pytest.raises(openai.BadRequestError):
                sim_client.post(
                    "/chat/completions", body={"model": MODEL, "messages": HELLO} | case.fields, cast_to=object
                )
    assert api_engine.state()["total"] == 0


def test_the_sentence_about_schemas_says_where_json_comes_from(sim_client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"No schema is taken from callers.*/api/feedback"):
        sim_client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "a"}], response_format={"type": "json_object"}
        )


def test_another_model_is_not_found(sim_client: OpenAI) -> None:
    for ask in (
        lambda: sim_client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "a"}]),
        lambda: sim_client.models.retrieve("gpt-x"),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            ask()
        assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
        assert MODEL in caught.value.message


def test_a_model_must_be_named(sim_client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sim_client.post("/chat/completions", body={"messages": HELLO}, cast_to=object)
    assert caught.value.param == "model"


def test_routes_that_do_not_exist_are_not_found(sim_client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/embeddings"):
        sim_client.embeddings.create(model=MODEL, input="a")


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b'{"model":"' + b"a" * 2_000_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_the_same_shape(
    api_service: Service, content: bytes, content_type: str, status: int
) -> None:
    answer = httpx2.post(
        f"{api_service.url}/v1/chat/completions", content=content, headers={"content-type": content_type}
    )
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code", "request_id"}


def test_ten_thousand_unknown_fields_are_refused_as_one(sim_client: OpenAI) -> None:
    body = {"model": MODEL, "messages": HELLO} | {f"field_{number}": number for number in range(10_000)}
    with pytest.raises(openai.BadRequestError) as caught:
        sim_client.post("/chat/completions", body=body, cast_to=object)
    assert caught.value.param == "field_0"
    assert len(json.dumps(caught.value.body)) < 500
