"""Copies of an engine's slots only save time: without them everything goes its way."""

import json

import pytest

from app.core.generation import Usage
from app.core.http_pool import HttpPool
from app.core.slot_copies import SlotCopies
from app.engines.profiles import EMBEDDED
from tests.unit.scripted_server import Peer, Script, scripted

pytestmark = pytest.mark.anyio

LAST = 900  # tokens that the slot used last holds
SLOTS = [
    {"id": 0, "is_processing": False},
    {"id": 1, "is_processing": False, "id_task": 7, "n_prompt_tokens": LAST},
    {"id": 2, "is_processing": True, "id_task": 9, "n_prompt_tokens": LAST},
    {"id": 3, "is_processing": False, "id_task": 5, "n_prompt_tokens": LAST},
    {"id": 4, "is_processing": False, "id_task": 8, "n_prompt_tokens": 20},
]
READ = Usage(LAST, 1)


def engine(asked: list[str], *, status: str = "200 OK", slots: object = SLOTS) -> Script:
    """Keeps what it is asked for; ``status``: of a save or a restore."""

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            head, _, body = request.partition(b"\r\n\r\n")
            path = head.split()[1].decode()
            name = json.loads(body)["filename"] if body else ""
            asked.append(f"{path} {name}".strip())
            said, how = (json.dumps(slots).encode(), "200 OK") if path == "/slots" else (b"{}", status)
            await peer.say(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (how.encode(), len(said), said))

    return script


async def test_the_slot_that_read_a_beginning_is_copied_to_idle_ones_a_different_one_for_each(pool: HttpPool) -> None:
    asked: list[str] = []
    async with scripted(engine(asked)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", READ)
        async with copies.at_hand(server.address, "rules"), copies.at_hand(server.address, "rules"):
            pass
        async with copies.at_hand(server.address, "rules"):
            pass
    name = EMBEDDED.copies[-1]
    done = [path for path in asked if path != "/slots"]
    assert done == [
        f"/slots/1?action=save {name}",  # of those that hold as many tokens, idle and used last
        f"/slots/0?action=restore {name}",  # never used
        f"/slots/3?action=restore {name}",  # the longest ago
        f"/slots/0?action=restore {name}",  # free again
    ]


async def test_what_nobody_has_read_or_what_is_too_long_is_not_copied(pool: HttpPool) -> None:
    asked: list[str] = []
    async with scripted(engine(asked)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", Usage(100_000, 1))
        await copies.keep(server.address, "rules", Usage(33, 1))  # none holds so many
        await copies.keep(None, "rules", READ)
        async with copies.at_hand(server.address, "rules"):
            pass
    assert asked == ["/slots"]


async def test_a_new_engine_has_no_copies(pool: HttpPool) -> None:
    asked: list[str] = []
    async with scripted(engine(asked)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", READ)
        copies.forget()
        before = len(asked)
        async with copies.at_hand(server.address, "rules"):
            pass
    assert len(asked) == before


async def test_the_beginning_used_the_longest_ago_makes_room(pool: HttpPool) -> None:
    asked: list[str] = []
    async with scripted(engine(asked)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        for number in range(len(EMBEDDED.copies)):
            await copies.keep(server.address, f"rules {number}", READ)
        await copies.keep(server.address, "rules 0", READ)  # anew, in the place it has
        for number in range(len(EMBEDDED.copies)):
            if number != 1:
                copies.use(f"rules {number}")
        await copies.keep(server.address, "one more", READ)
        before = len(asked)
        async with copies.at_hand(server.address, "rules 1"):
            pass
        assert len(asked) == before
        async with copies.at_hand(server.address, "rules 0"):
            pass
        assert len(asked) > before


@pytest.mark.parametrize("slots", [{}, [{}], [1], [None], "slots", None])
async def test_slots_that_look_like_nothing_known_are_left_alone(pool: HttpPool, slots: object) -> None:
    asked: list[str] = []
    async with scripted(engine(asked, slots=slots)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", READ)
    assert asked == ["/slots"]


@pytest.mark.parametrize("status", ["501 Not Implemented", "400 Bad Request"])
async def test_an_engine_that_cannot_copy_is_asked_all_the_same(pool: HttpPool, status: str) -> None:
    asked: list[str] = []
    begun = False
    async with scripted(engine(asked, status=status)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", READ)
        async with copies.at_hand(server.address, "rules"):
            begun = True
    assert begun
    assert not any("restore" in path for path in asked)


async def test_an_engine_that_is_gone_delays_nobody(pool: HttpPool) -> None:
    asked: list[str] = []
    begun = False
    async with scripted(engine(asked)) as server:
        copies = SlotCopies(pool, {}, EMBEDDED)
        await copies.keep(server.address, "rules", READ)
        address = server.address
    async with copies.at_hand(address, "rules"):
        begun = True
    assert begun
