"""What works with the official client, whatever the engine behind the service."""

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello to the candidate."}]


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_a_chat_is_answered_and_its_tokens_are_counted(openai_client: OpenAI, model: str) -> None:
    answer = openai_client.chat.completions.create(model=model, messages=HELLO, max_tokens=40)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in {"stop", "length"}
    assert (answer.object, answer.model) == ("chat.completion", model)
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 0 < answer.usage.completion_tokens <= 40
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens is not None


def test_a_stream_is_a_role_then_text_then_a_finish_reason(openai_client: OpenAI, model: str) -> None:
    with openai_client.chat.completions.create(model=model, messages=HELLO, max_tokens=40, stream=True) as stream:
        first, *middle, last = list(stream)
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert text_of(middle)
    assert all(chunk.choices[0].finish_reason is None for chunk in middle)
    assert last.choices[0].finish_reason in {"stop", "length"}
    assert {(chunk.id, chunk.created, chunk.model, chunk.usage) for chunk in middle} == {
        (first.id, first.created, model, None)
    }


def test_a_stream_ends_with_its_usage_if_asked_for(openai_client: OpenAI, model: str) -> None:
    with openai_client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=40, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *chunks, last = list(stream)
    assert last.choices == []
    assert last.usage is not None
    assert 0 < last.usage.completion_tokens <= 40
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_client_s_own_collector_puts_a_stream_together(openai_client: OpenAI, model: str) -> None:
    with openai_client.chat.completions.stream(model=model, messages=HELLO, max_tokens=40) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == "".join(texts) != ""


@pytest.mark.anyio
async def test_the_asyncio_client_chats_streams_and_lists_models(async_client: AsyncOpenAI, model: str) -> None:
    answer = await async_client.chat.completions.create(model=model, messages=HELLO, max_tokens=20)
    assert answer.choices[0].message.content
    async with await async_client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=20, stream=True
    ) as stream:
        chunks = [chunk async for chunk in stream]
    assert text_of(chunks)
    assert [card.id async for card in async_client.models.list()] == [model]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_that_reaches_its_limit_says_so(openai_client: OpenAI, model: str, name: str) -> None:
    answer = openai_client.chat.completions.create(model=model, messages=HELLO, extra_body={name: 3})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


@pytest.mark.parametrize("several", [False, True])
def test_an_answer_ends_before_a_stop_text(openai_client: OpenAI, model: str, *, several: bool) -> None:
    free = openai_client.chat.completions.create(model=model, messages=HELLO, max_tokens=40, temperature=0, seed=1)
    stop = (free.choices[0].message.content or "").split()[2]
    answer = openai_client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=40, temperature=0, seed=1, stop=["≋", stop] if several else stop
    )
    assert answer.choices[0].finish_reason == "stop"
    assert stop not in (answer.choices[0].message.content or "")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_come_from_either_role(openai_client: OpenAI, model: str, role: str) -> None:
    messages = [{"role": role, "content": "You are an interviewer."}, *HELLO]
    answer = openai_client.chat.completions.create(
        model=model, messages=[], max_tokens=20, extra_body={"messages": messages}
    )
    assert answer.choices[0].message.content


def test_content_may_come_in_text_parts(openai_client: OpenAI, model: str) -> None:
    parts: ChatCompletionMessageParam = {
        "role": "user",
        "content": [{"type": "text", "text": "Say hello"}, {"type": "text", "text": "to the candidate."}],
    }
    assert openai_client.chat.completions.create(model=model, messages=[parts], max_tokens=20).choices[0].message


def test_an_answer_can_be_sent_back_as_it_came(openai_client: OpenAI, model: str) -> None:
    first = openai_client.chat.completions.create(model=model, messages=HELLO, max_tokens=20).choices[0].message
    for given_back in (first, first.model_dump()):
        history = [*HELLO, given_back, {"role": "user", "content": "And now?"}]
        answer = openai_client.chat.completions.create(
            model=model,
            messages=history,  # pyright: ignore[reportArgumentType]  the client sends message objects as they are
            max_tokens=20,
        )
        assert answer.choices[0].message.content


def test_every_accepted_field_is_taken(openai_client: OpenAI, model: str) -> None:
    answer = openai_client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Say hello.", "name": "candidate"}],
        temperature=0.3,
        top_p=0,
        max_completion_tokens=20,
        stop=["\n\n\n"],
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        seed=2**63 - 1,
        user="somebody",
        n=1,
        response_format={"type": "text"},
        logprobs=False,
        store=False,
        stream=False,
        extra_body={"metadata": None, "tools": None},
    )
    assert answer.choices[0].message.content


def test_the_model_is_found_by_its_name(openai_client: OpenAI, model: str) -> None:
    card = openai_client.models.retrieve(model)
    assert (card.id, card.object) == (model, "model")
    assert card == openai_client.models.retrieve(model)
    assert card.created > 1_700_000_000


def test_an_answer_can_be_found_in_the_logs_by_its_id(openai_client: OpenAI, model: str) -> None:
    raw = openai_client.chat.completions.with_raw_response.create(model=model, messages=HELLO, max_tokens=5)
    assert raw.parse().id == f"chatcmpl-{raw.headers['x-request-id']}"
