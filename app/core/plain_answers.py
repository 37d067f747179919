"""Answers without a task: asked for and read in the event loop's own callbacks, if there is nothing to wait for.

A task, and each coroutine that it runs through, costs a plain chat more than all that is done with its words. So the
first try at an answer, which nearly always is the only one, does without, as long as there is a place, a connection and
an engine that is well. Whatever else happens is left to the awaited way (``LLMEngine.admit``), which knows it all.
Whole answers are made here, those that are told while they are written in ``flowing_answer``.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic_core import from_json

from app.core.abort import Aborter
from app.core.admission import Admission, Holder
from app.core.completion import Completion, Pace, read_completion
from app.core.deadline import Deadline
from app.core.engine_errors import broken_exchange, refused
from app.core.engine_events import silence
from app.core.generation import Generation, Priority
from app.core.health import EngineMonitor
from app.core.http_connection import Connection
from app.core.http_pool import HttpPool, beginning
from app.core.retry import Retrier, refusal, served_in_spite_of
from app.core.transport_errors import TimedOut, TransportError
from app.core.watch import Watch
from app.core.wire import Wire
from app.engines.base import Address, EngineHost
from app.engines.profiles import EngineProfile
from app.errors import DeadlineExceeded, ServiceError
from app.telemetry.record import RequestRecord

_OK = 200

log = structlog.get_logger("llm_engine")

Told = Callable[[Completion | Exception | None], None]
"""Hears the answer; or what went wrong; or None: the engine was never asked, because the connection was closed."""


@dataclass(frozen=True, slots=True)
class PlainAnswers:
    """What the answers of one engine are made with; parts of its ``LLMEngine``.

    Attributes:
        stall: Seconds of silence in the middle of an answer that count as a failure.
    """

    host: EngineHost
    profile: EngineProfile
    pool: HttpPool
    wire: Wire
    path: str
    headers: Mapping[str, str]
    admission: Admission
    retrier: Retrier
    monitor: EngineMonitor
    pace: Pace
    aborter: Aborter
    stall: float
    _beginnings: dict[Address, bytes] = field(default_factory=dict[Address, bytes])
    _background: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def possible(self, priority: Priority) -> bool:
        """Whether it is worth asking this way now."""
        return (
            self.profile.id_field is not None  # else nothing but a stream can be stopped
            and self.monitor.trouble is None
            and self.retrier.breaker.closed
            and self.admission.has_room(priority)
        )

    def begin(
        self, generation: Generation, deadline: Deadline, record: RequestRecord, told: Told
    ) -> "PlainAnswer | None":
        """Ask for an answer, once; None if there is something to wait for, and nothing has been done.

        Args:
            generation: What is asked.
            deadline: Of its request.
            record: Of its request.
            told: Called once, by the event loop, unless the answer is cancelled before.
        """
        address = self.host.address
        connection = None if address is None else self.pool.idle(address)
        if address is None or connection is None:
            return None
        try:
            holder = self.admission.enter_now(generation.priority, deadline)
        except DeadlineExceeded:  # the awaited way says so
            holder = None
        if holder is None:
            self.pool.put_back(address, connection)
            return None
        self.retrier.begun_now()
        record.asked_at = record.admitted_at = holder.since
        answer = PlainAnswer(self, address, connection, holder, told)
        answer.ask(generation, deadline, record)
        return answer

    def request(self, address: Address, request_id: str, body: bytes) -> bytes:
        """What is sent to ``address``."""
        length = len(body)
        return b"%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self._beginning(address),
            request_id.encode(),
            length,
            body,
        )

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, which nobody waits for."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _beginning(self, address: Address) -> bytes:
        known = self._beginnings.get(address)
        if known is None:
            self._beginnings.clear()
            known = self._beginnings[address] = beginning("POST", address, self.path, self.headers)
        return known


class PlainAnswer:
    """One that is being made."""

    __slots__ = ("_address", "_connection", "_deadline", "_holder", "_in_time", "_kit", "_told", "_watch")

    def __init__(self, kit: PlainAnswers, address: Address, connection: Connection, holder: Holder, told: Told) -> None:
        self._kit = kit
        self._address = address
        self._connection = connection
        self._holder = holder
        self._told = told

    def ask(self, generation: Generation, deadline: Deadline, record: RequestRecord) -> None:
        """For ``PlainAnswers`` only."""
        kit = self._kit
        self._deadline = deadline
        self._watch = watch = Watch(generation, streamed=False, record=record)
        body = kit.wire.body(generation, watch.name, stream=False)
        left, patience = deadline.expires_at - self._holder.since, kit.pace.patience(generation.max_tokens)
        self._in_time = left > patience
        request = kit.request(self._address, record.id, body)
        self._connection.ask(request, min(left, patience), self._over)

    def cancel(self) -> None:
        """Nobody wants it any more: the engine stops, the place is free."""
        kit = self._kit
        kit.pool.put_back(self._address, self._connection)
        kit.aborter.abort(self._address, self._watch.name)
        kit.retrier.ended(None, probe=False)
        kit.admission.leave(self._holder, whole=False)
        self._watch.end(None)
        del self._told

    def _over(self) -> None:
        said: Completion | None = None
        error: Exception | None = None
        try:
            said = self._read()
        except TransportError as broken:
            error = self._broken(broken)
        except Exception as broken:  # noqa: BLE001  whatever it is, the place must be given back, and the caller told
            error = broken
        kit = self._kit
        kit.pool.put_back(self._address, self._connection)
        self._watch.end(said)
        if said is not None:
            kit.pace.note(time.monotonic() - self._holder.since, said.usage.completion_tokens)
            kit.retrier.ended(served=True, probe=False)
        elif isinstance(error, ServiceError):
            kit.retrier.ended(served_in_spite_of(error), probe=False, refused=refusal(error))
        else:
            kit.retrier.ended(None, probe=False)
        kit.admission.leave(self._holder, whole=said is not None)
        told = self._told
        del self._told  # it knows us: garbage that only a collection would find
        told(said or error)

    def _read(self) -> Completion:
        """The answer.

        Raises:
            TransportError: the connection broke, or it took too long.
            ServiceError: it is an error, or makes no sense.
        """
        connection, profile = self._connection, self._kit.profile
        raw = connection.whole()
        if connection.status == _OK:
            return read_completion(raw, profile)
        raise refusal_in(raw, profile, connection.status or 0)

    def _broken(self, error: TransportError) -> ServiceError | None:
        """What that means; None: that an idle connection had been closed, which is no fault of anybody."""
        if isinstance(error, TimedOut):
            self._kit.aborter.abort(self._address, self._watch.name)
            return silence() if self._in_time else self._deadline.exceeded()
        if error.before_response:
            return None
        self._kit.aborter.abort(self._address, self._watch.name)
        failure = broken_exchange(error)
        failure.__cause__ = error
        return failure


def refusal_in(raw: bytes, profile: EngineProfile, status: int) -> ServiceError:
    """What an answer with another status than 200 means; its kind is logged, not what it says."""
    try:
        body: object = from_json(raw, cache_strings="keys")
    except ValueError:
        body = {}
    error = refused(body, profile, status=status)
    log.warning("engine refused", status=status, size=len(raw), kind=type(error).__name__)
    return error
