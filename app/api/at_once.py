"""Chats that are answered without a task: see ``PlainAnswers``. Only our own server offers requests to it.

A request is taken if all is as it nearly always is. Whatever is not, what is refused, what fails and whoever has to
wait goes the awaited way, through the middleware and the routes, which remain the one place where that is decided.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic_core import to_json

from app.api.client import Begun
from app.api.deps import Services
from app.api.errors import error_event
from app.api.lean import TIMEOUT, asked_timeout
from app.api.middleware import SHUTTING_DOWN, shutting_down
from app.api.words import Words
from app.core.completion import Completion
from app.core.drain import Drain
from app.core.engine_events import TokenReader
from app.core.flowing_answer import FlowingAnswer
from app.core.generation import Generation, Priority
from app.core.plain_answers import PlainAnswer
from app.errors import EngineFailure, InvalidField, ServiceError
from app.tasks.chat import refuse_aborted
from app.telemetry.observer import REQUEST_ID, Observer
from app.telemetry.record import RequestRecord

_JSON = b"application/json"
_LONGEST = 262_144  # bytes of a body that is held until it is whole; longer ones are read by the awaited way
_OK = 200
_DIGITS = 6  # of a length that is worth a look
# Headers that change how a body comes, or what browsers must be told.
_UNUSUAL = frozenset({b"expect", b"transfer-encoding", b"content-encoding", b"upgrade", b"origin"})


class Asked(NamedTuple):
    """What a request asks.

    Attributes:
        generation: Of the engine.
        words: Of a stream; None: a whole answer is wanted.
    """

    generation: Generation
    words: Words | None = None


class PlainRoute(NamedTuple):
    """A route as this way sees it.

    Attributes:
        path: Where it is.
        asked: A body, the services and the request's id -> what is asked; None: not this way.
        told: The services, a request's id and its answer -> the body of the response.
    """

    path: str
    asked: Callable[[bytes | bytearray, Services, str], Asked | None]
    told: Callable[[Services, str, Completion], bytes]


class Reply(Protocol):
    """How the server lets a request be answered that was taken: one of these, once; or ``begin``, ``more``, ``end``."""

    def answer(self, content: bytes, request_id: str, *, close: bool) -> None:
        """Send JSON with status 200; ``close``: the connection is not kept."""
        ...

    def begin(self, events: bytes, request_id: str, *, close: bool) -> None:
        """Begin a stream of server-sent events, with status 200, by its first."""
        ...

    def more(self, events: bytes) -> None:
        """Send the next ones."""
        ...

    def end(self, events: bytes) -> None:
        """Send the last ones."""
        ...

    def refuse(self, status: int, headers: Mapping[str, str], content: bytes, request_id: str) -> None:
        """Send JSON with another status and close the connection."""
        ...

    def await_answer(self, begun: Begun) -> None:
        """Have the application answer."""
        ...


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Takes requests.

    Attributes:
        routes: By their path.
        drain: Whether the service is on its way out.
        observer: Begins and ends records.
        most: Bytes that a body may have.
    """

    routes: Mapping[bytes, PlainRoute]
    drain: Drain
    observer: Observer
    most: int

    @classmethod
    def of(cls, routes: Sequence[PlainRoute], drain: Drain, observer: Observer, most: int) -> "AtOnce":
        """``most``: bytes that a body may have."""
        by_path = {route.path.encode(): route for route in routes}
        return cls(by_path, drain, observer, min(most, _LONGEST))

    def offered(self, path: bytes, headers: Sequence[tuple[bytes, bytes]], services: Services) -> "Offer | None":
        """A request whose body is still to come; None if it is none for this way. All names are in small letters."""
        route = self.routes.get(path)
        if route is None or self.drain.draining or self.observer.traces is not None:
            return None
        given = dict(headers)
        length = given.get(b"content-length", b"")
        if (
            given.get(b"content-type") != _JSON
            or not 0 < len(length) <= _DIGITS
            or int(length) > self.most
            or len(given) != len(headers)  # what came twice
            or not _UNUSUAL.isdisjoint(given)
        ):
            return None
        key_name = services.guard.passes(headers, "chat")
        if key_name is None:
            return None
        record = self.observer.record(route.path, given.get(REQUEST_ID))
        return Offer(self, route, services, headers, given.get(TIMEOUT), key_name, record)


class Offer:
    """A request that may be answered at once, when its body has come; then one that is being answered.

    Attributes:
        headers: Of the request.
    """

    __slots__ = (
        "_answer",
        "_key_name",
        "_lane",
        "_record",
        "_reply",
        "_route",
        "_services",
        "_timeout",
        "_words",
        "headers",
    )

    _reply: Reply

    def __init__(
        self,
        lane: AtOnce,
        route: PlainRoute,
        services: Services,
        headers: Sequence[tuple[bytes, bytes]],
        timeout: bytes | None,
        key_name: str,
        record: RequestRecord,
    ) -> None:
        self._lane = lane
        self._route = route
        self._services = services
        self._timeout = timeout
        self._key_name = key_name
        self._record = record
        self._words: Words | None = None
        self._answer: PlainAnswer | FlowingAnswer | None = None
        self.headers = headers

    @property
    def path(self) -> str:
        """As asked for."""
        return self._route.path

    def take(self, body: bytes | bytearray, reply: Reply) -> Begun | None:
        """Begin to answer; or what the awaited way, which has to answer then, need not find out again."""
        services, record = self._services, self._record
        plain = services.engine.plain
        if not plain.possible(Priority.CHAT):
            return Begun(record)
        try:
            timeout = None if self._timeout is None else asked_timeout(self._timeout)
        except InvalidField:
            return Begun(record)
        asked = self._route.asked(body, services, record.id)
        if asked is None:
            return Begun(record)
        deadline = services.timeouts.deadline(record.arrived, timeout, record=record)
        if asked.words is None:
            answer = plain.begin(asked.generation, deadline, record, self._told)
        else:
            answer = FlowingAnswer.begin(plain, asked.generation, deadline, record, self)
        if answer is None:
            return Begun(record)
        self._answer = answer
        self._reply = reply
        self._words = asked.words
        return None

    def _told(self, outcome: Completion | Exception | None) -> None:
        """The engine has answered, or failed; see ``Told``."""
        record, reply = self._record, self._let_go()
        if not isinstance(outcome, Completion):
            reply.await_answer(Begun(record, outcome))
            return
        try:
            refuse_aborted(outcome.finish)
        except EngineFailure as error:
            reply.await_answer(Begun(record, error))
            return
        record.status = _OK
        content = self._route.told(self._services, record.id, outcome)
        reply.answer(content, record.id, close=self._lane.drain.draining)
        self._lane.observer.end(record, self._key_name)

    # As a Hearer
    def heard(self, texts: list[bytes]) -> None:
        """More of a stream's text has come."""
        words = self._words
        if words is None:
            return
        if self._begun:
            self._reply.more(words.told(texts))
        else:
            self._begin(words.head + words.told(texts))
        words.sent(texts)

    def over(self, said: TokenReader) -> None:
        """All of a stream has been said."""
        words = self._words
        try:
            refuse_aborted(said.finish)
        except EngineFailure as error:
            self.failed(error)
            return
        if words is None:
            return
        if not self._begun:
            self._begin(words.head)
        self._end(words.last(said))

    def failed(self, error: ServiceError | None) -> None:
        """A stream has failed; before its first text the awaited way knows what to do."""
        if self._begun and error is not None:
            self._end(self._event_of(error))
            return
        self._let_go().await_answer(Begun(self._record, error))

    def _end(self, events: bytes) -> None:
        self._let_go().end(events)
        self._lane.observer.end(self._record, self._key_name)

    def _let_go(self) -> Reply:
        """The reply, which is held no longer, nor is the answer: they know us, which only a collection would find."""
        reply, self._answer = self._reply, None
        del self._reply
        return reply

    @property
    def _begun(self) -> bool:
        return self._record.status == _OK

    def _begin(self, events: bytes) -> None:
        self._record.status = _OK
        self._reply.begin(events, self._record.id, close=self._lane.drain.draining)

    def _event_of(self, error: ServiceError) -> bytes:
        """The last event of a stream that fails; ``error_event`` notes it in the current record, so it is ours."""
        return copy_context().run(self._noted_event, error)

    def _noted_event(self, error: ServiceError) -> bytes:
        self._record.enter()
        return error_event(self.path, error, self._record.id)

    # As told by the server
    def hold(self) -> None:
        """Its client reads more slowly than a stream is written."""
        if isinstance(self._answer, FlowingAnswer):
            self._answer.hold()

    def go_on(self) -> None:
        """It has read."""
        if isinstance(self._answer, FlowingAnswer):
            self._answer.go_on()

    def _cancel(self) -> Reply:
        if self._answer is not None:
            self._answer.cancel()
        return self._let_go()

    def dropped(self) -> None:
        """Its client has left before the body was whole."""
        self._lane.observer.end(self._record, self._key_name)

    def left(self) -> None:
        """Its client has left."""
        self._cancel()
        self._lane.observer.end(self._record, self._key_name)

    def shut_down(self) -> None:
        """The server is shutting down and out of patience."""
        record, reply = self._record, self._cancel()
        if self._begun:
            reply.end(self._event_of(SHUTTING_DOWN))
        else:
            content, record.status, headers = shutting_down(record.id)
            reply.refuse(record.status, headers, to_json(content), record.id)
        self._lane.observer.end(record, self._key_name)
