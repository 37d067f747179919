"""The OpenAI-compatible routes: POST /v1/chat/completions and GET /v1/models."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from app.api.auth import protected
from app.api.deps import DeadlineDep, Services, ServicesDep
from app.api.errors import error_body
from app.api.sse import sse_data, sse_response
from app.core.generation import Generation, Usage
from app.errors import ServiceError
from app.schemas.openai import (
    OPENAI_ERRORS,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ModelCard,
    ModelList,
)
from app.tasks import chat, openai
from app.tasks.chat import Event

router = APIRouter(route_class=protected("chat"), prefix="/v1", tags=["OpenAI"])

_DESCRIPTION = """Continue a chat in OpenAI's protocol; the official clients work unchanged. Text only.

**Accepted fields:** `model`, `messages` (roles `system`, `developer`, `user`, `assistant`; content a string or text
parts), `temperature`, `top_p`, `max_tokens`, `max_completion_tokens`, `stop`, `stream`,
`stream_options.include_usage`, `presence_penalty`, `frequency_penalty`, `seed`; `user` and a message's `name` are
accepted and ignored; `n`, `logprobs`, `store` and `response_format` only at `1`, `false`, `false` and
`{"type": "text"}`. Every other field is refused with a 400 that names it. A field that is null counts as not sent.

**Streams** are events `data: {chunk}`: the role, the text in pieces, the finish reason, with `include_usage` one more
chunk with the usage, then `data: [DONE]`. A stream that fails after its first byte ends with one
`data: {"error": {...}}` and no `[DONE]`; whatever fails earlier has its own status.
"""

_CHUNK = (
    '{"id":"chatcmpl-5f0c","object":"chat.completion.chunk","created":1795403411,"model":"Qwen/Qwen3-32B-Instruct",'
)
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; as events with `stream: true`.",
        "content": {
            "text/event-stream": {
                "example": f'data: {_CHUNK}"choices":[{{"index":0,"delta":{{"content":"네"}},"logprobs":null,'
                '"finish_reason":null}]}\n\ndata: [DONE]\n\n',
            }
        },
    }
}


async def get_generation(body: ChatCompletionRequest, services: ServicesDep) -> Generation:
    """What the engine will be asked."""
    openai.require_model(body.model, services.engine.model)
    return openai.generation(body, services.chat)


GenerationDep = Annotated[Generation, Depends(get_generation)]


async def get_events(
    body: ChatCompletionRequest, generation: GenerationDep, services: ServicesDep, deadline: DeadlineDep
) -> AsyncGenerator[AsyncIterator[Event] | None, None]:
    """The same as ``app.api.chat.get_events``, for this body."""
    if not body.stream:
        yield None
        return
    async with chat.stream(services.engine, generation, deadline) as events:
        yield events


EventsDep = Annotated[AsyncIterator[Event] | None, Depends(get_events)]


@router.post(
    "/chat/completions", description=_DESCRIPTION, responses={**_STREAM, **OPENAI_ERRORS}, response_model=ChatCompletion
)
async def chat_completions(
    body: ChatCompletionRequest,
    request: Request,
    services: ServicesDep,
    generation: GenerationDep,
    deadline: DeadlineDep,
    events: EventsDep,
) -> ChatCompletion | StreamingResponse:
    """Continue a chat."""
    envelope = openai.Envelope(f"chatcmpl-{request.state.request_id}", int(time.time()), services.engine.model)

    def spent(usage: Usage) -> None:
        request.state.tokens_spent = usage.total_tokens

    if events is None:
        answer = await chat.complete(services.engine, generation, deadline)
        spent(answer.usage)
        return envelope.completion(answer)
    chunks = envelope.chunks(events, include_usage=body.stream_options.include_usage, spent=spent)
    return sse_response(_lines(chunks, request.state.request_id))


async def _lines(chunks: AsyncIterator[ChatCompletionChunk], request_id: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield sse_data(chunk)
        yield b"data: [DONE]\n\n"
    except ServiceError as error:
        yield sse_data(error_body(error, request_id, openai=True))


@router.get("/models", responses={"default": OPENAI_ERRORS["default"]})
async def models(services: ServicesDep) -> ModelList:
    """The one model that is served."""
    return ModelList(data=[_card(services)])


@router.get("/models/{name:path}", responses={404: OPENAI_ERRORS[404], "default": OPENAI_ERRORS["default"]})
async def model(name: str, services: ServicesDep) -> ModelCard:
    """One model by its name, which may hold slashes."""
    openai.require_model(name, services.engine.model)
    return _card(services)


def _card(services: Services) -> ModelCard:
    engine = services.engine
    return ModelCard(id=engine.model, created=services.started_at, owned_by=engine.name, max_model_len=engine.context)
