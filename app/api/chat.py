"""POST /api/chat/completions."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from app.api.auth import protected
from app.api.deps import DeadlineDep, ServicesDep
from app.api.errors import error_body
from app.api.sse import sse_event, sse_response
from app.errors import ServiceError
from app.schemas.chat import ChatRequest, ChatResponse
from app.schemas.common import ERRORS
from app.tasks import chat
from app.tasks.chat import Event

router = APIRouter(route_class=protected("chat"), prefix="/api/chat", tags=["chat"])

_STREAM = {
    "text/event-stream": {
        "example": 'event: delta\ndata: {"content":"네"}\n\nevent: result\ndata: {"content":"네.","usage":{}}\n\n',
    }
}


async def get_events(
    body: ChatRequest, services: ServicesDep, deadline: DeadlineDep
) -> AsyncGenerator[AsyncIterator[Event] | None, None]:
    """The answer as it arrives, with its place at the engine until the response is over; None if nobody wants a stream.

    Opened before the response starts, so that a refusal is a clean status and not a broken stream.
    """
    if not body.stream:
        yield None
        return
    async with chat.stream(services.engine, services.chat.generation(body), deadline) as events:
        yield events


EventsDep = Annotated[AsyncIterator[Event] | None, Depends(get_events)]


@router.post(
    "/completions",
    responses={200: {"content": _STREAM, "description": "The answer; as events with `stream: true`."}, **ERRORS},
    response_model=ChatResponse,
)
async def completions(
    body: ChatRequest, request: Request, services: ServicesDep, deadline: DeadlineDep, events: EventsDep
) -> ChatResponse | StreamingResponse:
    """Continue a chat. Events of a stream: `delta` (text), then one `result` (the whole answer) or one `error`."""
    if events is None:
        answer = await chat.complete(services.engine, services.chat.generation(body), deadline)
        request.state.tokens_spent = answer.usage.total_tokens
        return answer.response()
    return sse_response(_lines(events, request))


async def _lines(events: AsyncIterator[Event], request: Request) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            if isinstance(event, str):
                yield sse_event("delta", {"content": event})
            else:
                request.state.tokens_spent = event.usage.total_tokens
                yield sse_event("result", event.response())
    except ServiceError as error:
        yield sse_event("error", error_body(error, request.state.request_id))
