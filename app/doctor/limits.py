"""Time limits: the doctor must not hang on what it examines."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, cast

from app.doctor.checks import Check, problem

T = TypeVar("T")
LIMIT = 20.0


async def limited(title: str, work: Awaitable[Check]) -> Check:
    """The result of ``work``, or a problem when it takes too long.

    Args:
        title: What is being looked at.
        work: Looks.
    """
    try:
        async with asyncio.timeout(LIMIT):
            return await work
    except TimeoutError:
        return problem(title, f"no result within {LIMIT:.0f} s.", "Run this again when the machine is less busy.")


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking ``work`` in a thread that nobody waits for at exit: a dead network disk may hold it for ever."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.done():  # given up
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("T", result))

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  raised again where it is awaited
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await done
