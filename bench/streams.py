"""What open streams cost: memory for each, and how late the latest chunk is. ``make bench ARGS="--streams 5000"``."""

import json
import threading
import time

from bench.gateways import Gateway, install, started
from bench.measure import chat, measured
from bench.processes import memory_bytes, open_many_files
from bench.tools import engine

_LASTS = 20.0  # seconds, so that all are open together
_MICRO = 1e6


def open_streams(count: int, gap: float, gateway: Gateway) -> None:
    """Open ``count`` streams at once through ``gateway``, with a chunk each ``gap`` seconds; print the figures."""
    install(gateway)
    open_many_files()
    body = json.dumps(chat(stream=False)).encode()
    with engine() as machine, started(gateway, machine.port, body) as subject:
        pid = subject.pid or 0
        machine.configure(tokens=10, gap=0.02)
        measured(subject, chat(stream=True), connections=200, seconds=0)  # what is made once is made
        machine.configure(tokens=max(2, round(_LASTS / gap)), gap=gap)
        before = memory_bytes(pid)
        peak: list[int] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(1.0):
                peak.append(memory_bytes(pid))

        watcher = threading.Thread(target=look)
        watcher.start()
        begun = time.monotonic()
        try:
            cost, run = measured(subject, chat(stream=True), connections=count, seconds=0)
        finally:
            done.set()
            watcher.join()
        seconds = time.monotonic() - begun
    print(
        f"{gateway.name}: {count} streams, a chunk each {gap * 1000:g} ms: "
        f"{(max(peak) - before) / count / 1024:.1f} KB a stream, "
        f"chunk delay p50 {run.delay['p50'] / 1000:.1f} ms, p99 {run.delay['p99'] / 1000:.1f} ms, "
        f"max {run.delay['max'] / 1000:.1f} ms, {cost / run.chunks * _MICRO:.1f} us of CPU a chunk, "
        f"core {cost / seconds:.0%} busy; memory before {before / 2**20:.0f} MB, ready in {subject.startup:.1f} s"
    )
