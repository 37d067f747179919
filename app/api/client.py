"""What our server tells and offers beyond ASGI; under another server requests do without."""

from collections.abc import Callable
from typing import NamedTuple

from app.telemetry.record import RequestRecord

CLIENT = "llm-service.client"
"""The ASGI extension that holds a request's ``Client``."""

BEGUN = "llm-service.begun"
"""Where the state of a request holds what is known of it already: a ``Begun``."""


class Begun(NamedTuple):
    """What came of a request before it was handed to the application; see ``app.api.at_once``.

    Attributes:
        record: Its record.
        earlier: What went wrong with a first try at its answer, if there was one.
    """

    record: RequestRecord
    earlier: Exception | None = None


class Client:
    """Who waits for answers on one connection.

    Attributes:
        left: Whether it has left before its answer was whole.
        tell: What to call when it does, or None while no request is handled.
        write: Sends the next bytes of a stream that has begun, at once and without a task. False if it did not, or if
            nothing more should be sent this way: the client reads slowly, or has left.
    """

    __slots__ = ("left", "tell", "write")

    def __init__(self, write: Callable[[bytes], bool]) -> None:
        self.left = False
        self.tell: Callable[[], object] | None = None
        self.write = write
