"""Figures for Prometheus: what waits, what runs, how full batches are, how long requests take by route."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from modernbert.infer.desk import Desk, Ran

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TOKENS = tuple(2**power for power in range(4, 18))
_SHARES = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """Of one server."""

    def __init__(self, desk: Desk) -> None:
        """Begin to watch a desk."""
        registry = self._registry = CollectorRegistry()
        waiting = [
            Gauge("modernbert_queue_requests", "Calls that wait for the device", registry=registry),
            Gauge("modernbert_queue_tokens", "Tokens that wait for the device", registry=registry),
        ]
        for place, gauge in enumerate(waiting):
            gauge.set_function(lambda place=place: desk.num_waiting[place])
        self._tokens = Counter("modernbert_tokens", "Tokens that ran", registry=registry)
        self._documents = Counter("modernbert_documents", "Documents that ran", registry=registry)
        self._busy = Counter("modernbert_busy_seconds", "Seconds that the device worked", registry=registry)
        self._rate = Gauge("modernbert_tokens_per_second", "Tokens a second of the last batch", registry=registry)
        self._sizes = Histogram("modernbert_batch_tokens", "Tokens of a batch", buckets=_TOKENS, registry=registry)
        self._fill = Histogram("modernbert_batch_fill", "Share of its budget", buckets=_SHARES, registry=registry)
        self._requests = Counter("modernbert_requests", "Requests answered", ("route", "status"), registry=registry)
        self._latency = Histogram(
            "modernbert_request_seconds",
            "From headers to the last byte",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._running = Gauge("modernbert_requests_running", "Requests under way", registry=registry)
        desk.watch = self._note

    def started(self) -> None:
        """A request has come."""
        self._running.inc()

    def ended(self, route: str, status: int, seconds: float) -> None:
        """It was answered; or not, with 499."""
        self._running.dec()
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def refused(self, route: str, status: int, count: int) -> None:
        """So many were answered before they began."""
        self._requests.labels(route, str(status)).inc(count)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)

    def _note(self, ran: Ran) -> None:
        self._tokens.inc(ran.num_tokens)
        self._documents.inc(len(ran.lengths))
        self._busy.inc(ran.seconds)
        self._rate.set(ran.num_tokens / max(ran.seconds, 1e-9))
        self._sizes.observe(ran.num_tokens)
        self._fill.observe(ran.num_tokens / ran.budget)
