"""Whether a response is one that the OpenAPI document promises."""

import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from pydantic_core import from_json

from fuzz.bodies import Request
from fuzz.serving import Response

_OK = 200
_TERMINAL = re.compile(rb"^event: (result|error)$", re.MULTILINE)


class Contract:
    """The documented responses, ready to be checked against."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._checks: dict[tuple[str, str, str], jsonschema_rs.Validator | None] = {}
        self._paths = [(re.compile(self._pattern(path)), path) for path in document["paths"]]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                for status, response in operation["responses"].items():
                    schema = response.get("content", {}).get("application/json", {}).get("schema")
                    whole = schema and {**schema, "components": document["components"]}
                    self._checks[(path, method, status)] = jsonschema_rs.validator_for(whole) if whole else None

    @staticmethod
    def _pattern(path: str) -> str:
        return re.sub(r"\{name\}", ".+", path) + r"\Z"

    def fault(self, request: Request, response: Response) -> str | None:
        """What is wrong with ``response``, if anything."""
        method, status = request.method.lower(), str(response.status)
        path = next((known for pattern, known in self._paths if pattern.match(request.path)), None)
        if path is None or (path, method, "200") not in self._checks:
            return None if response.status in {200, 307, 401, 404, 405} else f"{status} where nothing is documented"
        check = self._find(path, method, status)
        if check is None:
            return f"{status} is not documented"
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return _stream_fault(request, response)
        try:
            check[0].validate(from_json(response.body))
        except (jsonschema_rs.ValidationError, ValueError) as error:
            return f"{status}: {str(error)[:200]}"
        if "x-request-id" not in response.headers:
            return f"{status} without a request id"
        return None

    def _find(self, path: str, method: str, status: str) -> tuple[jsonschema_rs.Validator] | None:
        for known in (status, "default"):
            if (check := self._checks.get((path, method, known))) is not None:
                return (check,)
        return None


def _stream_fault(request: Request, response: Response) -> str | None:
    if response.status != _OK:
        return f"a stream with status {response.status}"
    if request.path.startswith("/v1/"):
        ended = response.body.endswith(b"data: [DONE]\n\n") or b'data: {"error":' in response.body
        return None if ended else "a stream without an end"
    ends = len(_TERMINAL.findall(response.body))
    return None if ends == 1 else f"a stream with {ends} ends"
