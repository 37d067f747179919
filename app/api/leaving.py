"""How the server tells whoever handles a request that its client has left."""

from collections.abc import Callable

LEAVING = "llm-service.leaving"
"""The ASGI extension that holds a request's ``Leaving``."""


class Leaving:
    """One for each connection.

    Attributes:
        left: Whether the client has left before its answer was whole.
        tell: What to call when it does, or None while no request is handled.
    """

    __slots__ = ("left", "tell")

    def __init__(self) -> None:
        self.left = False
        self.tell: Callable[[], object] | None = None
