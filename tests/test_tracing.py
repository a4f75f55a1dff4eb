"""The traces: what a collector gets of a request, and that nothing of it is a person's."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from tests.promises.production import production_environment, serving

from mediation_api import main
from mediation_api.settings import Settings
from mediation_api.tracing import ATTRIBUTES, ListedAttributes

CANARY: Final = "c4n4ry"
TRACE: Final = 0xABCDEF


def _everything_of(span: ReadableSpan) -> str:
    state = [context.trace_state for context in (span.context, span.parent) if context is not None]
    return f"{span.to_json()} {state} {span.status.description}"


def test_a_copy_of_a_span_has_nothing_but_what_is_listed() -> None:
    plain, listed = InMemorySpanExporter(), InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(plain))
    provider.add_span_processor(SimpleSpanProcessor(ListedAttributes(listed)))
    caller = SpanContext(
        TRACE, 1, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED), trace_state=TraceState([("who", CANARY)])
    )
    attributes = {
        "http.route": "/v1/cases/{case_id}",
        "url.path": CANARY,
        "url.query": CANARY,
        "server.address": CANARY,
    }
    with provider.get_tracer("fastapi").start_as_current_span(
        "GET /v1/cases/{case_id}",
        context=set_span_in_context(NonRecordingSpan(caller)),
        attributes=attributes,
        links=[Link(caller, {"who": CANARY})],
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        span.record_exception(ValueError(CANARY))
        span.set_status(Status(StatusCode.ERROR, CANARY))

    (before,), (after,) = plain.get_finished_spans(), listed.get_finished_spans()
    assert CANARY in _everything_of(before), "the control"
    assert CANARY not in _everything_of(after)
    assert dict(after.attributes or {}) == {"http.route": "/v1/cases/{case_id}"}
    assert (after.name, after.status.status_code, after.start_time, after.end_time) == (
        before.name,
        StatusCode.ERROR,
        before.start_time,
        before.end_time,
    )
    assert after.context is not None
    assert after.parent is not None
    assert (after.context.trace_id, after.parent.span_id) == (TRACE, 1)


class Collector(ThreadingHTTPServer):
    """What OpenTelemetry's collector does: it takes what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.taken: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        del format, args


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.program
def test_serve_sends_spans_of_each_request_and_nothing_of_a_person(
    committed: Settings, keys: Path, tmp_path: Path, collector: Collector
) -> None:
    environment = production_environment(committed, keys, tmp_path) | {
        "MEDIATION_WORKERS": "2",
        "MEDIATION_TRACES_URL": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # so that all of it is what is left at the end
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    }
    headers = {
        "X-Request-Id": CANARY,
        "User-Agent": CANARY,
        "Authorization": f"Bearer {CANARY}",
        "traceparent": f"00-{TRACE:032x}-{1:016x}-01",
        "tracestate": f"who={CANARY}",
        "baggage": f"who={CANARY}",
    }
    with serving(environment, tmp_path) as running:
        with httpx.Client(base_url=running.api, headers=headers) as client:
            client.get(f"/v1/cases/{CANARY}?q={CANARY}")
            client.request("PROPFIND", f"/{CANARY}", headers={"Host": f"{CANARY}.example"})
            client.post("/v1/complaints", json={"narrative": CANARY})
            del client.headers["Authorization"]
            assert client.get("/health/live").status_code == 200
        running.stop()
        running.lines()  # the exporter's, too

    assert collector.taken
    assert CANARY.encode() not in b"".join(collector.taken).lower()
    spans = [
        span
        for body in collector.taken
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_library in of_process.scope_spans
        for span in of_library.spans
        if int.from_bytes(span.trace_id) == TRACE
    ]
    servers = {span.name for span in spans if span.kind == span.SPAN_KIND_SERVER}
    assert servers == {"GET /v1/cases/{case_id}", "HTTP", "POST /v1/complaints", "GET /health/live"}
    assert {"fastapi.dependencies", "fastapi.endpoint", "fastapi.serialization"} <= {span.name for span in spans}
    for span in spans:
        assert {attribute.key for attribute in span.attributes} <= ATTRIBUTES
        assert (span.trace_state, list(span.events), list(span.links), span.status.message) == ("", [], [], "")


def test_without_the_setting_fastapi_sends_nothing(settings: Settings) -> None:
    app = main.create_app(settings)
    assert not app._native_telemetry.enabled()
    sent = {name for name, on in app._telemetry.items() if name in {"tracing", "metrics", "logs"} and on}
    assert sent == set()
