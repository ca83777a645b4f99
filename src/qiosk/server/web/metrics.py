"""Metrics of the server and its jobs, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from qiosk.service.jobs.statistics import BOUNDS_S, JobStatistics, Times

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_METHODS: Final = frozenset(("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"))


class RequestMetrics:
    """Counts requests by method, route and status, and measures their time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_progress = Gauge("qiosk_http_requests_in_progress", "Requests being answered.", registry=registry)
        self._requests = Counter(
            "qiosk_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "qiosk_http_request_seconds",
            "Time from a request's headers to the end of its response.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is the template of its path, so that there are few label values."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, status).inc()
        self._seconds.labels(known, route).observe(seconds)


class JobMetrics(Collector):
    """Metrics of jobs, read from the store when they are scraped."""

    def __init__(self, statistics: JobStatistics) -> None:
        self._statistics = statistics

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not know the names before the first scrape."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All metrics, now."""
        totals = self._statistics.totals()
        jobs = GaugeMetricFamily("qiosk_jobs", "Jobs stored, by state.", labels=["state"])
        for state, count in self._statistics.counts().items():
            jobs.add_metric([state.value], count)
        yield jobs
        yield GaugeMetricFamily(
            "qiosk_oldest_waiting_job_seconds", "Waiting time of the oldest waiting job.",
            value=self._statistics.oldest_waiting_s(),
        )  # fmt: skip
        ended = CounterMetricFamily("qiosk_jobs_ended", "Jobs that ended.", labels=["target", "state"])
        for (target, state), count in totals.ended.items():
            ended.add_metric([target, state.value], count)
        yield ended
        yield _counter("qiosk_job_attempts_lost", "Runs whose process ended without an outcome.", totals.lost)
        yield _counter("qiosk_solver_sweeps", "Sweeps of solvers in jobs that ended.", totals.sweeps)
        yield _counter("qiosk_solver_seconds", "Run time of solvers in jobs that ended.", totals.solver_s)
        yield _histogram("qiosk_job_waiting_seconds", "Time from creation to the start of the last run.", totals.waited)
        yield _histogram("qiosk_job_running_seconds", "Time from the start of the last run to its end.", totals.ran)


def _counter(name: str, description: str, by_target: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, description, labels=["target"])
    for target, value in by_target.items():
        family.add_metric([target], value)
    return family


def _histogram(name: str, description: str, by_target: Mapping[str, Times]) -> Metric:
    family = HistogramMetricFamily(name, description, labels=["target"])
    for target, times in by_target.items():
        counts = accumulate(times.buckets)
        buckets = list(zip((*map(str, BOUNDS_S), "+Inf"), counts, strict=True))
        family.add_metric([target], buckets=buckets, sum_value=times.total_s)
    return family
