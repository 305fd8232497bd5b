"""gnet.metrics: what Prometheus and OpenTelemetry read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
import gnet.metrics
from gnet._sight.measures import MEASURES
from tests import metrics_scrape
from tests.helpers.authority import client_context, server_context
from tests.helpers.peers import python, run
from tests.helpers.threads import destroy_loops, in_thread
from tests.helpers.turns import until
from tests.net.conftest import Net

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families


@pytest.fixture(autouse=True)
def no_loop_is_left() -> Iterator[None]:
    yield
    destroy_loops()


def scrape(server: gnet.Server, path: str = "/metrics") -> dict[str, Any]:
    """The families that prometheus_client's parser reads, by their names."""
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    return {each.name: each for each in text_string_to_metric_families(body.decode())}


def value(families: dict[str, Any], sample: str, **labels: str) -> float:
    """The sum of a sample's values that have these labels."""
    found = [
        each.value
        for family in families.values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    ]
    assert found, (sample, labels)
    return float(sum(found))


@pytest.fixture
def metrics() -> Iterator[gnet.Server]:
    pytest.importorskip("httptools")
    server = gnet.metrics.serve(0)
    yield server
    server.shutdown(0)


def test_at_least_fourteen_metrics_have_names_by_the_conventions() -> None:
    assert len(MEASURES) >= 14
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)
    assert {measure.unit for measure in MEASURES if not measure.unit.startswith("{")} == {
        "s", "By"
    }  # fmt: skip
    histograms = [measure.name for measure in MEASURES if measure.kind == "histogram"]
    assert "dns.lookup.duration" in histograms and len(histograms) == 4
    # A peer's address has no label that it could be in.
    labels = {label for measure in MEASURES for label in measure.labels}
    assert not [label for label in labels if "peer" in label or label.startswith("client")]


def test_a_scrape_has_what_the_servers_have_counted(tcp: Net, metrics: gnet.Server) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    peer = tcp.peer(server)
    peer.sendall(b"abc")
    assert peer.recv(3) == b"abc"
    label = {"server_address": "127.0.0.1", "server_port": str(server.port)}
    families = scrape(metrics)
    assert value(families, "gnet_server_active_connections", **label) == 1
    assert value(families, "gnet_server_accepted_connections_total", **label) == 1
    name = "gnet_server_network_io_bytes_total"
    assert value(families, name, network_io_direction="receive", **label) == 3
    assert value(families, "gnet_server_connection_duration_seconds_count", **label) == 0
    peer.close()
    until(lambda: not server.connections)
    families = scrape(metrics)
    assert value(families, "gnet_server_active_connections", **label) == 0
    assert value(families, "gnet_server_connection_duration_seconds_count", **label) == 1
    assert (
        value(families, "gnet_server_connection_duration_seconds_bucket", le="+Inf", **label) == 1
    )
    assert families["gnet_server_connection_duration_seconds"].type == "histogram"
    assert families["gnet_server_active_connections"].type == "gauge"


def test_every_metric_is_in_a_scrape_and_none_with_a_peers_address(
    tcp: Net, metrics: gnet.Server
) -> None:
    server = tcp.server(max_connections=1)
    peer = tcp.peer(server)
    until(lambda: server.connections)
    families = scrape(metrics)
    for measure in MEASURES:
        assert gnet.metrics.prometheus_name(measure) in families
    port = str(peer.getsockname()[1])
    for family in families.values():
        for sample in family.samples:
            assert port not in sample.labels.values()


def test_scrapes_under_load_are_whole_and_no_count_falls(tcp: Net, metrics: gnet.Server) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    done = 0
    over = False

    def come_and_go() -> None:
        nonlocal done
        while not over:
            with tcp.peer(server) as peer:
                peer.sendall(b"x" * 5000)
                received = 0
                while received < 5000:
                    received += len(peer.recv(5000))
            done += 1

    clients = [gevent.spawn(come_and_go) for _ in range(8)]
    before: dict[tuple[str, Any], float] = {}
    for number in range(20):
        # Others have had their turns since the last one.
        until(lambda least=number: done > least)
        families = scrape(metrics)
        check_histograms(families)
        counts = dict(counters(families))
        assert not [key for key, count in before.items() if counts.get(key, 0) < count]
        before |= counts
    over = True
    gevent.joinall(clients, raise_error=True)


def counters(families: dict[str, Any]) -> Iterator[tuple[tuple[str, Any], float]]:
    """What never falls, by its name and labels; those of gnet alone."""
    for family in families.values():
        for each in family.samples:
            name = each.name
            if name.startswith(("gnet_", "dns_")) and name.endswith(("_total", "_count")):
                yield (name, tuple(sorted(each.labels.items()))), each.value


def check_histograms(families: dict[str, Any]) -> None:
    """Each bucket has what the smaller ones have, and the last one has all."""
    for family in families.values():
        if family.type != "histogram":
            continue
        last: dict[Any, float] = {}
        for each in family.samples:
            labels = tuple(sorted((k, v) for k, v in each.labels.items() if k != "le"))
            if each.name.endswith("_bucket"):
                assert each.value >= last.get(labels, 0)
                last[labels] = each.value
            elif each.name.endswith("_count"):
                assert each.value == last[labels]


def test_a_scrape_is_in_no_count(metrics: gnet.Server) -> None:
    before = gnet.stats()
    for _ in range(3):
        scrape(metrics)
    now = gnet.stats()
    assert (now.accepted, now.bytes_in, now.servers) == (before.accepted, before.bytes_in, ())
    # And it keeps no program running.
    assert gnet.run(5) is True


def test_some_metrics_may_be_asked_for_and_the_programs_own_are_there(
    metrics: gnet.Server,
) -> None:
    asked = "gnet_client_connects_total"
    assert list(scrape(metrics, f"/metrics?name[]={asked}")) == ["gnet_client_connects"]
    assert "python_info" in scrape(metrics)


def test_connects_lookups_and_handshakes_are_measured(tcp: Net, metrics: gnet.Server) -> None:
    before = scrape(metrics)
    server = tcp.server(lambda sock: sock.pipe(sock), tls=server_context())
    hook = lambda hostname, **options: "127.0.0.1"  # noqa: E731
    sock = tcp.keep(gnet.connect(server.port, "localhost", tls=client_context(), lookup=hook))
    sock.sendall(b"x")
    assert sock.recv() == b"x"
    after = scrape(metrics)

    def more(sample: str, **labels: str) -> float:
        try:
            former = value(before, sample, **labels)
        except AssertionError:
            former = 0.0
        return value(after, sample, **labels) - former

    connect = "gnet_client_connect_duration_seconds_count"
    assert more(connect, result="ok", network_type="ipv4") == 1
    assert more("dns_lookup_duration_seconds_count") == 1
    assert value(after, "gnet_server_tls_handshake_duration_seconds_count") == 1


def test_a_collector_is_registered_without_being_read() -> None:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(gnet.metrics.collector())
    assert b"gnet_client_connects_total" in generate_latest(registry)
    assert b"gnet_client_connects_total" in in_thread(generate_latest, registry)


def test_the_application_answers_in_another_server(tcp: Net) -> None:
    answer = gnet.metrics.make_wsgi_app()
    started: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": ""}
    body = b"".join(answer(environ, lambda *args: started.append(args)))
    assert started[0][0].startswith("200")
    assert b"gnet_loop_lag_seconds" in body


# -- OpenTelemetry --------------------------------------------------------------------------------


@pytest.fixture
def reader() -> Iterator[Any]:
    pytest.importorskip("opentelemetry.sdk.metrics")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    found = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[found], shutdown_on_exit=False)
    instruments = gnet.metrics.instrument(provider)
    yield found
    instruments.close()
    provider.shutdown()


def points(reader: Any) -> dict[str, list[Any]]:
    data = reader.get_metrics_data()
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_opentelemetry_sees_the_instruments(tcp: Net, reader: Any) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    sock = tcp.connect(server)
    sock.sendall(b"abc")
    assert sock.recv() == b"abc"
    found = points(reader)
    (active,) = found["gnet.server.active_connections"]
    assert active.value == 1
    assert dict(active.attributes) == {
        "server.address": "127.0.0.1",
        "server.port": str(server.port),
        "network.transport": "tcp",
        "network.type": "ipv4",
    }
    (connects,) = found["gnet.client.connect.duration"]
    assert (connects.count, dict(connects.attributes)["result"]) == (1, "ok")
    sock.destroy()
    until(lambda: not server.connections)
    gevent.sleep(0.03)
    (duration,) = points(reader)["gnet.server.connection.duration"]
    assert duration.count == 1
    assert tuple(duration.explicit_bounds)[:3] == (0.01, 0.02, 0.05)


# -- without the libraries, and with many connections ---------------------------------------------


def test_without_the_library_the_error_names_the_extra() -> None:
    program = """
import sys
sys.modules["prometheus_client"] = sys.modules["prometheus_client.core"] = None
sys.modules["opentelemetry"] = sys.modules["opentelemetry.metrics"] = None
import gnet.metrics
for function in gnet.metrics.collector, gnet.metrics.serve, gnet.metrics.instrument:
    try:
        function()
    except ImportError as exc:
        print(exc)
"""
    done = run(*python(program))
    lines = done.output.decode().splitlines()
    assert len(lines) == 3, done.complaints
    assert all(line.endswith('pip install "gevent-net[metrics]"') for line in lines)


@pytest.mark.limit(30)
def test_a_scrape_takes_little_of_the_loops_time() -> None:
    outcome = metrics_scrape.measure(connections=100, rounds=3)
    assert outcome.connections == 100
    # Ten thousand may take 10 ms, on a machine that does nothing else.
    assert outcome.seconds < 0.1


def test_the_documentation_has_every_metric_with_its_unit_and_type() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.rst").read_text(encoding="utf-8")
    for measure in MEASURES:
        name = gnet.metrics.prometheus_name(measure) + "_total" * (measure.kind == "counter")
        row = f"``{measure.name}``, ``{name}``\n     - {measure.kind}\n     - ``{measure.unit}``\n"
        assert row in text
