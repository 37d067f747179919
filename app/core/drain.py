"""Whether this process is on its way out."""


class Drain:
    """Set once, by the server, when it has been told to end: readiness says so, and connections are not kept.

    Attributes:
        draining: Whether the end has begun.
    """

    def __init__(self) -> None:
        self.draining = False

    def begin(self) -> None:
        """From now on."""
        self.draining = True
