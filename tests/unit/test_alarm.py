"""An alarm goes off when it was set last, and not before, however often it is moved."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.core.alarm import Alarm

pytestmark = pytest.mark.anyio


class Bell:
    """Waits for an alarm."""

    def __init__(self) -> None:
        self.rung: list[float] = []
        self.rings = asyncio.Event()
        self.alarm = Alarm(asyncio.get_running_loop(), self.ring)

    def ring(self) -> None:
        """It went off."""
        self.rung.append(time.monotonic())
        self.rings.set()


@pytest.fixture
async def bell() -> AsyncIterator[Bell]:
    bell = Bell()
    yield bell
    bell.alarm.end()


async def test_it_goes_off_once(bell: Bell) -> None:
    started = time.monotonic()
    bell.alarm.set(0.05)
    await bell.rings.wait()
    assert bell.rung[0] - started >= 0.045
    other = Bell()
    other.alarm.set(0.1)
    await other.rings.wait()
    assert len(bell.rung) == 1


async def test_a_later_time_counts_and_an_earlier_one_too(bell: Bell) -> None:
    started = time.monotonic()
    bell.alarm.set(0.02)
    bell.alarm.set(0.15)
    await bell.rings.wait()
    assert bell.rung[0] - started >= 0.14
    bell.rings.clear()
    bell.alarm.set(3600)
    bell.alarm.set(0.02)
    await asyncio.wait_for(bell.rings.wait(), 30)


async def test_one_that_is_given_up_is_silent_until_it_is_set_anew(bell: Bell) -> None:
    other = Bell()
    bell.alarm.set(0.02)
    bell.alarm.give_up()
    other.alarm.set(0.1)
    await other.rings.wait()
    assert not bell.rung
    bell.alarm.set(0.02)
    await bell.rings.wait()


async def test_one_that_has_ended_holds_no_timer(bell: Bell) -> None:
    other = Bell()
    bell.alarm.set(0.02)
    bell.alarm.end()
    other.alarm.set(0.1)
    await other.rings.wait()
    assert not bell.rung
