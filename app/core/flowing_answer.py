"""An answer that is told while it is written, without a task: see ``PlainAnswers``.

Thousands are open at a time, for minutes each. Coroutines that wait for the next token, and what they hold, take more
memory than everything else about a stream; here the engine's bytes are handed to it by the event loop.
"""

import asyncio
import math
import time
from typing import Protocol

from app.core.admission import Holder
from app.core.alarm import RESOLUTION, Alarm
from app.core.deadline import Deadline
from app.core.engine_errors import broken_exchange
from app.core.engine_events import TokenReader, silence
from app.core.generation import Generation
from app.core.http_connection import Connection
from app.core.plain_answers import PlainAnswers, refusal_in
from app.core.retry import refusal, served_in_spite_of
from app.core.transport_errors import TransportError
from app.core.watch import Watch
from app.engines.base import Address
from app.errors import DeadlineExceeded, ServiceError
from app.telemetry.record import RequestRecord

_OK = 200
_LONGEST_REFUSAL = 65_536  # bytes that are kept


class Hearer(Protocol):
    """Who hears an answer; called by the event loop, and must not raise. ``over`` or ``failed`` comes last, once."""

    def heard(self, texts: list[bytes]) -> None:
        """The next pieces of text, each a JSON string in UTF-8."""
        ...

    def over(self, said: TokenReader) -> None:
        """All has been said."""
        ...

    def failed(self, error: ServiceError | None) -> None:
        """What went wrong; None: the engine was never asked, as there was no connection."""
        ...


class FlowingAnswer:
    """One that is being told."""

    __slots__ = (
        "_address",
        "_alarm",
        "_connection",
        "_deadline",
        "_heard_at",
        "_hearer",
        "_holder",
        "_kit",
        "_refused",
        "_tokens",
        "_watch",
    )

    def __init__(
        self, kit: PlainAnswers, address: Address, holder: Holder, deadline: Deadline, hearer: Hearer, watch: Watch
    ) -> None:
        self._kit = kit
        self._address = address
        self._holder = holder
        self._deadline = deadline
        self._hearer: Hearer | None = hearer
        self._watch = watch
        self._connection: Connection | None = None
        self._tokens = TokenReader(kit.profile)
        self._refused = b""
        self._heard_at = holder.since
        self._alarm = Alarm(asyncio.get_running_loop(), self._look)

    @classmethod
    def begin(
        cls, kit: PlainAnswers, generation: Generation, deadline: Deadline, record: RequestRecord, hearer: Hearer
    ) -> "FlowingAnswer | None":
        """Ask for an answer, once; None if there is a place to wait for, and nothing has been done.

        Args:
            kit: Of the engine.
            generation: What is asked.
            deadline: Of its request.
            record: Of its request.
            hearer: Hears it.
        """
        address = kit.host.address
        if address is None:
            return None
        try:
            holder = kit.admission.enter_now(generation.priority, deadline)
        except DeadlineExceeded:  # the awaited way says so
            return None
        if holder is None:
            return None
        kit.retrier.begun_now()
        record.asked_at = record.admitted_at = holder.since
        watch = Watch(generation, streamed=True, record=record)
        answer = cls(kit, address, holder, deadline, hearer, watch)
        body = kit.wire.body(generation, watch.name, stream=True)
        watch.forget()  # nobody keeps the words of a chat that is being answered
        answer.ask(kit.request(address, record.id, body))
        return answer

    def ask(self, request: bytes) -> None:
        """For ``begin`` only."""
        self._alarm.set(self._deadline.remaining())
        connection = self._kit.pool.idle(self._address)
        if connection is None or not self._sent(connection, request):
            self._kit.in_background(self._connect(request))

    async def _connect(self, request: bytes) -> None:
        try:
            connection = await self._kit.pool.connect(self._address)
        except TransportError:
            self._end(None)  # the awaited way finds out what it means
            return
        if self._hearer is None:  # who asked has left meanwhile
            self._kit.pool.put_back(self._address, connection)
        elif not self._sent(connection, request):
            self._end(None)

    def _sent(self, connection: Connection, request: bytes) -> bool:
        self._heard_at = time.monotonic()
        try:
            connection.flow(request, self._take, self._over)
        except TransportError:
            self._kit.pool.put_back(self._address, connection)
            return False
        self._connection = connection
        return True

    def hold(self) -> None:
        """Whoever hears it is slow: hear no more of the engine until ``go_on``."""
        if self._connection is not None:
            self._heard_at = math.inf
            self._connection.hold()

    def go_on(self) -> None:
        """See ``hold``."""
        if self._connection is not None:
            self._heard_at = time.monotonic()
            self._connection.go_on()

    def cancel(self) -> None:
        """Nobody wants it any more: the engine stops, the place is free."""
        if self._hearer is not None:
            self._hearer = None
            self._release(None)

    def _take(self, data: bytes) -> bool:
        """The engine's next bytes."""
        connection, tokens = self._connection, self._tokens
        if connection is None or self._hearer is None:
            return True
        if self._heard_at < math.inf:
            self._heard_at = time.monotonic()
        if connection.status != _OK:
            self._refused = (self._refused + data)[:_LONGEST_REFUSAL]
            return True
        silent = not tokens.first_text
        try:
            self._hear(tokens.read(data))
            while tokens.unread:
                self._hear(tokens.read(b""))
        except ServiceError as error:
            self._fail(error)
        else:
            if silent and tokens.first_text:
                self._look()  # from its first text on it may not fall silent
        return True

    def _hear(self, texts: list[bytes]) -> None:
        if texts and self._hearer is not None:
            self._hearer.heard(texts)

    def _over(self) -> None:
        """The engine has said all, or the connection broke."""
        connection, tokens = self._connection, self._tokens
        if connection is None or self._hearer is None:
            return
        try:
            connection.whole()
            if connection.status != _OK:
                raise refusal_in(self._refused, self._kit.profile, connection.status or 0)
            self._hear(tokens.end())
        except TransportError as error:
            if error.before_response:
                self._end(None)
                return
            failure = broken_exchange(error)
            failure.__cause__ = error
            self._fail(failure)
        except ServiceError as error:
            self._fail(error)
        else:
            self._end(tokens)

    def _look(self) -> None:
        """The time is up, or the engine has been silent for too long; before its first text it may take all of it."""
        left = self._deadline.remaining()
        quiet = self._kit.stall - (time.monotonic() - self._heard_at) if self._tokens.first_text else math.inf
        if left <= RESOLUTION:
            self._fail(self._deadline.exceeded())
        elif quiet <= RESOLUTION:
            self._fail(silence())
        else:
            self._alarm.set(min(left, quiet))

    def _fail(self, error: ServiceError) -> None:
        self._tokens.fail(error)
        self._end(error)

    def _end(self, outcome: TokenReader | ServiceError | None) -> None:
        """All is over, one way or another; who hears it is told last."""
        hearer, self._hearer = self._hearer, None
        if hearer is None:
            return
        self._release(outcome)
        if isinstance(outcome, TokenReader):
            hearer.over(outcome)
        else:
            hearer.failed(outcome)

    def _release(self, outcome: TokenReader | ServiceError | None) -> None:
        """Give everything back; ``outcome``: what was said, or what went wrong; None: it was left, or never asked."""
        kit, tokens, connection = self._kit, self._tokens, self._connection
        self._connection = None
        answered = connection is not None and connection.status == _OK
        under_way = connection is not None and connection.status in {None, _OK} and tokens.finish == "unknown"
        quiet = time.monotonic() - self._heard_at > kit.stall
        if connection is not None:
            kit.pool.put_back(self._address, connection)
        if under_way and kit.profile.id_field is not None:
            kit.aborter.abort(self._address, self._watch.name)
        self._alarm.end()
        del self._alarm  # it knows us: garbage that only a collection would find
        self._watch.end(tokens if answered else None)
        failure = outcome if isinstance(outcome, ServiceError) else None
        if failure is None or isinstance(failure, DeadlineExceeded):
            silent = quiet and not tokens.first_text  # who leaves, or has no more time, has seen a failure only then
            served = (False if silent else None) if outcome is not tokens else True
        else:
            served = served_in_spite_of(failure)
        kit.retrier.ended(served, probe=False, refused=failure is not None and refusal(failure))
        kit.admission.leave(self._holder, whole=outcome is tokens)
