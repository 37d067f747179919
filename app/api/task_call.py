"""What the three task routes share: one JSON body, or the same answer as events while it is written."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Annotated, Any, TypeAlias, TypeVar

import structlog
from fastapi import Depends, Query
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.datastructures import Headers, QueryParams

from app.api.delivery import Made, deliver, made
from app.api.deps import AskedTimeout
from app.api.errors import error_body, translate
from app.api.lean import Call
from app.api.sharing import caller_of, identity_of
from app.api.sse import KEEP_ALIVE, sse_event
from app.core.deadline import Deadline
from app.core.generation import Priority
from app.errors import DeadlineExceeded, EngineFailure, ServiceError
from app.schemas.common import ERRORS
from app.schemas.task import TaskRequest
from app.tasks.events import Field, Replaced, Started, TextDelta
from app.tasks.judging.remembered import Memory
from app.tasks.structured import Answering, Policy, Result, TaskEvent, answer

log = structlog.get_logger("api")

R = TypeVar("R", bound=BaseModel)
_Told: TypeAlias = TaskEvent[Any] | ServiceError

_HEARTBEAT = 10.0  # seconds; proxies commonly cut a connection that is silent for 30 to 60
_STREAM: TypeAdapter[bool] = TypeAdapter(bool)
_REPLAYED = ((b"idempotent-replayed", b"true"),)
_QUEUED = 64  # events kept for a client that reads slowly; beyond that the generation waits for it

_EVENT_NAMES: dict[type, str] = {Started: "start", Field: "field", TextDelta: "delta", Replaced: "replace"}

_EXAMPLE = (
    'event: start\ndata: {"task":"feedback","fields":["feedback","improvement_suggestion","score"]}\n\n'
    'event: delta\ndata: {"field":"feedback","text":"핵심을 짚었습니다.","sentence_end":true}\n\n'
    'event: field\ndata: {"field":"score","value":7}\n\n'
    'event: result\ndata: {"feedback":"핵심을 짚었습니다.","score":7}\n\n'
)

TASK_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. With `Accept: text/event-stream` or `?stream=true` as events while it is written: "
        "`start`, `field` (a small value), `delta` (text as it grows), `replace` (a field told differently before), "
        "then `result` (exactly the JSON body) or one `error`.",
        "content": {"text/event-stream": {"example": _EXAMPLE}},
    },
    **ERRORS,
}


class TaskCall(Call):
    """One request to a task, answered in one JSON body or in events, as its caller wishes.

    Attributes:
        content: Its body, as it came: two requests are the same if their bodies are.
    """

    __slots__ = ("content",)

    def read(self, body: bytes) -> bytes:
        """``body``, which has come."""
        self.content = body
        return body

    async def give(self, task: Answering[BaseModel], asked: TaskRequest) -> None:
        """Send the settled answer, or the stream that ends with it.

        Raises:
            ServiceError: see ``structured.answer``; for a stream only what fails before it starts.
        """
        deadline = self.deadline(task.name)
        if not self._wants_events():
            await self._whole(task, asked, deadline)
            return
        self.content = b""  # a stream would hold it as long as it lasts
        services = self.services
        source = task.stream(services.engine, asked, deadline, self._policy())
        async with _pumped(source, deadline) as queue:
            first = await queue.get()
            if isinstance(first, ServiceError):
                raise first
            await self.stream(self._events(task.version, asked, first, queue))

    def _wants_events(self) -> bool:
        """Whether ``?stream=true`` or the Accept header asks for them.

        Raises:
            InvalidField: ``stream`` is neither true nor false.
        """
        query: bytes = self.scope["query_string"]
        try:
            if query and _STREAM.validate_python(QueryParams(query).get("stream", False)):
                return True
        except ValidationError as error:
            raise translate([{**error.errors()[0], "loc": ("query", "stream")}]) from None
        return "text/event-stream" in Headers(scope=self.scope).get("accept", "").lower()

    async def _whole(self, task: Answering[BaseModel], asked: TaskRequest, deadline: Deadline) -> None:
        """The answer in one piece; whoever asks the same meanwhile, or again after a time-out, gets it too."""
        coalescer = self.services.coalescer
        keyed = max(coalescer.grace, self.services.idempotency_seconds)
        identity = None
        if coalescer.grace > 0:
            identity = identity_of(self.scope, self.content, keep=coalescer.grace, keep_keyed=keyed)
        if identity is None:
            await self._send_whole(task, asked, await self._made(task, asked, deadline), shared=False)
            return
        work_deadline = _of_work(task, deadline)
        shared = coalescer.known(identity)
        try:
            async with deadline.enforce():
                answer: Made[Any] = await coalescer.share(identity, lambda: self._made(task, asked, work_deadline))
        except DeadlineExceeded as error:
            if coalescer.known(identity):
                error.message += f" It is still being written: the same request gets it within {coalescer.grace:g} s."
                error.retry_after = 1.0
            raise
        await self._send_whole(task, asked, answer, shared=shared)

    async def _send_whole(
        self, task: Answering[BaseModel], asked: TaskRequest, answer: Made[Any], *, shared: bool
    ) -> None:
        if not shared:
            self._count(answer.body)
        await deliver(self.services, self._key_name, asked, task.version, answer)
        await self.answer(to_json(answer.body), *(_REPLAYED if shared else ()))

    async def _made(self, task: Answering[R], asked: TaskRequest, deadline: Deadline) -> Made[R]:
        """The answer, and the record of the request for which it is made."""
        return made(await answer(task, self.services.engine, asked, deadline, self._policy()))

    def _policy(self) -> Policy:
        """What the operator decided, with what the caller's earlier requests found out."""
        policy, remembered = self.services.policy, self.services.remembered
        caller = None if remembered is None else caller_of(self.scope)
        return policy if remembered is None or caller is None else replace(policy, memory=Memory(remembered, caller))

    async def _events(
        self, version: str, asked: TaskRequest, event: _Told, queue: "asyncio.Queue[_Told]"
    ) -> AsyncGenerator[bytes, None]:
        while not isinstance(event, Result | ServiceError):
            yield sse_event(_EVENT_NAMES[type(event)], asdict(event))
            while (following := await _soon(queue)) is None:
                yield KEEP_ALIVE
            event = following
        if isinstance(event, Result):
            self._count(event.body)
            try:
                await deliver(self.services, self._key_name, asked, version, made(event.body))
            except ServiceError as error:
                event = error
        if isinstance(event, Result):
            yield sse_event("result", event.body)
        else:
            yield sse_event("error", error_body(event, self.request_id))

    def _count(self, body: Any) -> None:
        self.spent(body.meta.usage.total_tokens)

    @property
    def _key_name(self) -> str:
        return self.scope["state"].get("key_name", "")


def _of_work(task: Answering[Any], deadline: Deadline) -> Deadline:
    """Until when a shared answer is worked on.

    A report may take longer than its caller waits: it gets the time of two calls, so that the second finds it ready.
    """
    if task.priority is not Priority.REPORT:
        return deadline
    return Deadline(deadline.expires_at + deadline.allowed, 2 * deadline.allowed, deadline.setting)


T = TypeVar("T")


async def _soon(queue: "asyncio.Queue[T]") -> T | None:
    """The next item, or None if there is none for the time of a heartbeat."""
    try:
        async with asyncio.timeout(_HEARTBEAT):
            return await queue.get()
    except TimeoutError:
        return None


@asynccontextmanager
async def _pumped(source: Any, deadline: Deadline) -> AsyncGenerator[Any, None]:
    """Events of ``source`` in a bounded queue, read by a task of its own, so that waiting for one can be cut short.

    The last one is a result or an error, however the source ends, and comes within the deadline: a reader waits for it.
    """
    queue: asyncio.Queue[Any] = asyncio.Queue(_QUEUED)

    async def pump() -> None:
        try:
            async with deadline.enforce(), source as events:
                async for event in events:
                    await queue.put(event)
        except ServiceError as error:
            await queue.put(error)
        except Exception:  # a fault of ours
            log.exception("unexpected error")
            await queue.put(EngineFailure("The service failed unexpectedly. Repeat the call."))

    task = asyncio.create_task(pump(), name="task events")
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _documented(
    asked: AskedTimeout = None,
    stream: Annotated[bool, Query(description="Events instead of one JSON body.")] = False,  # noqa: FBT002  a query
) -> TaskCall:
    """What FastAPI documents of ``TaskCall``; see ``lean.Call``."""
    raise NotImplementedError(asked, stream)


TaskCallDep = Annotated[TaskCall, Depends(_documented)]
