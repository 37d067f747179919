import asyncio
import socket
from contextlib import AsyncExitStack
from functools import partial

import pytest
from anyio.lowlevel import checkpoint

from app.core.http_pool import HttpPool
from app.core.transport_errors import TimedOut, TransportError
from app.engines.base import Address
from tests.unit.scripted_server import Peer, answer, chunked, for_ever, scripted

pytestmark = pytest.mark.anyio

BODY = "한 글자씩 and then some".encode()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


async def get(pool: HttpPool, address: Address, *, limit: int = 1024 * 1024, seconds: float | None = None) -> bytes:
    async with pool.exchange("GET", address, "/", limit=seconds) as response:
        return await response.read(limit)


async def broken(pool: HttpPool, address: Address) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await get(pool, address)
    return caught.value


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("response", [answer(BODY), chunked(BODY[:7], BODY[7:8], BODY[8:])], ids=["length", "chunked"])
@pytest.mark.parametrize("seconds", [None, 20], ids=["as it comes", "all in 20 s"])
async def test_a_body_is_whole_wherever_the_packets_were_cut(
    pool: HttpPool, response: bytes, seconds: float | None
) -> None:
    async def script(peer: Peer) -> None:
        for cut in range(1, len(response)):
            await peer.request()
            await peer.say(response[:cut], response[cut:])
        await peer.request()
        await peer.say(*(response[i : i + 1] for i in range(len(response))))

    async with scripted(script) as server:
        for _ in range(len(response)):
            assert await get(pool, server.address, seconds=seconds) == BODY
        assert server.connections == 1


async def test_a_body_longer_than_what_is_buffered_is_whole_in_time(pool: HttpPool) -> None:
    body = b"x" * 1024 * 1024
    async with scripted(partial(for_ever, response=answer(body))) as server:
        for _ in range(3):
            assert await get(pool, server.address, seconds=20) == body
        assert server.connections == 1
        pool.close()
        await server.ended.wait()


async def test_an_answer_that_breaks_off_after_its_head_fails_at_once_whatever_time_it_has(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, b"half")

    async with scripted(script) as server:
        with pytest.raises(TransportError, match="closed") as caught:
            await get(pool, server.address, seconds=3600)
        assert not caught.value.before_response
        await server.ended.wait()


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_a_request_arrives_as_it_was_meant(pool: HttpPool, host: str, shown: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    requests: list[bytes] = []

    async def script(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.say(answer(b"{}", status="418 I'm a teapot"))

    async with scripted(script, host) as server:
        port = server.address.port
        headers = {"authorization": "Bearer key"}
        async with pool.exchange("POST", server.address, "/path", headers=headers, body=b"{}") as response:
            assert response.status == 418
    assert requests == [
        b"POST /path HTTP/1.1\r\nhost: %b:%d\r\ncontent-length: 2\r\nauthorization: Bearer key\r\n\r\n{}"
        % (shown.encode(), port)
    ]


async def test_a_request_longer_than_the_sockets_buffers_arrives_whole(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.say(answer(b"%d" % len(await peer.request())))

    body = b"x" * (8 * 1024 * 1024)
    async with (
        scripted(script) as server,
        pool.exchange("POST", server.address, "/", body=body) as response,
    ):
        assert int(await response.read()) > len(body)


async def test_pieces_of_a_body_are_handed_out_as_they_arrive(pool: HttpPool) -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, b"first")
        await read.wait()
        await peer.say(b"other")

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        chunks = response.chunks()
        assert await anext(chunks) == b"first"
        read.set()
        assert [chunk async for chunk in chunks] == [b"other"]


async def test_pieces_that_need_not_come_at_once_come_together_and_the_connection_goes_on(pool: HttpPool) -> None:
    pieces = [b"%d " % number for number in range(50)]

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            await peer.say(*(chunked(*pieces)[at : at + 40] for at in range(0, len(chunked(*pieces)), 40)))

    async with scripted(script) as server:
        for _ in range(2):
            async with pool.exchange("GET", server.address, "/") as response:
                taken = [await response.chunk() or b""]
                await response.pump(lambda data, taken=taken: taken.append(data) is None, lambda: 0.02)
                taken += [chunk async for chunk in response.chunks()]
                assert b"".join(taken) == b"".join(pieces)
                assert len(taken) < len(pieces)
        assert server.connections == 1


async def test_a_reader_that_looks_now_and_then_says_each_time_when_it_looks_again(pool: HttpPool) -> None:
    looks = asyncio.Semaphore(1)

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in (HEAD + b"1", b"23", b"456", b"7890"):
            await looks.acquire()
            await peer.say(piece)

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        taken = [await response.chunk() or b""]
        await response.pump(lambda data: taken.append(data) is None, lambda: looks.release() or 0.02)
        assert b"".join([*taken, *[chunk async for chunk in response.chunks()]]) == b"1234567890"


async def test_an_engine_that_breaks_off_is_noticed_by_a_reader_that_looks_now_and_then(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, b"12345")

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        taken = [await response.chunk() or b""]
        await response.pump(lambda data: taken.append(data) is None, lambda: 0.02)
        with pytest.raises(TransportError):
            await response.chunk()
        assert b"".join(taken) == b"12345"


async def test_one_connection_serves_one_exchange_after_another(pool: HttpPool) -> None:
    async with scripted(partial(for_ever, response=answer(BODY))) as server:
        for _ in range(5):
            assert await get(pool, server.address) == BODY
        assert server.connections == 1
        pool.close()
        await server.ended.wait()


async def test_exchanges_at_the_same_time_have_a_connection_each(pool: HttpPool) -> None:
    async with scripted(partial(for_ever, response=answer(BODY))) as server:
        async with AsyncExitStack() as stack:
            for _ in range(3):
                response = await stack.enter_async_context(pool.exchange("GET", server.address, "/"))
                assert await response.read() == BODY
        assert server.connections == 3
        await get(pool, server.address)
        assert server.connections == 3
        pool.close()


async def test_an_idle_connection_that_the_engine_has_closed_is_not_used(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer(b"%d" % peer.number))

    async with scripted(script) as server:
        assert await get(pool, server.address) == b"1"
        await server.ended.wait()
        assert await get(pool, server.address) == b"2"


async def test_an_idle_connection_that_closes_under_the_request_is_replaced(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer(b"%d" % peer.number))
        if peer.number == 1:
            await peer.request()  # and no answer: the connection is closed

    async with scripted(script) as server:
        assert await get(pool, server.address) == b"1"
        assert await get(pool, server.address) == b"2"
        assert server.connections == 2


async def test_a_new_connection_that_fails_is_not_tried_again(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with scripted(script) as server:
        error = await broken(pool, server.address)
        assert error.before_response
        assert server.connections == 1


async def test_a_connection_that_is_refused_failed_before_the_response(pool: HttpPool) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        error = await broken(pool, Address("127.0.0.1", closed.getsockname()[1]))
    assert error.before_response


async def test_time_that_is_over_before_there_is_a_connection_is_no_failure_to_connect(pool: HttpPool) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as deaf,
        socket.create_connection(deaf.getsockname()),  # one fills the queue, and another is not answered at all
        pytest.raises(TimedOut),
    ):
        await get(pool, Address(*deaf.getsockname()), seconds=0.1)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200",
        HEAD[:-2],
        HEAD,
        HEAD + b"half",
        chunked(b"whole")[:-2],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x01\x02",
    ],
)
async def test_what_breaks_off_after_its_first_byte_has_begun_to_answer(pool: HttpPool, said: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)

    async with scripted(script) as server:
        assert not (await broken(pool, server.address)).before_response
        assert server.connections == 1


async def test_what_arrived_before_the_connection_broke_is_still_handed_out(pool: HttpPool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, b"half")

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        await server.ended.wait()
        chunks = response.chunks()
        assert await anext(chunks) == b"half"
        with pytest.raises(TransportError):
            await anext(chunks)


@pytest.mark.parametrize("how", ["leave", "fail", "cancel"])
async def test_leaving_before_the_end_closes_the_connection(pool: HttpPool, how: str) -> None:
    gone = asyncio.Event()
    begun = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD, b"half")
        await peer.gone()
        gone.set()

    async def exchange(address: Address) -> None:
        async with pool.exchange("GET", address, "/") as response:
            assert await anext(response.chunks()) == b"half"
            begun.set()
            if how == "fail":
                raise LookupError
            if how == "cancel":
                await response.read()

    async with scripted(script) as server:
        task = asyncio.create_task(exchange(server.address))
        await begun.wait()
        if how == "cancel":
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await gone.wait()
    assert task.cancelled() == (how == "cancel")


async def test_a_request_that_is_cancelled_before_the_answer_closes_the_connection(pool: HttpPool) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        gone.set()

    async with scripted(script) as server:
        task = asyncio.create_task(get(pool, server.address))
        await asked.wait()
        task.cancel()
        await gone.wait()


async def test_an_answer_longer_than_the_limit_is_refused(pool: HttpPool) -> None:
    async with scripted(partial(for_ever, response=answer(b"x" * 1001))) as server:
        assert len(await get(pool, server.address, limit=1001)) == 1001
        with pytest.raises(TransportError, match="1000 bytes") as caught:
            await get(pool, server.address, limit=1000)
        assert not caught.value.before_response
        pool.close()


@pytest.mark.parametrize("header", ["connection: close\r\n", "Connection: Close\r\n"])
async def test_a_connection_that_the_engine_does_not_keep_is_not_used_again(pool: HttpPool, header: str) -> None:
    async with scripted(partial(for_ever, response=answer(BODY, headers=header))) as server:
        for number in (1, 2, 3):
            assert await get(pool, server.address) == BODY
            assert server.connections == number


async def test_bytes_nobody_asked_for_end_up_in_no_answer(pool: HttpPool) -> None:
    async with scripted(partial(for_ever, response=answer(b"asked") + answer(b"not asked"))) as server:
        for number in (1, 2):
            assert await get(pool, server.address) == b"asked"
            assert server.connections == number


async def test_a_reader_that_is_slow_holds_the_engine_back(pool: HttpPool) -> None:
    """Else the whole answer would stand in this process's memory."""
    total, piece = 64 * 1024 * 1024, b"x" * 65536
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total, *[piece] * (total // len(piece)))

    async with scripted(script) as server, pool.exchange("GET", server.address, "/") as response:
        for _ in range(5000):
            await checkpoint()
        assert peers[0].sent < total // 2
        assert sum([len(chunk) async for chunk in response.chunks()]) == total


async def test_a_long_answer_that_nobody_read_does_not_stall_the_next_exchange(pool: HttpPool) -> None:
    """Reading pauses while much is unread; the pause must not outlive its exchange."""
    async with scripted(partial(for_ever, response=answer(b"x" * 300 * 1024))) as server:
        async with pool.exchange("GET", server.address, "/"):
            for _ in range(200):
                await checkpoint()
        assert len(await get(pool, server.address)) == 300 * 1024
        pool.close()


async def test_a_pool_may_be_closed_twice(pool: HttpPool) -> None:
    pool.close()


async def test_an_exchange_that_outlives_the_pool_leaves_no_connection_behind(pool: HttpPool) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer(BODY))
        await peer.gone()
        gone.set()

    async with scripted(script) as server:
        async with pool.exchange("GET", server.address, "/") as response:
            pool.close()
            assert await response.read() == BODY
        await gone.wait()
