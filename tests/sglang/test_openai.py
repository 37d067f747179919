"""The official OpenAI client on the service in front of a real SGLang."""

from collections.abc import Iterator

import openai
import pytest

from tests.support.service import Service

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(300)]


@pytest.fixture
def client(sglang_service: Service) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{sglang_service.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def model(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def test_chat_answers_and_counts(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "What is the capital of France?"}], max_tokens=20
    )
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 20


def test_a_stream_ends_with_a_reason_and_its_usage(client: openai.OpenAI, model: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Tell me a story."}],
            max_tokens=12,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["length"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 12


def test_errors_are_those_of_the_client(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}], temperature=5)
    with pytest.raises(openai.BadRequestError, match="context"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "word " * 20_000}])
