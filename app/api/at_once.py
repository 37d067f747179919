"""Plain chats that are answered without a task: see ``PlainAnswers``. Only our own server offers requests to it.

A request is taken if all is as it nearly always is. Whatever is not, what is refused, what fails and whoever has to
wait goes the awaited way, through the middleware and the routes, which remain the one place where that is decided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic_core import to_json

from app.api.client import Begun
from app.api.deps import Services
from app.api.lean import TIMEOUT, asked_timeout
from app.api.middleware import shutting_down
from app.core.completion import Completion
from app.core.drain import Drain
from app.core.generation import Generation, Priority
from app.core.plain_answers import PlainAnswer
from app.errors import EngineFailure, InvalidField
from app.tasks.chat import refuse_aborted
from app.telemetry.observer import REQUEST_ID, Observer
from app.telemetry.record import RequestRecord

_JSON = b"application/json"
_LONGEST = 262_144  # bytes of a body that is held until it is whole; longer ones are read by the awaited way
_OK = 200
_DIGITS = 6  # of a length that is worth a look
# Headers that change how a body comes, or what browsers must be told.
_UNUSUAL = frozenset({b"expect", b"transfer-encoding", b"content-encoding", b"upgrade", b"origin"})


class PlainRoute(NamedTuple):
    """A route as this way sees it.

    Attributes:
        path: Where it is.
        asked: A body -> what is asked of the engine; None: not this way.
        told: The services, a request's id and its answer -> the body of the response.
    """

    path: str
    asked: Callable[[bytes | bytearray, Services], Generation | None]
    told: Callable[[Services, str, Completion], bytes]


class Reply(Protocol):
    """How the server lets a request be answered that was taken; one of these, once."""

    def answer(self, content: bytes, request_id: str, *, close: bool) -> None:
        """Send JSON with status 200; ``close``: the connection is not kept."""
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

    __slots__ = ("_answer", "_key_name", "_lane", "_record", "_reply", "_route", "_services", "_timeout", "headers")

    _answer: PlainAnswer
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
        self.headers = headers

    @property
    def path(self) -> str:
        """As asked for."""
        return self._route.path

    def take(self, body: bytes | bytearray, reply: Reply) -> Begun | None:
        """Begin to answer; or what the awaited way, which has to answer then, need not find out again."""
        services, record = self._services, self._record
        if not services.engine.plain.possible(Priority.CHAT):
            return Begun(record)
        try:
            timeout = None if self._timeout is None else asked_timeout(self._timeout)
        except InvalidField:
            return Begun(record)
        generation = self._route.asked(body, services)
        if generation is None:
            return Begun(record)
        deadline = services.timeouts.deadline(record.arrived, timeout, record=record)
        answer = services.engine.plain.begin(generation, deadline, record, self._told)
        if answer is None:
            return Begun(record)
        self._answer = answer
        self._reply = reply
        return None

    def _told(self, outcome: Completion | Exception | None) -> None:
        """The engine has answered, or failed; see ``Told``."""
        record, reply = self._record, self._reply
        del self._reply, self._answer  # they know us: garbage that only a collection would find
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

    def dropped(self) -> None:
        """Its client has left before the body was whole."""
        self._lane.observer.end(self._record, self._key_name)

    def left(self) -> None:
        """Its client has left."""
        self._answer.cancel()
        self._lane.observer.end(self._record, self._key_name)

    def shut_down(self) -> None:
        """The server is shutting down and out of patience."""
        self._answer.cancel()
        record = self._record
        content, record.status, headers = shutting_down(record.id)
        self._reply.refuse(record.status, headers, to_json(content), record.id)
        self._lane.observer.end(record, self._key_name)
