"""A receiver of OpenTelemetry traces: OTLP over HTTP, as a collector speaks it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Span:
    """One span as it was received.

    Attributes:
        name: Its name.
        trace: Trace id, hex.
        id: Span id, hex.
        parent: The parent's span id, hex; empty for a root.
        start: Unix time, nanoseconds.
        end: The same.
        attributes: By name.
        events: Names of its events.
        failed: Whether its status is an error.
    """

    def __init__(self, wire: Any) -> None:
        self.name: str = wire.name
        self.trace: str = wire.trace_id.hex()
        self.id: str = wire.span_id.hex()
        self.parent: str = wire.parent_span_id.hex()
        self.start: int = wire.start_time_unix_nano
        self.end: int = wire.end_time_unix_nano
        self.attributes: dict[str, Any] = {one.key: _value(one.value) for one in wire.attributes}
        self.events: list[str] = [event.name for event in wire.events]
        self.failed: bool = wire.status.code == 2


def _value(value: Any) -> Any:
    told: dict[str, Any] = MessageToDict(value)
    (kind,) = told
    return int(told[kind]) if kind == "intValue" else told[kind]


class Collector:
    """Listens on a free loopback port while the block runs.

    Attributes:
        spans: What has come so far.
        resources: The resource attributes of what has come.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def of(self, request_id: str) -> list[Span]:
        """All spans of the trace that holds the request."""
        traces = {span.trace for span in self.spans if span.attributes.get("llm_service.request.id") == request_id}
        return [span for span in self.spans if span.trace in traces]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip  # noqa: PLC0415

                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                request: Any = ExportTraceServiceRequest.FromString(body)
                for resource in request.resource_spans:
                    collector.resources.append({a.key: _value(a.value) for a in resource.resource.attributes})
                    for scope in resource.scope_spans:
                        collector.spans.extend(Span(span) for span in scope.spans)
                answer: bytes = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name
                pass

        return Handler
