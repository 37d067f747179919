"""What the rest of the service knows about where an engine is."""

from typing import NamedTuple, Protocol


class Address(NamedTuple):
    """Where an engine listens."""

    host: str
    port: int


class EngineHost(Protocol):
    """Something that an engine runs on: a server somewhere, or a child process of ours."""

    @property
    def address(self) -> Address | None:
        """Where the engine listens now; None while it does not."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why there is no address, for the operator; None if there is one."""
        ...


class RemoteHost:
    """An engine that somebody else runs, at a fixed address."""

    trouble: str | None = None

    def __init__(self, host: str, port: int) -> None:
        self.address: Address | None = Address(host, port)
