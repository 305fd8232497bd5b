"""gnet and its peers under the same load, in one command. Linux only.

::

    python -m benchmarks                                   # everything: an hour or more
    python -m benchmarks --scenario 'echo-1k-*' --servers 'gnet-*,uvloop-protocol,node'
    python -m benchmarks --rounds 1 --seconds 0.3          # a first look
    python -m benchmarks --json run.json --chart run.svg --chart run.png --targets
    python -m benchmarks --replay run.json --chart run.svg # without running anything
    python -m benchmarks --list                            # scenarios, servers, who is missing
    python -m benchmarks --history                         # keeps the figures, a line a run
    python -m benchmarks --history-chart history.svg       # how they have gone; runs nothing

Each turn starts one server on one core and the load generator on another, measures for
``--seconds`` after ``--warmup``, and ends both. The peers take their turns round after round
(A B C, A B C, …), and each round yields one ratio to the base: what drifts on the machine hits
everyone, and cancels. Absolute figures of two runs are not comparable; ratios are. The report
gives the median and the extremes of the ratios, the latencies, how busy the server's core was
(below 100 % something else was the limit, usually the load generator), and the CPU time that a
message cost the server: user and system time of its process and all children, as the system has
counted it. Of that there is a ratio as well, less being better. It warns where other programs
took part of the machine: they cost throughput and delay, but little of the server's CPU time,
which ``--by cpu`` compares instead.

The load generator, :file:`load.c`, is a closed loop on epoll: it sends the next message when an
earlier one has come back, and compares what comes back, byte by byte, with what was sent (of
messages above 16 KiB: all before the measurement, and a sixteenth during it). It and
the C servers are compiled when first needed, by ``$CC`` or ``cc``, into the system's folder for
temporary files; the scenarios over TLS need OpenSSL's headers, and its command for a certificate.
Node is fetched from npm into the same folder, so that its release is the one that is compared
(:mod:`benchmarks.node`); where that cannot be, the one on the PATH takes part. Peers that are not
installed are skipped, with a line that says so: ``pip install uvloop trio twisted pyee`` brings
them all in, ``matplotlib`` the charts.

Ten thousand connections need 10,100 descriptors in each process (``ulimit -Hn``).

To add a server, put a file into :file:`servers` and a line into :mod:`benchmarks.peers`. It takes
its behaviour as its first argument, prints ``listening PORT``, and runs until it is ended:

``echo``
    sends back what it receives.
``timeout``
    as echo, and each connection has an idle timeout of a minute.
``line``
    sends back each line in upper case.
``sink``
    receives, and discards.
``fanout``
    sends one byte to each new connection, and to all of them what it receives from any.
``proxy PORT``
    connects to that port for each connection, and copies both ways.
``tls CERT KEY``
    as echo, over TLS, with the certificate and the key of these files.

A probe (:file:`probes`) measures itself: it takes the behaviour and the seconds that it has, and
prints JSON.
"""
