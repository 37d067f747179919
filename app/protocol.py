"""uvicorn's HTTP/1.1 protocol, with the limits for slow and hostile clients that it lacks.

Before the application is called for a request, it is offered to ``AtOnce``, which answers plain chats without a task.
"""

import asyncio
import socket
from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.at_once import AtOnce, Offer
from app.api.client import BEGUN, CLIENT, Begun, Client
from app.core.alarm import Alarm
from app.light import Flow, Joined, Pipeline, Signal
from app.standing import Heads, Standing

log = structlog.get_logger("server")

# Bytes of a refused body that are read all the same: a client that is cut off while it sends may never see the refusal.
_UNWANTED = 16 * 1024 * 1024
_SEND_BUFFER = (
    64 * 1024
)  # bytes in the kernel for one client; left alone it grows to megabytes for one that reads nothing


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take its time for.

    Attributes:
        connections: The most that are open at the same time; further ones are closed at once.
        receive: Seconds in which the headers of a request, and then its body, must have come.
        send: Seconds for which a client may read nothing while there is something to send.
        drain_delay: Seconds for which requests are still taken after a signal to end.
        drain_limit: Seconds for answers in flight after that.
    """

    connections: int
    receive: float
    send: float
    drain_delay: float
    drain_limit: float


_ASGI = {"version": "3.0", "spec_version": "2.4"}  # by 2.3 a streaming response would look for the disconnect itself


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with a clock for each thing that a client can be slow at.

    Thousands are open at a time: with more than 30 attributes a dictionary is not shared and takes 1.5 KB, hence slots.
    """

    limits: Limits
    at_once: AtOnce | None
    heads: Heads
    __slots__ = (
        "_client",
        "_expected",
        "_extensions",
        "_held",
        "_idle",
        "_last",
        "_offer",
        "_receiving",
        "_sending",
        "_unwanted",
    )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection; expect a request."""
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._expected: str | None = None
        self._client = Client(self._write_event)
        self._extensions = {CLIENT: self._client}
        self._unwanted = 0
        self._idle = Alarm(self.loop, self.timeout_keep_alive_handler)
        self._offer: Offer | None = None
        self._held: bytes | bytearray = b""  # the body so far of a request on offer
        self._last = False  # whether that one is the connection's last, because the server ends
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.pipeline = cast("deque[Any]", Pipeline())
        if len(self.connections) > self.limits.connections:
            log.warning("too many connections", limit=self.limits.connections)
            transport.abort()
            return
        if (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._expect("headers")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks; tell the handler of a request that is not answered yet."""
        self._idle.end()
        self._received()
        self._sent()
        if self._offer is not None:
            self._offer.dropped()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        super().connection_lost(exc)
        if cycle is not None and cycle.disconnected:
            self._client.left = True
            if self._client.tell is not None:
                self._client.tell()

    def data_received(self, data: bytes) -> None:
        """Set the clock for what is still to come: mostly nothing, since a request is one packet."""
        self._idle.give_up()
        before = self._expected
        super().data_received(data)
        expected = self._expected
        if expected and (expected != before or self._receiving is None) and not self.transport.is_closing():
            self._expect(expected)

    def on_message_begin(self) -> None:
        """The first byte of a request: its headers must follow. What uvicorn prepares now may not be needed."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._expected = "headers"

    def on_headers_complete(self) -> None:
        """The body must follow."""
        self._unwanted = 0
        self._expected = "body"
        if self.at_once is not None and self._is_usual():
            self._offer = self.at_once.offered(self.url, self.headers, self.app_state["services"])
            if self._offer is not None:
                return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope.update(asgi=_ASGI, headers=headers, extensions=self._extensions)  # type: ignore[call-arg]
        earlier = self.cycle
        super().on_headers_complete()
        if self.cycle is not earlier:
            self._lighten(self.cycle)

    def _is_usual(self) -> bool:
        parser: Any = self.parser
        cycle: Any = self.cycle
        return (
            parser.get_method() == b"POST"
            and (cycle is None or cycle.response_complete)
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.flow.write_paused
        )

    def _lighten(self, cycle: RequestResponseCycle) -> None:
        cycle.transport = cast("asyncio.Transport", Joined(self.transport, self.loop))
        cycle.message_event = cast("asyncio.Event", Signal())  # nobody has seen the other yet

    def on_body(self, body: bytes) -> None:
        """Once the answer is out, what still comes of the body is thrown away; of an endless one only the beginning."""
        if self._offer is not None:
            if not self._held:
                self._held = body
            else:
                self._held = self._held if isinstance(self._held, bytearray) else bytearray(self._held)
                self._held += body
            return
        cycle: Any = self.cycle
        if cycle is not None and cycle.response_complete:
            self._unwanted += len(body)
            if self._unwanted > _UNWANTED:
                self._cut("goes on with a body that was refused")
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Nothing is expected until the next request, which keep-alive has a clock for."""
        self._expected = None
        if self._receiving is not None:
            self._received()
        if self._offer is None:
            super().on_message_complete()
        else:
            self._take(self._offer)

    def _take(self, offer: Offer) -> None:
        """The request on offer is whole."""
        body, self._held, self._offer = self._held, b"", None
        standing: Any = Standing(self, offer, body)
        standing.keep_alive = not self._last
        self.cycle = standing
        begun = offer.take(body, standing)
        if begun is None:
            self._client.tell = standing.leave
            self.tasks.add(standing)
        else:
            self.await_answer(standing, begun)

    def await_answer(self, standing: Standing, begun: Begun) -> None:
        """Have the application answer what was on offer."""
        offer = standing.offer
        scope: Any = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "headers": offer.headers,
            "state": {**self.app_state, BEGUN: begun},
            "extensions": self._extensions,
            "method": "POST",
            "path": offer.path,
            "raw_path": offer.path.encode(),
            "query_string": b"",
        }
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=cast("asyncio.Event", Signal()),
            expect_100_continue=False,
            keep_alive=standing.keep_alive,
            on_response=self.on_response_complete,
        )
        self._lighten(cycle)
        cycle.body, cycle.more_body = bytearray(standing.body), False
        cycle.message_event.set()
        if self.cycle is cast("RequestResponseCycle", standing):
            self.cycle = cycle
        self._client.tell = None
        self._start_asgi_task(cycle, cast("Any", self.config).loaded_app)

    def shutdown(self) -> None:
        """The server ends: a request that has begun to come is still answered, as uvicorn has it for those it knows."""
        if self._offer is None:
            super().shutdown()
        else:
            self._last = True

    def on_response_complete(self) -> None:
        """An answer that did not need the body ends the wait for it, too. As uvicorn does it, but for the alarm."""
        self._expected = None
        if self._receiving is not None:
            self._received()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle.set(self.timeout_keep_alive)

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        super().pause_writing()
        self._sent()
        self._sending = self.loop.call_later(self.limits.send, self._cut, "reads nothing")
        if isinstance(self.cycle, Standing):
            self.cycle.hold()

    def resume_writing(self) -> None:
        """It has read."""
        self._sent()
        super().resume_writing()
        if isinstance(self.cycle, Standing):
            self.cycle.go_on()

    def _write_event(self, data: bytes) -> bool:
        """See ``Client.write``; the awaited way is left to what has to wait: its turn, or a slow reader."""
        cycle = self.cycle
        if self.pipeline or self.flow.write_paused or cycle.response_complete or self.transport.is_closing():
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def _expect(self, what: str) -> None:
        self._received()
        self._receiving = self.loop.call_later(self.limits.receive, self._late, what)

    def _received(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _sent(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _late(self, what: str) -> None:
        """Say so to a client that might listen, then cut it off: orderly if it reads, hard if it does not."""
        log.info("slow client", reason=f"sends its {what} too slowly")
        self._receiving = None
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if not self.transport.is_closing() and (cycle is None or cycle.response_complete or not cycle.response_started):
            self.transport.write(_REQUEST_TIMEOUT)
        self.transport.close()
        self.loop.call_later(1.0, self.transport.abort)

    def _cut(self, reason: str) -> None:
        log.info("slow client", reason=reason)
        self.transport.abort()


_BODY = (
    b'{"error":{"type":"request_timeout","message":"The request did not arrive within RECEIVE_TIMEOUT. '
    b'Send it without pauses."}}'
)
_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
