"""How an exchange with the engine breaks at the level of its connection."""


class TransportError(Exception):
    """The exchange broke at the level of the connection.

    Attributes:
        before_response: True if not a byte of the answer had arrived.
    """

    def __init__(self, message: str, *, before_response: bool) -> None:
        super().__init__(message)
        self.before_response = before_response


class TimedOut(TransportError):
    """The exchange took longer than it may; the connection was cut."""


class NoConnection(TransportError):
    """Nothing was sent, because nobody listens."""
