"""The events of a stream of text, whoever it is that sends them: a task, or the event loop (``app.api.at_once``)."""

from collections.abc import AsyncGenerator
from typing import Protocol

from app.api.lean import Call
from app.core.generation import FinishReason, Usage
from app.tasks.chat import ChatStream


class Said(Protocol):
    """An answer that is whole."""

    @property
    def finish(self) -> FinishReason:
        """Why the engine stopped."""
        ...

    @property
    def usage(self) -> Usage:
        """Tokens spent."""
        ...


class Words(Protocol):
    """What one stream is told in."""

    @property
    def head(self) -> bytes:
        """The events before the text."""
        ...

    def told(self, pieces: list[bytes]) -> bytes:
        """The events for the next pieces of text, each a JSON string in UTF-8."""
        ...

    def sent(self, pieces: list[bytes]) -> None:
        """Those have been sent."""
        ...

    def last(self, said: Said) -> bytes:
        """The events behind the text."""
        ...


async def events_of(answer: ChatStream, words: Words, call: Call) -> AsyncGenerator[bytes, None]:
    """The events of ``answer``, for ``Call.stream``.

    Raises:
        ServiceError: see ``ChatStream.more``.
    """
    head = words.head

    def tell(pieces: list[bytes]) -> bool:
        at_once = call.write(words.told(pieces))
        if at_once:
            words.sent(pieces)
        return at_once

    while (pieces := await answer.more()) is not None:
        words.sent(pieces)
        yield head + words.told(pieces)
        head = b""
        await answer.pump(tell)
    call.spent(answer.usage.total_tokens)
    yield head + words.last(answer)
