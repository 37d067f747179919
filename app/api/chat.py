"""POST /api/chat/completions."""

from fastapi import APIRouter
from pydantic import ValidationError

from app.api.at_once import Asked, PlainRoute
from app.api.deps import Services
from app.api.lean import CallDep, ProtectedChatRoute
from app.api.words import Said, events_of
from app.core.completion import Completion
from app.core.generation import Usage
from app.schemas.chat import ChatRequest, ChatResponse
from app.schemas.common import ERRORS
from app.tasks import chat

router = APIRouter(route_class=ProtectedChatRoute, prefix="/api/chat", tags=["chat"])

_STREAM = {
    "text/event-stream": {
        "example": 'event: delta\ndata: {"content":"네"}\n\nevent: result\ndata: {"content":"네.","usage":{}}\n\n',
    }
}


@router.post(
    "/completions",
    responses={200: {"content": _STREAM, "description": "The answer; as events with `stream: true`."}, **ERRORS},
    response_model=ChatResponse,
)
async def completions(body: ChatRequest, call: CallDep) -> None:
    """Continue a chat. Events of a stream: `delta` (text), then one `result` (the whole answer) or one `error`."""
    services, deadline = call.services, call.deadline()
    if not body.stream:
        answer = await chat.complete(services.engine, services.chat.generation(body), deadline, call.earlier)
        call.spent(answer.usage.total_tokens)
        await call.answer(_whole(services, call.request_id, answer))
        return
    opened = chat.stream(services.engine, services.chat.generation(body), deadline, call.earlier)
    del body  # see LLMEngine.open
    async with opened as answering:
        await call.stream(events_of(answering, _Events(), call))


def _asked(body: bytes | bytearray, services: Services, _: str) -> Asked | None:
    try:
        asked = ChatRequest.__pydantic_validator__.validate_json(body)
    except ValidationError:
        return None
    return Asked(services.chat.generation(asked), _Events() if asked.stream else None)


def _whole(_: Services, __: str, answer: Completion) -> bytes:
    return _response(answer.literal, answer.usage)


AT_ONCE = PlainRoute("/api/chat/completions", _asked, _whole)


class _Events:
    """See ``Words``."""

    __slots__ = ("_said",)
    head = b""

    def __init__(self) -> None:
        self._said = bytearray(b'"')  # not the pieces: a thousand of a few bytes each take 50 KB

    def told(self, pieces: list[bytes]) -> bytes:
        return b"".join([b'event: delta\ndata: {"content":%b}\n\n' % piece for piece in pieces])

    def sent(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._said += piece[1:-1]

    def last(self, said: Said) -> bytes:
        self._said += b'"'
        return b"event: result\ndata: %b\n\n" % _response(self._said, said.usage)


def _response(content: bytes | bytearray, usage: Usage) -> bytes:
    """A ``ChatResponse``; ``content``: a JSON string."""
    spent = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return b'{"content":%b,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}' % (content, *spent)
