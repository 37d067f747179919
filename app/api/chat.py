"""POST /api/chat/completions."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from app.api.deps import DeadlineDep, ServicesDep
from app.api.errors import error_body
from app.api.sse import sse_event, sse_response
from app.core.generation import Generation, Priority
from app.core.llm_engine import Slot
from app.errors import ServiceError
from app.schemas.chat import ChatRequest, ChatResponse
from app.schemas.common import ERRORS
from app.tasks import chat

router = APIRouter(prefix="/api/chat", tags=["chat"])

_STREAM = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'event: delta\ndata: {"content":"네"}\n\nevent: result\ndata: {"content":"네.","usage":{}}\n\n',
    }
}


async def get_stream_slot(
    body: ChatRequest, services: ServicesDep, deadline: DeadlineDep
) -> AsyncGenerator[Slot | None, None]:
    """A place at the engine that is held until the stream ends; None if no stream was asked for.

    Taken before the response starts, so that a refusal is a clean 503 and not a broken stream.
    """
    if not body.stream:
        yield None
        return
    async with services.engine.admit(Priority.CHAT, deadline) as slot:
        yield slot


StreamSlotDep = Annotated[Slot | None, Depends(get_stream_slot)]


@router.post(
    "/completions",
    responses={200: {"content": _STREAM, "description": "The answer; as events with `stream: true`."}, **ERRORS},
    response_model=ChatResponse,
)
async def completions(
    body: ChatRequest, request: Request, services: ServicesDep, deadline: DeadlineDep, slot: StreamSlotDep
) -> ChatResponse | StreamingResponse:
    """Continue a chat. Events of a stream: `delta` (text), then one `result` (the whole answer) or one `error`."""
    generation = services.chat.generation(body)
    if slot is None:
        return await chat.complete(services.engine, generation, deadline)
    return sse_response(_events(slot, generation, request.state.request_id))


async def _events(slot: Slot, generation: Generation, request_id: str) -> AsyncIterator[bytes]:
    try:
        async for event in chat.stream(slot, generation):
            if isinstance(event, str):
                yield sse_event("delta", {"content": event})
            else:
                yield sse_event("result", event)
    except ServiceError as error:
        yield sse_event("error", error_body(error, request_id))
