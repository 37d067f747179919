import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from app.engines.base import Address
from app.engines.supervisor import RUN_FOLDER, EngineCommand, Supervisor
from tests.unit.engine_children import Child, Nursery, nursery

pytestmark = pytest.mark.anyio

# A copy of the child, in the same session: an engine's worker process.
BEAR = "subprocess.Popen([sys.executable, '-S', '-c', sys.orig_argv[3], sys.argv[1]])"
IGNORE_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
async def children() -> AsyncIterator[Nursery]:
    async with nursery() as opened:
        with fail_after(20):
            yield opened


@asynccontextmanager
async def running(command: EngineCommand, *, stop_grace: float = 5) -> AsyncGenerator[Supervisor, None]:
    """Supervise ``command`` while the body runs, and stop it as the service does."""
    supervisor = Supervisor(command, stop_grace=stop_grace)
    task = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        assert not task.done(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert supervisor.pid is None
        assert supervisor.address is None


async def test_the_address_appears_once_the_engine_serves(children: Nursery) -> None:
    async with running(children.command) as supervisor:
        child = await children.born()
        assert supervisor.pid == child.pid
        assert supervisor.address is None
        assert supervisor.trouble == "the engine is starting"
        await child.do("listen(4242); fill()")
        assert supervisor.address == Address("127.0.0.1", 4242)
        assert supervisor.trouble is None


async def test_the_engine_has_its_environment_and_a_session_of_its_own(children: Nursery) -> None:
    async with running(children.command):
        child = await children.born()
        await child.do("assert os.environ['CHILDS_VARIABLE'] == 'its value' and os.environ['PATH']")
        await child.do("assert sys.stdin.read() == ''")
        assert os.getsid(child.pid) == child.pid


async def test_each_run_has_an_empty_folder_of_its_own(children: Nursery) -> None:
    given = {**children.command.environment, "FOLDER": RUN_FOLDER}
    async with running(replace(children.command, environment=given)):
        first = await children.born()
        await first.do("open(os.environ['FOLDER'] + '/rendezvous', 'x').close()")
        first.tell("os._exit(3)")
        second = await children.born()
        await second.do("assert os.listdir(os.environ['FOLDER']) == []")


async def test_an_engine_that_crashes_is_started_again(children: Nursery) -> None:
    async with running(children.command) as supervisor:
        first = await children.born()
        await first.do("listen(1); fill()")
        first.tell("os._exit(3)")
        second = await children.born()
        assert not first.alive
        assert supervisor.pid == second.pid
        assert supervisor.address is None
        assert supervisor.trouble == "the engine stopped (exit status 3) and is being restarted"
        await second.do("listen(2); fill()")
        assert supervisor.address == Address("127.0.0.1", 2)


@pytest.mark.parametrize("shared", [True, False], ids=["same output", "no output"])
async def test_an_engine_that_crashes_takes_its_workers_with_it(children: Nursery, *, shared: bool) -> None:
    async with running(children.command):
        engine = await children.born()
        await engine.do(
            BEAR if shared else BEAR.replace("])", "], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)")
        )
        worker = await children.born()
        engine.tell("os._exit(1)")
        await worker.ended()


async def family(children: Nursery, *, stubborn: bool) -> list[Child]:
    """An engine, its worker, and a worker of that one."""
    members: list[Child] = []
    for _ in range(3):
        members.append(await children.born())
        if stubborn:
            await members[-1].do(IGNORE_SIGTERM)
        if len(members) < 3:
            await members[-1].do(BEAR)
    return members


@pytest.mark.parametrize("stubborn", [False, True], ids=["obedient", "ignores SIGTERM"])
async def test_stopping_ends_the_engine_and_all_its_workers(children: Nursery, *, stubborn: bool) -> None:
    async with running(children.command, stop_grace=0.1 if stubborn else 5):
        members = await family(children, stubborn=stubborn)
    assert not members[0].alive
    for member in members:
        await member.ended()
        assert not member.alive


async def test_workers_that_ignore_sigterm_end_with_an_engine_that_does_not(children: Nursery) -> None:
    async with running(children.command, stop_grace=0.1):
        engine = await children.born()
        await engine.do(BEAR)
        worker = await children.born()
        await worker.do(IGNORE_SIGTERM)
    assert not engine.alive
    await worker.ended()


async def test_a_stop_that_comes_during_the_clean_up_after_a_crash_waits_for_it(children: Nursery) -> None:
    async with running(children.command, stop_grace=0.1):
        engine = await children.born()
        await engine.do(BEAR)
        worker = await children.born()
        await worker.do(IGNORE_SIGTERM)
        engine.tell("os._exit(1)")
        await engine.ended()
        for _ in range(10):
            await checkpoint()
    await worker.ended()


@pytest.mark.parametrize("last_act", ["None", "fill()"], ids=["quietly", "saying a lot"])
async def test_an_engine_may_end_in_its_own_way_when_asked_to(children: Nursery, last_act: str) -> None:
    async with running(children.command):
        child = await children.born()
        await child.do(f"signal.signal(signal.SIGTERM, lambda *_: ({last_act}, say('tidied up'), os._exit(0)))")
    assert await child.last_words() == "tidied up"


@pytest.mark.parametrize(
    "noise",
    [
        "print('x' * 1_000_000)",
        "print('x' * 65536); print('x' * 65535)",
        r"sys.stdout.buffer.write(b'\xff\xfe\n\x00\n'); sys.stdout.flush()",
        "print('LISTENING soon'); print('LISTENING'); print('LISTENING a b c')",
        "print('LISTENING 127.0.0.1 http'); print('ERROR: LISTENING 127.0.0.1 1')",
        "os.write(2, b'on standard error\\n')",
    ],
)
async def test_nothing_that_an_engine_prints_stalls_its_supervisor(children: Nursery, noise: str) -> None:
    async with running(children.command) as supervisor:
        child = await children.born()
        await child.do(f"{noise}; listen(4242); fill()")
        assert supervisor.address == Address("127.0.0.1", 4242)


async def test_an_engine_that_closes_its_output_still_runs(children: Nursery) -> None:
    async with running(children.command) as supervisor:
        child = await children.born()
        await child.do(
            "listen(4242); fill(); null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2)"
        )
        await child.do("signal.signal(signal.SIGTERM, lambda *_: (say('tidied up'), os._exit(0)))")
        assert supervisor.address == Address("127.0.0.1", 4242)
    assert await child.last_words() == "tidied up"


async def test_an_engine_that_cannot_be_started_is_tried_again() -> None:
    async with running(EngineCommand(["./no-such-engine"])) as supervisor:
        with fail_after(5):
            while supervisor.trouble == "the engine is starting":
                await checkpoint()
        assert supervisor.trouble == "the engine cannot be started (No such file or directory)"
        assert supervisor.pid is None
