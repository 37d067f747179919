"""The one place that repeats a call to the engine.

Repeated is only what has said nothing yet: the connection failed or broke, a gateway answered 502, the engine was too
busy or not up (503), or an earlier try of the same request broke off before its caller heard of it. A call waits for an
engine that is restarting if there is time for that. Everything ends at the caller's deadline and within the budget.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import structlog

from app.core.breaker import Breaker
from app.core.deadline import Deadline
from app.core.health import EngineMonitor
from app.core.retry_budget import RetryBudget
from app.core.transport_errors import TransportError
from app.errors import EngineFailure, NotReady, Overloaded, ServiceError

_BACKOFF = 0.1  # seconds; doubled each time, and drawn at random below that
_LONGEST_BACKOFF = 2.0
_RESERVE = 1.0  # seconds of the deadline in which an engine that has come back could still say something
_REFUSALS = {429, 503}
_BAD_GATEWAY = 502
_SERVER_ERRORS = 500

log = structlog.get_logger("retry")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be with an engine.

    Attributes:
        attempts: How often a generation is begun at most, while nothing of it has been said.
        stall: Seconds of silence in the middle of an answer that count as a failure.
    """

    attempts: int = 8
    stall: float = 10.0


class Call(Protocol):
    """A generation that has begun."""

    @property
    def failure(self) -> ServiceError | None:
        """How it broke, if it did."""
        ...

    @property
    def served(self) -> bool | None:
        """Whether the engine did its part; None if that cannot be said, because nobody waited for it."""
        ...


C = TypeVar("C", bound=Call)
T = TypeVar("T")
Opener = Callable[[], AbstractAsyncContextManager[C]]


def refusal(error: ServiceError) -> bool:
    """Whether a healthy engine said that it is busy or not up: it has done no work."""
    return isinstance(error, Overloaded) or error.engine_status in _REFUSALS


def lost(error: ServiceError) -> bool:
    """Whether the connection to the engine failed, here or at a gateway."""
    return isinstance(error.__cause__, TransportError) or error.engine_status == _BAD_GATEWAY


def served_in_spite_of(error: ServiceError) -> bool | None:
    """What ``error`` says about the engine's health; None: nothing."""
    if refusal(error) or not isinstance(error, EngineFailure | NotReady):
        return None
    if error.engine_status is not None and error.engine_status < _SERVER_ERRORS:
        return None
    return False


class Begun(Generic[C]):
    """A call, and how it ends; see ``Retrier.begun``.

    A class and not a generator, like all that stays open as long as a stream: that takes a third of the memory.
    """

    __slots__ = ("_call", "_deadline", "_earlier", "_open_call", "_opened", "_probe", "_retrier")

    def __init__(
        self, retrier: "Retrier", open_call: Opener[C], deadline: Deadline, earlier: ServiceError | None
    ) -> None:
        self._retrier = retrier
        self._open_call = open_call
        self._deadline = deadline
        self._earlier = earlier

    async def __aenter__(self) -> C:
        self._call, self._probe = await self._retrier.tried(self._enter, self._deadline, self._earlier)
        del self._open_call  # it holds what was asked
        return self._call

    async def _enter(self) -> C:
        opened = self._open_call()
        call = await opened.__aenter__()
        self._opened = opened
        return call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        served = self._call.served if error is None or isinstance(error, ServiceError) else None
        self._retrier.ended(served, probe=self._probe)
        return await self._opened.__aexit__(kind, error, trace)


class Retrier:
    """Begins calls to one engine, each as often as it takes and may.

    Attributes:
        breaker: Leaves an engine alone that keeps failing.
        repeats: Calls that were made once more.
    """

    def __init__(self, monitor: EngineMonitor, policy: RetryPolicy) -> None:
        self.breaker = Breaker()
        self._monitor = monitor
        self._budget = RetryBudget()
        self._policy = policy
        self.repeats = 0

    def begun(self, open_call: Opener[C], deadline: Deadline, earlier: ServiceError | None) -> "Begun[C]":
        """A call that has begun to answer, while the body of ``async with`` runs.

        Args:
            open_call: Makes one try.
            deadline: Of the request.
            earlier: How an earlier call for the same request broke off, if one did.

        Raises:
            ServiceError: the last try's.
        """
        return Begun(self, open_call, deadline, earlier)

    def begun_now(self) -> None:
        """For answers without a task only: a call begins while the breaker is closed; ``ended`` must follow."""
        self._budget.begun(asked=True)

    def ended(self, served: bool | None, *, probe: bool, refused: bool = False) -> None:  # noqa: FBT001
        """For ``Begun`` and answers without a task only: a call is over."""
        self.breaker.end(served, probe=probe)
        self._budget.ended(served=False if refused else served)

    async def answered(self, ask: Callable[[], Awaitable[T]], deadline: Deadline, earlier: ServiceError | None) -> T:
        """What a call says that answers in one piece; see ``begun``.

        Raises:
            ServiceError: the last try's.
        """
        answer, probe = await self.tried(ask, deadline, earlier, stall=math.inf)  # who leaves has not seen it silent
        self.ended(served=True, probe=probe)
        return answer

    async def tried(
        self,
        begin: Callable[[], Awaitable[T]],
        deadline: Deadline,
        earlier: ServiceError | None,
        *,
        stall: float | None = None,
    ) -> tuple[T, bool]:
        """For ``Begun`` and ``answered``: try until a call has begun; that, and whether it is a probe of the breaker.

        ``stall``: seconds of silence after which a client that leaves has seen a failure; None: the policy's.
        """
        if earlier is None:
            self._budget.begun()
        else:
            await self._wait_before_repeating(earlier, deadline, 0)
        tries = 0
        while True:
            if not self.breaker.begin():
                await self._until_permitted(deadline)
            probe = not self.breaker.closed
            started = time.monotonic()
            self._budget.asked()
            try:
                return await begin(), probe
            except ServiceError as error:
                self.ended(served_in_spite_of(error), probe=probe, refused=refusal(error))
                tries += 1
                if tries >= self._policy.attempts or not (refusal(error) or lost(error)):
                    raise
                await self._wait_before_repeating(error, deadline, tries)
            except BaseException:
                silent = time.monotonic() - started > (self._policy.stall if stall is None else stall)
                self.ended(False if silent else None, probe=probe)
                raise

    async def _wait_before_repeating(self, error: ServiceError, deadline: Deadline, tries: int) -> None:
        """Return when the call may be made again; raise ``error`` if it may not."""
        if error.engine_status is not None and error.engine_status < _SERVER_ERRORS and not refusal(error):
            raise error  # the request is wrong, and would be again
        if refusal(error):
            free = False
            await self._back_off(error, deadline, tries)
        else:
            free = await self._until_confirmed(error, deadline)
        if not free and not self._budget.spend(refused=refusal(error)):
            raise error
        self.repeats += 1
        log.info("engine asked again", kind=type(error).__name__, status=error.engine_status, tries=tries)

    async def _back_off(self, error: ServiceError, deadline: Deadline, tries: int) -> None:
        pause = random.uniform(0, min(_BACKOFF * 2**tries, _LONGEST_BACKOFF))  # noqa: S311  jitter
        if pause + _RESERVE > deadline.remaining():
            raise error
        await asyncio.sleep(pause)

    async def _until_confirmed(self, error: ServiceError, deadline: Deadline) -> bool:
        """Wait until the engine has been seen up after the failure; True if it had been away: it lost its work."""
        away = self._monitor.recovery()
        if away is not None and away + _RESERVE > deadline.remaining():
            raise error
        try:
            async with asyncio.timeout(max(0.0, deadline.remaining() - _RESERVE)):
                away_meanwhile = await self._monitor.confirmed()
        except TimeoutError:
            raise error from None
        if away_meanwhile:
            self.breaker.reset()  # what was held against it is void
        return away_meanwhile

    async def _until_permitted(self, deadline: Deadline) -> None:
        """Wait until the breaker lets a call through.

        Raises:
            NotReady: that would take too long.
        """
        while True:
            pause = self.breaker.left()
            if pause + _RESERVE > deadline.remaining():
                raise NotReady(
                    "The model's server keeps failing and is left alone for a while. Repeat the call later.",
                    retry_after=pause,
                )
            await asyncio.sleep(min(pause, 1.0) + random.uniform(0, 0.05))  # noqa: S311  jitter
            if self.breaker.begin():
                return
