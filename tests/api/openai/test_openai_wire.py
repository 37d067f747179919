"""The bytes themselves: for clients that are stricter than the official one."""

import json
from typing import Any

import httpx2
import pytest

from tests.simulator.sim_harness import Simulator, events_of
from tests.support.service import Service

MODEL = "Qwen/Qwen3-32B-Instruct"
HELLO = [{"role": "user", "content": "안녕하세요"}]


def post(service: Service, **fields: Any) -> httpx2.Response:
    return service.post("/v1/chat/completions", {"model": MODEL, "messages": HELLO} | fields)


def last_generation(engine: Simulator) -> dict[str, Any]:
    bodies = [record["body"] for record in engine.state()["requests"] if record["path"] == "/v1/chat/completions"]
    return bodies[-1]


def test_a_plain_answer_is_openai_s_json(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("네, 안녕하세요.")
    answer = post(api_service).json()
    request_id = answer.pop("id").removeprefix("chatcmpl-")
    assert int(request_id, 16)
    assert answer.pop("created") > 1_700_000_000
    usage = answer.pop("usage")
    assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"}
    assert answer == {
        "object": "chat.completion",
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "네, 안녕하세요.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_cached_tokens_are_the_engine_s(api_service: Service, api_engine: Simulator) -> None:
    post(api_service)
    assert post(api_service).json()["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert api_engine.state()["completed"] == 2


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_is_openai_s_events(api_service: Service, api_engine: Simulator, *, usage: bool) -> None:
    api_engine.script("네, 좋아요.")
    answer = post(api_service, stream=True, stream_options={"include_usage": usage})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events_of(answer.text)
    assert done == "[DONE]"
    heads = [{name: chunk[name] for name in ("id", "object", "created", "model")} for chunk in chunks]
    assert all(head == heads[0] for head in heads)
    assert heads[0]["object"] == "chat.completion.chunk"
    if usage:
        last = chunks.pop()
        assert (last["choices"], last["usage"]["completion_tokens"] > 0) == ([], True)
    assert [chunk.get("usage", "none") for chunk in chunks] == [None if usage else "none"] * len(chunks)
    choices = [chunk["choices"] for chunk in chunks]
    plain = {"index": 0, "logprobs": None, "finish_reason": None}
    assert choices[0] == [plain | {"delta": {"role": "assistant", "content": ""}}]
    assert choices[-1] == [plain | {"delta": {}, "finish_reason": "stop"}]
    assert "".join(choice["delta"]["content"] for (choice,) in choices[1:-1]) == "네, 좋아요."


def test_only_accepted_fields_reach_the_engine(api_service: Service, api_engine: Simulator) -> None:
    messages = [
        {"role": "developer", "content": "짧게 답한다.", "name": "boss"},
        {"role": "user", "content": [{"type": "text", "text": "첫 줄"}, {"type": "text", "text": "둘째 줄"}]},
        {"role": "assistant", "content": "네", "refusal": None},
        {"role": "user", "content": ""},
    ]
    answer = post(
        api_service,
        messages=messages,
        temperature=0.1,
        top_p=0.5,
        max_tokens=9,
        max_completion_tokens=7,
        stop="끝",
        presence_penalty=1,
        frequency_penalty=-1,
        seed=-1,
        user="u",
        n=1,
        response_format={"type": "text"},
        logprobs=False,
        store=False,
    )
    assert answer.status_code == 200
    body = last_generation(api_engine)
    from_the_service = {"top_k", "min_p", "repetition_penalty", "stream_options", "chat_template_kwargs"}
    from_the_service |= {"priority", "rid"}
    assert {name: value for name, value in body.items() if name not in from_the_service} == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "짧게 답한다."},
            {"role": "user", "content": "첫 줄\n둘째 줄"},
            {"role": "assistant", "content": "네"},
            {"role": "user", "content": ""},
        ],
        "max_tokens": 7,
        "temperature": 0.1,
        "top_p": 0.5,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "seed": 2**31 - 1,
        "stop": ["끝"],
        "stream": False,  # nobody reads while it is written, and the engine can be told to stop by the rid
    }


def test_what_is_not_sent_is_the_service_s_default(api_service: Service, api_engine: Simulator) -> None:
    post(api_service)
    body = last_generation(api_engine)
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.8, 1000)
    assert not {"seed", "stop"} & set(body)


def test_models_are_listed_in_openai_s_json(api_service: Service) -> None:
    listed = httpx2.get(f"{api_service.url}/v1/models").json()
    (card,) = listed["data"]
    assert listed["object"] == "list"
    assert card.pop("created") > 1_700_000_000
    assert card == {"id": MODEL, "object": "model", "owned_by": "sglang", "max_model_len": 8192}
    assert httpx2.get(f"{api_service.url}/v1/models/{MODEL}").status_code == 200
    assert httpx2.get(f"{api_service.url}/v1/models/{MODEL.replace('/', '%2F')}").status_code == 200


def test_the_routes_are_documented_with_fields_examples_and_the_end_of_a_stream(api_service: Service) -> None:
    document = httpx2.get(f"{api_service.url}/openapi.json").json()
    operation = document["paths"]["/v1/chat/completions"]["post"]
    fields = document["components"]["schemas"]["ChatCompletionRequest"]
    assert fields["examples"]
    assert all(f"`{name}`" in operation["description"] for name in fields["properties"] if name != "stream_options")
    assert "[DONE]" in operation["description"]
    assert "data: [DONE]" in operation["responses"]["200"]["content"]["text/event-stream"]["example"]
    assert {"400", "404", "413", "415", "502", "503", "504"} <= set(operation["responses"])
    assert "422" not in operation["responses"]
    models = document["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "ModelList" in json.dumps(models)
