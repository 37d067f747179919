"""Server-sent events from bytes, whatever the boundaries of the chunks. Pure."""

from app.errors import EngineFailure

_MAX_EVENT = 1024 * 1024


class SseReader:
    """Collects bytes and hands out the ``data`` of each complete event (engines send one data line per event)."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def between(self) -> bool:
        """Whether what comes next begins a line."""
        return not self._rest

    def feed(self, data: bytes) -> list[bytes]:
        """The data lines that ``data`` completes, in order; comments and other fields are skipped.

        Raises:
            EngineFailure: a line grows beyond 1 MiB.
        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _MAX_EVENT:
            raise EngineFailure("The engine sent an event that is too long.")
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]
