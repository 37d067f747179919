"""Parts of uvicorn that each request or connection has, in a lighter form."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.flow_control import FlowControl


class Joined:
    """A transport for one response: its head waits for the first bytes of its body, so that both are one packet.

    Each write would be a call to the kernel of its own, a tenth of what a short request costs.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = b""

    def write(self, data: bytes) -> None:
        """Send ``data``; the first of it with the next, or at the end of this turn of the loop."""
        if self._head is None:
            self._transport.write(data)
        elif self._head:
            head, self._head = self._head, None
            self._transport.write(head + data)
        else:
            self._head = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Send what is held back, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._head = None


class Signal:
    """What uvicorn uses of ``asyncio.Event``; the queue of a real one takes 0.8 KB, even if nobody waits."""

    __slots__ = ("_set", "_waiter")

    def __init__(self, *, is_set: bool = False) -> None:
        self._set = is_set
        self._waiter: asyncio.Future[None] | None = None

    def set(self) -> None:
        """Let all that wait go on."""
        self._set = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def clear(self) -> None:
        """Let them wait again."""
        self._set = False

    async def wait(self) -> None:
        """Return when it is set."""
        while not self._set:
            if self._waiter is None or self._waiter.done():
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)  # who gives up waiting does not take the others with it


class Flow(FlowControl):
    """uvicorn's flow control with a lighter event."""

    __slots__ = ("_is_writable_event", "_transport", "read_paused", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.read_paused = self.write_paused = False
        self._is_writable_event = cast("asyncio.Event", Signal(is_set=True))


class Pipeline(list[Any]):
    """What uvicorn uses of a deque, which takes 0.6 KB even if it is empty, as this nearly always is."""

    __slots__ = ()

    def appendleft(self, request: Any) -> None:
        """Put one that comes after all that wait: they are taken from the end."""
        self.insert(0, request)
