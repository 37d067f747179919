"""Traces: the spans of one request, by OpenTelemetry's conventions for HTTP and generative AI.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set, and then nothing of OpenTelemetry is imported: it costs 15 MB and a third
of a second. OpenTelemetry's own variables say the rest (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...). Spans are sent by
a thread in batches. Phases are made from the record at the request's end; only what an engine must hear of, a
generation, is begun as a span when it begins. No prompt and no answer is in them.
"""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app import __version__
from app.telemetry.record import Generated, RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_SERVER_ERROR = 500
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Api:
    """What is used of OpenTelemetry, imported once it is wanted."""

    tracer: "Tracer"
    extract: Any
    set_span: Any
    server: Any
    client: Any
    error: Any


class Traces:
    """Makes the spans of requests and sends them."""

    def __init__(self, provider: "TracerProvider", api: _Api, engine: str, model: str) -> None:
        self._provider = provider
        self._api = api
        self.engine = engine
        self.model = model

    @classmethod
    def sent_to(cls, endpoint: str, engine: str, model: str) -> "Traces":
        """Traces that are sent to a collector.

        Args:
            endpoint: Its base URL; spans go to ``/v1/traces`` below it.
            engine: The kind of engine, for ``gen_ai.provider.name``.
            model: Its model, for ``gen_ai.request.model``.
        """
        from opentelemetry import trace  # noqa: PLC0415  a service without traces must not pay for this
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "llm-service"), "service.version": __version__}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
        api = _Api(
            tracer=provider.get_tracer("llm-service", __version__),
            extract=TraceContextTextMapPropagator().extract,
            set_span=trace.set_span_in_context,
            server=trace.SpanKind.SERVER,
            client=trace.SpanKind.CLIENT,
            error=trace.StatusCode.ERROR,
        )
        return cls(provider, api, engine, model)

    def begin(self, record: RequestRecord, headers: Iterable[tuple[bytes, bytes]]) -> "RequestSpans":
        """The spans of a request; a ``traceparent`` among ``headers`` is its parent."""
        return RequestSpans(self._api, self, record, self._api.extract(_carrier(headers)))

    def close(self) -> None:
        """Send what is left, for seconds at most."""
        self._provider.force_flush(2_000)
        self._provider.shutdown()


def _carrier(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}


class RequestSpans:
    """One request's."""

    def __init__(self, api: _Api, traces: Traces, record: RequestRecord, parent: Any) -> None:
        self._api = api
        self._traces = traces
        self._offset = time.time_ns() - int(time.monotonic() * _NANO)  # from the monotonic clock to Unix time
        self._root: Span = api.tracer.start_span(
            f"POST {record.route}",
            context=parent,
            kind=api.server,
            start_time=self._at(record.arrived),
            attributes={"http.request.method": "POST", "http.route": record.route, "llm_service.request.id": record.id},
        )
        self._inside = api.set_span(self._root)

    def begin(self, record: RequestRecord, one: Generated) -> None:
        """A generation begins."""
        asked = one.request
        traces = self._traces
        one.span = self._api.tracer.start_span(
            f"chat {traces.model}",
            context=self._inside,
            kind=self._api.client,
            start_time=self._at(one.started),
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": traces.engine,
                "gen_ai.request.model": traces.model,
                "gen_ai.request.max_tokens": asked.max_tokens,
                "gen_ai.request.temperature": asked.sampling.temperature,
                "gen_ai.request.stream": one.streamed,
                "gen_ai.response.id": one.id,
                "llm_service.task": record.task,
            },
        )

    def traceparent(self, one: Generated) -> str:
        """The W3C header for the engine."""
        context = one.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def end(self, one: Generated) -> None:
        """A generation is over."""
        span: Span = one.span
        if one.first_text:
            span.add_event("first token", timestamp=self._at(one.first_text))
            span.set_attribute("gen_ai.response.time_to_first_chunk", one.first_text - one.started)
        span.set_attribute("gen_ai.response.finish_reasons", (one.finish,))
        span.set_attribute("gen_ai.usage.input_tokens", one.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", one.completion_tokens)
        span.set_attribute("gen_ai.usage.cache_read.input_tokens", one.cached_tokens)
        if one.error:
            span.set_attribute("error.type", one.error)
            span.set_status(self._api.error)
        span.end(self._at(one.ended))

    def close(self, record: RequestRecord, now: float) -> None:
        """The request is over: its phases, then the request itself."""
        if record.asked_at:
            self._phase("admission", record.asked_at, record.admitted_at)
        made = record.generations
        if record.admitted_at and made:
            self._phase("prompt", record.admitted_at, max(record.admitted_at, made[0].started))
            last = max(one.ended for one in made)
            if last and (record.settled_at or now) >= last:
                self._phase("settle", last, record.settled_at or now)
        self._root.set_attribute("http.response.status_code", record.status)
        if record.shared:
            self._root.set_attribute("llm_service.shared", value=True)
        if record.error:
            self._root.set_attribute("error.type", record.error)
        if record.status >= _SERVER_ERROR:
            self._root.set_status(self._api.error)
        self._root.end(self._at(now))

    def _phase(self, name: str, start: float, end: float) -> None:
        span = self._api.tracer.start_span(name, context=self._inside, start_time=self._at(start))
        span.end(self._at(end))

    def _at(self, moment: float) -> int:
        return int(moment * _NANO) + self._offset
