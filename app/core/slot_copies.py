"""What one slot of the engine has read, copied to the others.

llama.cpp gives what it has read to one of those who come next: of eight generations that begin alike and start together
seven read the beginning again. It can save a slot's memory, and restore it into any other slot; there it finds it by
itself, as it gives each prompt the idle slot that shares most with it. Measured on two cores, eight prompts of 320
tokens, 310 of them alike: 111 s, and 6 s with copies.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog
from pydantic_core import from_json, to_json

from app.core.generation import Usage
from app.core.http_pool import HttpPool
from app.core.transport_errors import TransportError
from app.engines.base import Address
from app.engines.profiles import EngineProfile

_TIMEOUT = 5.0  # seconds; slots are looked at between two batches, and a slot that was just taken is waited for
_LONGEST = 2048  # tokens of a copy; 28 KB each with the default model, so that eight copies take 460 MB at most
_OK = 200

log = structlog.get_logger("slot_copies")


class _Idle(NamedTuple):
    """A slot that is not at work: its number, how many tokens it holds, and its last task (later ones have more)."""

    number: int
    tokens: int
    task: int


class SlotCopies:
    """The copies of one engine. All of it only saves time: whatever fails is left out."""

    def __init__(self, pool: HttpPool, headers: Mapping[str, str], profile: EngineProfile) -> None:
        self._pool = pool
        self._headers = headers
        self._path = profile.slots_path
        self._free = list(profile.copies)
        self._kept: OrderedDict[str, str] = OrderedDict()  # beginnings -> names of copies, the last used at the end
        self._turn = asyncio.Lock()
        self._given: set[int] = set()  # slots that hold a copy for someone who has not begun yet

    def forget(self) -> None:
        """The engine is a new one: it has no copies."""
        self._free += self._kept.values()
        self._kept.clear()

    def use(self, beginning: str) -> None:
        """It is needed now: the others go first when room is made."""
        if beginning in self._kept:
            self._kept.move_to_end(beginning)

    async def keep(self, address: Address | None, beginning: str, usage: Usage) -> None:
        """Copy the slot whose generation began so, and has just ended with ``usage``."""
        if address is None or usage.total_tokens > _LONGEST:
            return
        held = usage.total_tokens - 1  # the last one told was not read
        fit = [slot for slot in await self._idle(address) if abs(slot.tokens - held) <= 1]
        if not fit:
            return
        name, saved = self._place(beginning), False
        try:
            saved = await self._do(address, "save", max(fit, key=_last_used), name)
        finally:
            if saved:
                self._kept[beginning] = name
            else:
                self._free.append(name)

    @asynccontextmanager
    async def at_hand(self, address: Address | None, beginning: str) -> AsyncGenerator[None, None]:
        """While the body begins a generation, an idle slot holds the copy of its ``beginning``, if there is one."""
        given = None
        if address is not None and beginning in self._kept:
            async with self._turn:
                given = await self._give(address, beginning)
        try:
            yield
        finally:
            if given is not None:
                self._given.discard(given)

    def _place(self, beginning: str) -> str:
        """The one it has, or a free one, or that of the beginning used the longest ago."""
        if beginning in self._kept:
            return self._kept.pop(beginning)
        return self._free.pop() if self._free else self._kept.popitem(last=False)[1]

    async def _give(self, address: Address, beginning: str) -> int | None:
        idle = [slot for slot in await self._idle(address) if slot.number not in self._given]
        name = self._kept.get(beginning)  # it may have gone while we looked
        if not idle or name is None:
            return None
        slot = min(idle, key=_last_used)
        if not await self._do(address, "restore", slot, name):
            return None
        self._given.add(slot.number)
        return slot.number

    async def _idle(self, address: Address) -> list[_Idle]:
        told = await self._exchange("GET", address, self._path or "", b"")
        try:
            return [
                _Idle(slot["id"], slot.get("n_prompt_tokens", 0), slot.get("id_task", -1))
                for slot in told or ()
                if not slot["is_processing"]
            ]
        except (TypeError, LookupError, AttributeError):
            log.warning("slots not understood")
            return []

    async def _do(self, address: Address, action: str, slot: _Idle, name: str) -> bool:
        path = f"{self._path}/{slot.number}?action={action}"
        return await self._exchange("POST", address, path, to_json({"filename": name})) is not None

    async def _exchange(self, method: str, address: Address, path: str, body: bytes) -> Any:
        """What the engine said; None if it did not or could not."""
        try:
            async with self._pool.exchange(
                method, address, path, headers=self._headers, body=body, limit=_TIMEOUT
            ) as response:
                said = from_json(await response.read())
                if response.status == _OK:
                    return said
                log.warning("slot not copied", path=path, status=response.status)
        except (TransportError, ValueError) as error:
            log.warning("slot not copied", path=path, reason=str(error))
        return None


def _last_used(slot: _Idle) -> int:
    return slot.task
