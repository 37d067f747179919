"""Errors -> HTTP, in one table.

They leave as ``{"error": {"type", "message", "param"?, "request_id"}}``, and below ``/v1`` in OpenAI's words:
``{"error": {"message", "type", "param", "code", "request_id"}}``, where the code is our type or OpenAI's name for it.
"""

import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app import errors
from app.api.sse import sse_data, sse_event
from app.telemetry.record import current

log = structlog.get_logger("api")


class _Row(NamedTuple):
    error: type[errors.ServiceError]
    status: int
    type: str
    openai_code: str | None = None  # its name at OpenAI, where it has another one there


# The first row whose class fits counts: special before general.
TABLE = (
    _Row(errors.Unauthenticated, 401, "unauthenticated", "invalid_api_key"),
    _Row(errors.Forbidden, 403, "forbidden", "insufficient_permissions"),
    _Row(errors.TooManyRequests, 429, "too_many_requests", "rate_limit_exceeded"),
    _Row(errors.MalformedBody, 400, "malformed_body"),
    _Row(errors.PromptTooLong, 400, "prompt_too_long", "context_length_exceeded"),
    _Row(errors.UnknownModel, 404, "model_not_found"),
    _Row(errors.BodyTooLarge, 413, "body_too_large"),
    _Row(errors.UnsupportedMediaType, 415, "unsupported_media_type"),
    _Row(errors.UnsupportedField, 422, "unsupported_field", "unsupported_parameter"),
    _Row(errors.InvalidField, 422, "invalid_field", "invalid_value"),
    _Row(errors.Overloaded, 503, "overloaded"),
    _Row(errors.NotReady, 503, "not_ready"),
    _Row(errors.DeadlineExceeded, 504, "deadline_exceeded"),
    _Row(errors.NotRecorded, 503, "not_recorded"),
    _Row(errors.EngineFailure, 502, "engine_failure"),
)

# What pydantic calls it -> what the caller should hear. Anything else: pydantic's own sentence.
_SENTENCES = {
    "missing": "this field is missing. Send it.",
    "string_too_short": "must not be empty.",
    "string_pattern_mismatch": "must not be empty.",
    "string_unicode": "holds characters that are not valid Unicode (a lone surrogate).",
    "finite_number": "must be a finite number.",
    "model_attributes_type": "must be a JSON object.",
    "extra_forbidden": "this field is not accepted. Leave it out; /docs lists the accepted ones.",
}

# Names are repeated to callers and into their logs only if they look like names, and not like somebody's words.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,63}", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9_.:/-]{1,200}", re.ASCII)

_UNSUPPORTED = {"extra_forbidden", "unsupported"}

# Faults of the body that are found below FastAPI's validation: by its JSON parser (400) and by BodyGuard.
_BODY_ERRORS = {
    400: errors.MalformedBody("body: not valid JSON. Send one JSON object.", param="body"),
    413: errors.BodyTooLarge("body: larger than MAX_BODY_BYTES allows. Send a shorter prompt.", param="body"),
    415: errors.UnsupportedMediaType(
        "Content-Type: must be application/json. Send the body as JSON in UTF-8, not compressed.", param="Content-Type"
    ),
}


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of ``app`` leave in the one shape."""
    app.add_exception_handler(errors.ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _unexpected)


def error_body(error: errors.ServiceError, request_id: str, *, openai: bool = False) -> dict[str, Any]:
    """The wire form of ``error``."""
    shape = _openai_body if openai else _body
    return shape(_row(error), error.message, request_id, error.param)


def error_event(path: str, error: errors.ServiceError, request_id: str) -> bytes:
    """The one terminal event of a stream on ``path`` that fails."""
    openai = path.startswith("/v1/")
    body = error_body(error, request_id, openai=openai)
    return sse_data(body) if openai else sse_event("error", body)


def _row(error: errors.ServiceError) -> _Row:
    return next((row for row in TABLE if isinstance(error, row.error)), TABLE[-1])


def _noted(row: _Row) -> None:
    """Whatever leaves as an error is told by its type in the log and in metrics."""
    if (record := current()) is not None:
        record.error = row.type


def _body(row: _Row, message: str, request_id: str, param: str | None = None) -> dict[str, Any]:
    _noted(row)
    body = {"type": row.type, "message": message, "request_id": request_id}
    if param is not None:
        body["param"] = param
    return {"error": body}


def _openai_body(row: _Row, message: str, request_id: str, param: str | None = None) -> dict[str, Any]:
    _noted(row)
    kind = "server_error" if row.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    code = row.openai_code or row.type
    return {"error": {"message": message, "type": kind, "param": param, "code": code, "request_id": request_id}}


def error_response(
    request: Request, error: errors.ServiceError, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response that ``error`` leaves as, with further ``headers``."""
    return _answer(request, _row(error), error.message, error.param, {**_headers(error), **(headers or {})})


def _answer(
    request: Request, row: _Row, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    openai = request.scope["path"].startswith("/v1/")
    body = (_openai_body if openai else _body)(row, message, request.state.request_id, param)
    # OpenAI has no 422, and its clients expect the one status for every fault of a request.
    status = 400 if openai and row.status == HTTPStatus.UNPROCESSABLE_ENTITY else row.status
    return JSONResponse(body, status, headers)


def _headers(error: errors.ServiceError) -> dict[str, str]:
    """When to repeat the call; also in words for the OpenAI clients, which repeat every 5xx unless told not to."""
    if error.retry_after is None:
        final = isinstance(error, errors.CallerError | errors.DeadlineExceeded)
        return {"x-should-retry": "false"} if final else {}
    return {
        "Retry-After": str(math.ceil(error.retry_after)),
        "retry-after-ms": str(math.ceil(error.retry_after * 1000)),
    }


async def _service_error(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, errors.ServiceError):
        raise exc
    return error_response(request, exc)


async def _validation_error(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, RequestValidationError):
        raise exc
    return error_response(request, translate(exc.errors()))


def translate(faults: Sequence[Any]) -> errors.CallerError:
    """The first fault that pydantic found, as one sentence that names the field."""
    fault = faults[0]
    if fault["type"] == "json_invalid":
        where = f" at character {fault['loc'][-1]}" if len(fault["loc"]) > 1 else ""
        return errors.MalformedBody(f"body: not valid JSON{where}. Send one JSON object.", param="body")
    path = ".".join(map(_step, fault["loc"][1:])) or "body"
    sentence = _SENTENCES.get(fault["type"]) or f"{fault['msg'][0].lower()}{fault['msg'][1:]}."
    if path == "body":
        sentence = "must be a JSON object with the documented fields."
    if fault["type"] == "string_unicode":
        return errors.MalformedBody(f"{path}: {sentence}", param=path)
    kind = errors.UnsupportedField if fault["type"] in _UNSUPPORTED else errors.InvalidField
    return kind(f"{path}: {sentence}", param=path)


def _step(step: int | str) -> str:
    return str(step) if isinstance(step, int) or _NAME.fullmatch(step) else "(a field)"


async def _http_exception(request: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, HTTPException):
        raise exc
    return http_error_response(request, exc)


def http_error_response(request: Request, exc: HTTPException) -> JSONResponse:
    """The answer that says what Starlette, or ``BodyGuard``, refused."""
    if known := _BODY_ERRORS.get(exc.status_code):
        return error_response(request, known)
    phrase = HTTPStatus(exc.status_code).phrase
    path = request.scope["path"]
    shown = f"{request.method} {path}" if _PATH.fullmatch(path) else "This path or method"
    message = f"{shown}: {phrase.lower()}. See /docs for what there is."
    row = _Row(errors.ServiceError, exc.status_code, phrase.lower().replace(" ", "_"))
    return _answer(request, row, message, headers=exc.headers)


async def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    return unexpected(request, exc)


def unexpected(request: Request, exc: Exception) -> JSONResponse:
    """A fault of ours: the caller gets an id to report, the log gets the rest."""
    request_id = request.state.request_id
    log.error("unexpected error", request_id=request_id, path=request.scope["path"], exc_info=exc)
    message = "The service failed unexpectedly. Report the request_id to its operator."
    return _answer(request, _Row(errors.ServiceError, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error"), message)
