"""Traces for an OpenTelemetry collector. Imported only if MEDIATION_TRACES_URL is set; needs the extra `traces`.

FastAPI makes the spans: one for a request, and below it one each for its dependencies, for the route function and for
the serialization of the result. Some of what it puts on them, and of what it takes over from the caller's headers, may
tell of a person. So a span leaves as a copy that has nothing but what is listed here
(docs/decisions/0089-spans-leave-with-listed-attributes.md).
"""

import asyncio
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status

ATTRIBUTES: Final = frozenset(
    {
        "code.function.name",
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "url.scheme",
    }
)
"""The attributes that leave. Not among them: the path, the query, the host and the method as the caller sent them."""


class ListedAttributes(SpanExporter):
    """Exports copies of spans with the attributes in `ATTRIBUTES`, and without events, links and trace state."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export the copies."""
        return self._exporter.export([_copy(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what is left."""
        return self._exporter.force_flush(timeout_millis)


class Tracing:
    """What exports the spans of one process."""

    def __init__(self, url: str) -> None:
        """Export to a collector at this address, with OTLP over HTTP.

        OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS and the other variables of OpenTelemetry's SDK apply.
        """
        named = {SERVICE_NAME: "mediation-api", SERVICE_VERSION: installed_version("mediation-api")}
        # uvicorn ends a process by a signal, so that nothing is called at its exit.
        self.provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(ListedAttributes(OTLPSpanExporter(endpoint=url))))

    async def close(self) -> None:
        """Export what is left."""
        await asyncio.to_thread(self.provider.shutdown)


def _copy(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    return ReadableSpan(
        name=span.name,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        attributes={name: value for name, value in attributes.items() if name in ATTRIBUTES},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_state(context: SpanContext | None) -> SpanContext | None:
    """Return a span's context without the trace state, which can be any text of the caller."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
