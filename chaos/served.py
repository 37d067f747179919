"""The service as ``llm-service serve`` runs it, with an eye inside: SIGUSR1 has it write down what it holds.

Run as ``python -m chaos.served FILE``; all settings come from the environment.
"""

import asyncio
import gc
import json
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import uvloop

from app.config import load_settings
from app.core.drain import Drain
from app.main import at_once, create_app, outermost
from app.server import Limits, make_server
from app.telemetry.logs import configure_logs


class _Eye:
    """Counts what should not be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unhandled: list[str] = []

    def unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The event loop found an error that nobody waits for."""
        self._unhandled.append(str(context.get("exception") or context.get("message")))

    def look(self) -> None:
        """Write the figures, whole or not at all."""
        gc.collect()
        process = psutil.Process()
        figures = {
            "tasks": len(asyncio.all_tasks()),
            "sockets": sum(c.status == psutil.CONN_ESTABLISHED for c in process.net_connections("tcp")),
            "rss": process.memory_info().rss,
            "unhandled": self._unhandled,
        }
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(figures))
        draft.rename(self._path)


async def _serve(path: Path) -> None:
    settings = load_settings()
    configure_logs(settings.log_level)
    drain = Drain()
    limits = Limits(
        settings.max_connections,
        settings.receive_timeout,
        settings.send_timeout,
        settings.drain_delay,
        settings.drain_limit,
    )
    app = create_app(settings, drain=drain)
    server = make_server(outermost(app), drain, limits, at_once(app))
    server.config.host, server.config.port = settings.app_host, settings.app_port
    eye = _Eye(path)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(eye.unhandled)
    loop.add_signal_handler(signal.SIGUSR1, eye.look)
    await server.serve()


def _leave(*_: object) -> None:
    sys.exit(0)


def main() -> None:
    """Serve until a signal."""
    signal.signal(signal.SIGTERM, _leave)
    uvloop.run(_serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
