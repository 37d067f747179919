"""What our server tells and offers beyond ASGI; under another server requests do without."""

from collections.abc import Callable

CLIENT = "llm-service.client"
"""The ASGI extension that holds a request's ``Client``."""


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
