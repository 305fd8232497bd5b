"""Metrics of a process' servers and sockets, for Prometheus and OpenTelemetry.

The numbers are those of :func:`gnet.stats`, which are always counted; here they get their names.
``pip install "gevent-net[metrics]"`` brings the libraries.

``gnet.metrics.serve(9100)`` answers Prometheus at ``http://127.0.0.1:9100/metrics``. Where the
program has a place for its metrics already, ``REGISTRY.register(gnet.metrics.collector())`` puts
them there, for ``prometheus_client``, and :func:`instrument` does so for OpenTelemetry.

A scrape takes no lock of gnet's, and reads integers; no label ever holds the address of a peer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from ._server.server import Server
from ._sight.measures import MEASURES, Measure, Snapshot, labels_of
from ._values import arguments
from ._values.durations import watchers

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Collector", "Instruments", "collector", "instrument", "make_wsgi_app", "serve"]

# What Prometheus' exporter of OpenTelemetry makes of a unit; what is counted has none.
_SUFFIXES = {"s": "_seconds", "By": "_bytes"}
# The callbacks of one collection of OpenTelemetry's share what is read for so many seconds.
_SHARED_SECONDS = 0.02


def _library(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as exc:
        raise ImportError(
            f'gnet.metrics needs {name.partition(".")[0]}: pip install "gevent-net[metrics]"',
            name=name,
        ) from exc


# -- Prometheus -----------------------------------------------------------------------------------


class Collector:
    """A collector of ``prometheus_client``; :func:`collector` makes one."""

    def __init__(self) -> None:
        self._library: Any = _library("prometheus_client.core")

    def collect(self) -> Iterator[Any]:
        """The metric families, as ``prometheus_client`` asks for them. From any thread."""
        snapshot = Snapshot()
        for measure in MEASURES:
            family = self._family(measure)
            for labels, value in measure.points(snapshot):
                names = [labels[name] for name in measure.labels]
                if measure.kind == "histogram":
                    family.add_metric(names, buckets=list(_buckets(value)), sum_value=value.total)
                else:
                    family.add_metric(names, value)
            yield family

    def describe(self) -> Iterator[Any]:
        """The families without their values, so that they are not read to be registered."""
        return map(self._family, MEASURES)

    def _family(self, measure: Measure) -> Any:
        kinds = {
            "counter": self._library.CounterMetricFamily,
            "gauge": self._library.GaugeMetricFamily,
            "histogram": self._library.HistogramMetricFamily,
        }
        labels = [name.replace(".", "_") for name in measure.labels]
        return kinds[measure.kind](prometheus_name(measure), measure.text, labels=labels)


def prometheus_name(measure: Measure) -> str:
    """Prometheus' name, without the ``_total`` that its library puts behind a counter's."""
    return measure.name.replace(".", "_") + _SUFFIXES.get(measure.unit, "")


def _buckets(value: Any) -> Iterator[tuple[str, int]]:
    below = 0
    for bound, count in zip((*map(str, map(float, value.bounds)), "+Inf"), value.counts):
        below += count
        yield bound, below


def collector() -> Collector:
    """A collector for ``prometheus_client``: ``REGISTRY.register(gnet.metrics.collector())``.

    :raises ImportError: ``prometheus_client`` is not installed.
    """
    return Collector()


class _Registry:
    """What a scrape is answered from: gnet's metrics, and the program's own.

    It has what ``prometheus_client`` asks of a registry, and no lock.
    """

    def __init__(self) -> None:
        self._collector = Collector()
        self._programs: Any = _library("prometheus_client").REGISTRY

    def collect(self) -> Iterator[Any]:
        # The program may have registered a collector there.
        mine = {prometheus_name(measure) for measure in MEASURES}
        yield from self._collector.collect()
        yield from (each for each in self._programs.collect() if each.name not in mine)

    def restricted_registry(self, names: Iterable[str]) -> _Restricted:
        return _Restricted(self, frozenset(names))


class _Restricted:
    """Some of the metrics, by the names of their samples."""

    def __init__(self, registry: _Registry, names: frozenset[str]) -> None:
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Any]:
        for family in self._registry.collect():
            some = family._restricted_metric(self._names)
            if some is not None:
                yield some


def make_wsgi_app() -> Callable[..., Any]:
    """A WSGI application that answers a scrape: gnet's metrics, and those of the default registry.

    :raises ImportError: ``prometheus_client`` is not installed.
    """
    application: Callable[..., Any] = _library("prometheus_client").make_wsgi_app(_Registry())
    return application


def serve(port: int = 9100, host: str = "127.0.0.1") -> Server:
    """Serve the metrics over HTTP, at any path.

    The server and its connections are in no count, keep no program running (``unref()``), and are
    not listed.

    :param port: the port; ``0`` for any free one.
    :param host: the address to bind. Who can reach it can read the metrics.
    :returns: the server, which listens.
    :raises ImportError: a library is not installed.
    :raises OSError: the address cannot be bound.
    """
    arguments.port_number("port", port)
    application = make_wsgi_app()
    _library("httptools")
    from .wsgi import WSGIServer

    server = WSGIServer(application, log=None)
    server._uncounted()
    server.listen(port, host)
    return server.unref()


# -- OpenTelemetry --------------------------------------------------------------------------------


class Instruments:
    """The instruments of OpenTelemetry; :func:`instrument` makes them.

    :param meter: what makes instruments.
    """

    def __init__(self, meter: Any) -> None:
        self._options: Any = _library("opentelemetry.metrics")
        self._read_at = -1.0
        self._snapshot: Snapshot | None = None
        self._histograms: dict[str, Any] = {}
        for measure in MEASURES:
            self._make(meter, measure)
        watchers.append(self._record)

    def close(self) -> None:
        """Record no more durations."""
        if self._record in watchers:
            watchers.remove(self._record)

    def _make(self, meter: Any, measure: Measure) -> None:
        given = {"unit": measure.unit, "description": measure.text}
        if measure.kind == "histogram":
            self._histograms[measure.name] = _histogram(meter, measure, given)
        elif measure.kind == "counter":
            meter.create_observable_counter(measure.name, [self._callback(measure)], **given)
        elif measure.unit.startswith("{") or measure.name.endswith("size"):
            meter.create_observable_up_down_counter(
                measure.name, [self._callback(measure)], **given
            )
        else:
            meter.create_observable_gauge(measure.name, [self._callback(measure)], **given)

    def _callback(self, measure: Measure) -> Callable[[Any], list[Any]]:
        def observe(options: Any) -> list[Any]:
            return [
                self._options.Observation(value, {name: labels[name] for name in measure.labels})
                for labels, value in measure.points(self._read())
            ]

        return observe

    def _read(self) -> Snapshot:
        now = monotonic()
        snapshot = self._snapshot
        if snapshot is None or now - self._read_at > _SHARED_SECONDS:
            snapshot = self._snapshot = Snapshot()
            self._read_at = monotonic()
        return snapshot

    def _record(self, kind: str, seconds: float, known: dict[str, Any]) -> None:
        """Something has ended."""
        server = known.get("server")
        if kind == "lookup":
            self._histograms["dns.lookup.duration"].record(seconds)
        elif kind == "connect":
            labels = {"result": known["result"], "network.type": known["family"]}
            self._histograms["gnet.client.connect.duration"].record(seconds, labels)
        elif server is not None and server._is_counted():
            name = {"handshake": "tls_handshake", "connection": "connection"}[kind]
            labels = labels_of(server._place)
            self._histograms[f"gnet.server.{name}.duration"].record(seconds, labels)


def _histogram(meter: Any, measure: Measure, given: dict[str, Any]) -> Any:
    bounds = list(map(float, measure.bounds))
    try:
        return meter.create_histogram(
            measure.name, explicit_bucket_boundaries_advisory=bounds, **given
        )
    except TypeError:
        # An older API, which has no such advice.
        return meter.create_histogram(measure.name, **given)


def instrument(meter_provider: Any = None) -> Instruments:
    """Make OpenTelemetry's instruments: observable counters and gauges, and histograms.

    :param meter_provider: the ``MeterProvider``; default: the global one.
    :returns: the instruments, whose ``close()`` ends the recording of durations.
    :raises ImportError: ``opentelemetry-api`` is not installed.
    """
    api: Any = _library("opentelemetry.metrics")
    provider = api.get_meter_provider() if meter_provider is None else meter_provider
    return Instruments(provider.get_meter("gnet"))
