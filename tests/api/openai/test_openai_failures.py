"""What the official client sees when the engine fails, and what the engine sees when the client leaves."""

from collections.abc import Iterator
from typing import Any

import anyio
import openai
import pytest
from openai import AsyncOpenAI, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from simulator.ports import free_port
from tests.simulator.sim_harness import FAST, Simulator
from tests.support.service import Service, wait_until

MODEL = "Qwen/Qwen3-32B-Instruct"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "안녕하세요"}]


def ask(client: OpenAI) -> Any:
    return client.chat.completions.create(model=MODEL, messages=HELLO)


def stream(client: OpenAI) -> Stream[ChatCompletionChunk]:
    return client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)


@pytest.fixture
def hasty_client(shared_engine: Simulator, api_engine: Simulator) -> Iterator[OpenAI]:
    """A client that repeats, and a service that allows two seconds for a request."""
    assert api_engine.port
    environment = {
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(shared_engine.port),
        "MAX_MODEL_LEN": str(FAST["context_length"]),
        "REQUEST_TIMEOUT": "2",
    }
    with Service(environment=environment) as service:
        service.wait_healthy()
        api_engine.client.post("/_sim/reset").raise_for_status()  # forgets the generations that warmed it up
        with OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=2) as client:
            yield client


@pytest.mark.parametrize("call", [ask, stream])
def test_an_engine_that_is_down_is_a_503_with_the_time_to_come_back(call: Any) -> None:
    with Service(environment={"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(free_port())}) as service:
        wait_until(lambda: service.health_status() == 503, 30, "the service's port open")
        with (
            OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0) as client,
            pytest.raises(openai.InternalServerError) as caught,
        ):
            call(client)
    error = caught.value
    assert (error.status_code, error.code, error.type) == (503, "not_ready", "server_error")
    assert 1 <= int(error.response.headers["retry-after"]) <= 5
    assert 1000 <= int(error.response.headers["retry-after-ms"]) <= 5000
    assert "x-should-retry" not in error.response.headers


def test_a_client_that_repeats_gets_its_answer_once_the_engine_is_back(
    sim_client: OpenAI, api_engine: Simulator
) -> None:
    api_engine.fault("status", status=503, message="starting", count=1)
    assert ask(sim_client.with_options(max_retries=1)).choices[0].message.content
    assert len(generations(api_engine)) == 2


# What ends silently is a stream; a whole answer that does not say why it ended is in tests/unit/test_completion.py.
@pytest.mark.parametrize(
    ("call", "fault"),
    [(stream, "silent_end"), *((call, fault) for call in (ask, stream) for fault in ("error_event", "drop", "abort"))],
)
def test_an_engine_that_fails_before_its_first_token_is_a_502(
    sim_client: OpenAI, api_engine: Simulator, fault: str, call: Any
) -> None:
    api_engine.fault(fault)
    with pytest.raises(openai.InternalServerError) as caught:
        call(sim_client)
    assert (caught.value.status_code, caught.value.code) == (502, "engine_failure")


@pytest.mark.parametrize("fault", ["error_event", "silent_end", "drop", "reset", "abort"])
def test_an_engine_that_fails_in_mid_stream_ends_the_stream_with_an_error(
    sim_client: OpenAI, api_engine: Simulator, fault: str
) -> None:
    api_engine.fault(fault, tokens=3)
    texts: list[str] = []
    with stream(sim_client) as chunks, pytest.raises(openai.APIError) as caught:
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(texts)
    assert not isinstance(caught.value, openai.APIStatusError | openai.APIConnectionError)
    assert (caught.value.type, caught.value.code) == ("server_error", "engine_failure")
    raw = sim_client.post("/chat/completions", body={"model": MODEL, "messages": HELLO, "stream": True}, cast_to=str)
    assert raw.count('data: {"error":') == 1
    assert "[DONE]" not in raw


@pytest.mark.parametrize("fault", ["error_event", "drop", "reset", "abort"])
def test_a_plain_chat_never_returns_half_an_answer(hasty_client: OpenAI, api_engine: Simulator, fault: str) -> None:
    api_engine.fault(fault, tokens=3)  # a lost connection is repeated while there is time: a minute would show no more
    with pytest.raises(openai.InternalServerError) as caught:
        ask(hasty_client.with_options(max_retries=0))
    assert caught.value.status_code == 502


@pytest.mark.parametrize("call", [ask, stream])
def test_a_full_queue_at_the_engine_is_a_503_also_for_streams(
    sim_client: OpenAI, api_engine: Simulator, call: Any
) -> None:
    # An engine that tells its load would be sent no more than it can take.
    untold = {"kind": "status", "routes": ["/v1/loads"], "status": 404}
    stall = {"kind": "stall", "tokens": 1, "count": 1}
    api_engine.client.post("/_sim/faults", json=[untold, stall]).raise_for_status()
    api_engine.configure(slots=1, max_queued=0)
    with stream(sim_client) as holder:
        next(holder)
        api_engine.wait(running=1)
        with pytest.raises(openai.InternalServerError) as caught:
            call(sim_client.with_options(default_headers={"X-Request-Timeout": "5"}))
    assert (caught.value.status_code, caught.value.code) == (503, "overloaded")
    assert caught.value.response.headers["retry-after"] == "5"


@pytest.mark.parametrize("call", [ask, stream])
def test_a_request_out_of_time_is_a_504_that_is_not_repeated(
    hasty_client: OpenAI, api_engine: Simulator, call: Any
) -> None:
    api_engine.fault("hang")
    with pytest.raises(openai.InternalServerError) as caught:
        call(hasty_client)
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")
    assert len(generations(api_engine)) == 1


def test_a_stream_out_of_time_ends_with_an_error(hasty_client: OpenAI, api_engine: Simulator) -> None:
    api_engine.fault("stall", tokens=2)
    with stream(hasty_client) as chunks, pytest.raises(openai.APIError) as caught:
        list(chunks)
    assert caught.value.code == "deadline_exceeded"
    api_engine.wait(running=0, aborted_min=1)


def test_a_client_that_leaves_a_stream_cancels_it_in_the_engine(sim_client: OpenAI, api_engine: Simulator) -> None:
    api_engine.fault("stall", tokens=2)
    with stream(sim_client) as chunks:
        assert next(chunks).choices[0].delta.role == "assistant"
        api_engine.wait(running=1)
    api_engine.wait(running=0, aborted=1)


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_cancelled_call_is_cancelled_in_the_engine_before_its_first_token(
    api_service: Service, api_engine: Simulator, *, streamed: bool
) -> None:
    api_engine.configure(ttft=600)
    async with (
        AsyncOpenAI(base_url=f"{api_service.url}/v1", api_key="unused") as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: client.chat.completions.create(model=MODEL, messages=HELLO, stream=streamed))
        await anyio.to_thread.run_sync(lambda: api_engine.wait(running=1))
        group.cancel_scope.cancel()
    api_engine.wait(running=0, aborted=1)


def generations(engine: Simulator) -> list[Any]:
    return [record for record in engine.state()["requests"] if record["path"].endswith("completions")]
