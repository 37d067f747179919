"""POST /api/chat/completions."""

from collections.abc import AsyncGenerator

from fastapi import APIRouter
from pydantic import ValidationError

from app.api.at_once import PlainRoute
from app.api.deps import Services
from app.api.lean import Call, CallDep, ProtectedChatRoute
from app.core.completion import Completion
from app.core.generation import Generation, Usage
from app.schemas.chat import ChatRequest, ChatResponse
from app.schemas.common import ERRORS
from app.tasks import chat
from app.tasks.chat import ChatStream

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
    opened = chat.stream(services.engine, services.chat.generation(body), deadline)
    del body  # see LLMEngine.open
    async with opened as answering:
        await call.stream(_events(answering, call))


def _plain(body: bytes | bytearray, services: Services) -> Generation | None:
    """What is asked by a request for one whole answer; None: it is something else."""
    try:
        asked = ChatRequest.__pydantic_validator__.validate_json(body)
    except ValidationError:
        return None
    return None if asked.stream else services.chat.generation(asked)


def _whole(_: Services, __: str, answer: Completion) -> bytes:
    return _response(answer.literal, answer.usage)


AT_ONCE = PlainRoute("/api/chat/completions", _plain, _whole)


async def _events(answer: ChatStream, call: Call) -> AsyncGenerator[bytes, None]:
    said = bytearray(b'"')  # not the pieces: a thousand of a few bytes each take 50 KB

    def tell(pieces: list[bytes]) -> bool:
        sent = call.write(_told(pieces))
        if sent:
            for piece in pieces:
                said.extend(piece[1:-1])
        return sent

    while (pieces := await answer.more()) is not None:
        for piece in pieces:
            said.extend(piece[1:-1])
        yield _told(pieces)
        await answer.pump(tell)
    call.spent(answer.usage.total_tokens)
    said.extend(b'"')
    yield b"event: result\ndata: %b\n\n" % _response(said, answer.usage)


def _told(pieces: list[bytes]) -> bytes:
    return b"".join([b'event: delta\ndata: {"content":%b}\n\n' % piece for piece in pieces])


def _response(content: bytes | bytearray, usage: Usage) -> bytes:
    """A ``ChatResponse``; ``content``: a JSON string."""
    spent = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return b'{"content":%b,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}' % (content, *spent)
