"""What the three task routes share: one JSON body, or the same answer as events while it is written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

import structlog
from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from app.api.delivery import Made, deliver, made
from app.api.deps import AskedTimeout, Services, ServicesDep
from app.api.errors import error_body
from app.api.sharing import identity_of
from app.api.sse import KEEP_ALIVE, sse_event, sse_response
from app.core.deadline import Deadline
from app.core.generation import Priority
from app.errors import DeadlineExceeded, EngineFailure, ServiceError
from app.schemas.common import ERRORS
from app.schemas.task import TaskRequest
from app.tasks.events import Field, Replaced, Started, TextDelta
from app.tasks.structured import Answering, Result, TaskEvent, answer

log = structlog.get_logger("api")

R = TypeVar("R", bound=BaseModel)

_HEARTBEAT = 10.0  # seconds; proxies commonly cut a connection that is silent for 30 to 60
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


async def get_stack() -> AsyncGenerator[AsyncExitStack, None]:
    """Closed when the response is over, streamed or not."""
    async with AsyncExitStack() as stack:
        yield stack


@dataclass(frozen=True, slots=True)
class TaskCall:
    """One request to a task."""

    body: TaskRequest
    services: Services
    request: Request
    asked_timeout: float | None
    response: Response
    wants_events: bool
    stack: AsyncExitStack

    async def answer(self, task: Answering[R]) -> R | StreamingResponse:
        """The settled answer, or the stream that ends with it.

        Raises:
            ServiceError: see ``structured.answer``; for a stream only what fails before it starts.
        """
        services = self.services
        deadline = services.timeouts.deadline(self.request.state.arrived_at, self.asked_timeout, task.name)
        if not self.wants_events:
            return await self._whole(task, deadline)
        source = _pumped(task.stream(services.engine, self.body, deadline, services.policy), deadline)
        queue: asyncio.Queue[TaskEvent[R] | ServiceError] = await self.stack.enter_async_context(source)
        first = await queue.get()
        if isinstance(first, ServiceError):
            raise first
        return sse_response(self._lines(task.version, first, queue))

    async def _whole(self, task: Answering[R], deadline: Deadline) -> R:
        """The answer in one piece; whoever asks the same meanwhile, or again after a time-out, gets it too."""
        services = self.services
        coalescer = services.coalescer
        identity = None
        if coalescer.grace > 0:
            identity = await identity_of(
                self.request, keep=coalescer.grace, keep_keyed=max(coalescer.grace, services.idempotency_seconds)
            )
        if identity is None:
            made = await self._made(task, deadline)
            _spent(self.request, made.body)
            await deliver(services, self.request, self.body, task.version, made)
            return made.body
        work_deadline = _of_work(task, deadline)
        shared = coalescer.known(identity)
        try:
            async with deadline.enforce():
                shared_answer: Made[R] = await coalescer.share(identity, lambda: self._made(task, work_deadline))
        except DeadlineExceeded as error:
            if coalescer.known(identity):
                error.message += f" It is still being written: the same request gets it within {coalescer.grace:g} s."
                error.retry_after = 1.0
            raise
        if shared:
            self.response.headers["Idempotent-Replayed"] = "true"
        else:
            _spent(self.request, shared_answer.body)
        await deliver(services, self.request, self.body, task.version, shared_answer)
        return shared_answer.body

    async def _made(self, task: Answering[R], deadline: Deadline) -> Made[R]:
        """The answer, and the record of the request for which it is made."""
        body = await answer(task, self.services.engine, self.body, deadline, self.services.policy)
        return made(body)

    async def _lines(
        self, version: str, event: TaskEvent[R] | ServiceError, queue: "asyncio.Queue[TaskEvent[R] | ServiceError]"
    ) -> AsyncIterator[bytes]:
        while not isinstance(event, Result | ServiceError):
            yield sse_event(_EVENT_NAMES[type(event)], asdict(event))
            while (following := await _soon(queue)) is None:
                yield KEEP_ALIVE
            event = following
        if isinstance(event, Result):
            _spent(self.request, event.body)
            try:
                await deliver(self.services, self.request, self.body, version, made(event.body))
            except ServiceError as error:
                event = error
        if isinstance(event, Result):
            yield sse_event("result", event.body)
        else:
            yield sse_event("error", error_body(event, self.request.state.request_id))


def _spent(request: Request, body: Any) -> None:
    """Tell the caller's quota what the answer has cost."""
    request.state.tokens_spent = body.meta.usage.total_tokens


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


async def get_call(
    body: TaskRequest,
    request: Request,
    response: Response,
    services: ServicesDep,
    stack: Annotated[AsyncExitStack, Depends(get_stack)],
    asked_timeout: AskedTimeout = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
    stream: Annotated[bool, Query(description="Events instead of one JSON body.")] = False,  # noqa: FBT002  a query
) -> TaskCall:
    """The request, with whatever is needed to answer it."""
    return TaskCall(
        body=body,
        services=services,
        request=request,
        response=response,
        asked_timeout=asked_timeout,
        wants_events=stream or "text/event-stream" in accept.lower(),
        stack=stack,
    )


TaskCallDep = Annotated[TaskCall, Depends(get_call)]
