"""The ASGI application: which path is answered by what, and who may ask."""

import hmac
from collections.abc import Awaitable, Callable

from simulator import info
from simulator.chat import chat
from simulator.completions import complete
from simulator.control import control
from simulator.engine import Engine, Record
from simulator.errors import InvalidRequest
from simulator.faults import GENERATION_ROUTES, Kind
from simulator.metrics import Labels
from simulator.native import generate
from simulator.wire import Exchange, Receive, Scope, Send

Handler = Callable[[Engine, Exchange], Awaitable[None]]

_GET: dict[str, Handler] = {
    "/health": info.health,
    "/health_generate": info.health,
    "/ready": info.ready,
    "/ping": info.ping,
    "/v1/models": info.models,
    "/model_info": info.model_info,
    "/get_model_info": info.model_info,
    "/server_info": info.server_info,
    "/get_server_info": info.server_info,
    "/v1/loads": info.loads,
    "/metrics": info.metrics,
    "/metrics/": info.metrics,
    "/flush_cache": info.flush_cache,
}
_POST: dict[str, Handler] = {
    "/v1/chat/completions": chat,
    "/v1/completions": complete,
    "/generate": generate,
    "/tokenize": info.tokenize,
    "/v1/tokenize": info.tokenize,
    "/abort_request": info.abort_request,
    "/flush_cache": info.flush_cache,
    "/ping": info.ping,
}
_PUT: dict[str, Handler] = {"/generate": generate}
_METHODS = {"GET": _GET, "POST": _POST, "PUT": _PUT}
_OPEN = ("/health", "/ready", "/metrics")  # never ask for the key


class Simulator:
    """The ASGI callable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = Exchange(scope, receive, send)
        await exchange.read()
        if exchange.path.startswith("/_sim/"):
            await control(self._engine, exchange)
            return
        await self._serve(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        engine = self._engine
        engine.records.append(Record(exchange))
        engine.total += exchange.path in GENERATION_ROUTES
        engine.active += 1
        engine.scheduler.notify()
        where: Labels = (("endpoint", _endpoint(exchange.path)), ("method", exchange.method))
        engine.metrics.add("http_requests_total", where)
        engine.metrics.add("http_requests_active", where)
        try:
            await self._answer(exchange)
        except InvalidRequest as error:
            await info.refused(exchange, error)
        finally:
            engine.active -= 1
            engine.metrics.add("http_requests_active", where, -1)
            engine.scheduler.notify()
            if exchange.status is not None:
                engine.metrics.add("http_responses_total", (*where, ("status_code", str(exchange.status))))

    async def _answer(self, exchange: Exchange) -> None:
        if not self._allowed(exchange):
            await exchange.respond(401, b'{"error":"Unauthorized"}', vary=False)
            return
        handler = _handler(exchange)
        if exchange.path not in GENERATION_ROUTES and await self._broken(exchange):
            return
        await handler(self._engine, exchange)

    def _allowed(self, exchange: Exchange) -> bool:
        key = self._engine.settings.api_key
        if not key or exchange.path.startswith(_OPEN) or exchange.method == "OPTIONS":
            return True
        return hmac.compare_digest(exchange.header("authorization").encode(), f"Bearer {key}".encode())

    async def _broken(self, exchange: Exchange) -> bool:
        """Faults of the other routes: a status, a reset or a hang."""
        faults = self._engine.faults.draw(exchange.path, exchange.body, stream=False)
        if fault := faults.get(Kind.STATUS):
            await exchange.respond(fault.status, (fault.message or "").encode(), None)
        elif Kind.RESET in faults:
            exchange.close(reset=True)
            await exchange.gone()
        elif fault := faults.get(Kind.HANG):
            await exchange.gone_or_after(fault.seconds)
            return fault.seconds is None or exchange.left
        return bool(faults)


def _handler(exchange: Exchange) -> Handler:
    routes = _METHODS.get(exchange.method, _GET)
    if exchange.method == "GET" and exchange.path.startswith("/v1/models/"):
        return info.one_model
    found = routes.get(exchange.path)
    if found is None:
        known = any(exchange.path in table for table in _METHODS.values())
        return info.wrong_method if known else info.not_found
    return found


def _endpoint(path: str) -> str:
    return "/v1/models/{model:path}" if path.startswith("/v1/models/") else path
