"""Which tests do not run on Windows, or not on Wine, and why.

What is not listed here runs there. A pattern is one of :mod:`fnmatch` for a test's id, below
``tests/``.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase

import pytest

__all__ = ["MODULES", "needs_resets", "reason_to_skip"]

# Modules of tests, and folders of them, that need what only POSIX systems have: pseudo-terminals,
# fork(), Unix sockets, limits of resources. They cannot be imported elsewhere.
MODULES = (
    "cli",
    "clients",
    "net/processes",
    "net/test_descriptors.py",
    "net/test_early_options.py",
    "net/test_little_memory.py",
    "net/test_metrics.py",
    "net/test_monkey_compat.py",
    "net/test_one_object_model.py",
    "net/test_pipe_ends.py",
    "net/test_server.py",
    "net/test_socket_messages.py",
    "net/test_socket_options.py",
    "net/test_splice.py",
    "net/test_trust.py",
    "net/test_unix_paths.py",
    "test_docs.py",
    "test_docs_deploy.py",
    "test_live_list.py",
    "test_resets.py",
    "test_retrofit.py",
    "test_slow_clients.py",
    "test_soak.py",
)

# Why not.
_ANY_SIZE = "the kernel takes a write of any size"
_DESCRIPTORS = "there are handles, and none of files"
_UNIX_PATHS = "its paths are those of Unix sockets"
_LEAVING = "only Linux tells of a peer's end ahead of everything else"
_MAPPED = "a plain IPv6 socket has no IPv4 peers there"
_MODES = "a pipe has an access list: tests/windows look at it"
_RESETS = "Wine reads a reset as an end"
_SIGNALS = "no signal can be sent to another process"
_TCP_KEEP = "the options can be set and not be read"
_WORDS = "the interpreter has no words for the system's numbers"
_FLAGS = "there is no MSG_DONTWAIT"
_LINE_ENDS = "a file of text writes that system's line ends"
_SLOW = "its times are too short for Wine"
_FORK = "nothing is forked there"
_LINKS = "a link needs a privilege"
_AT_ONCE = "what is sent has to be there at once, as between Unix sockets"
_NOT_YET = "it has not been made to run on Wine yet"

WINDOWS = {
    "net/test_bad_input.py::*descriptor*": _DESCRIPTORS,
    "net/test_bad_input.py::test_socket_refuses_a_datagram_socket_and*": _DESCRIPTORS,
    "net/test_connect.py::*_keep_alive_*": _TCP_KEEP,
    "net/test_connect.py::*_path_*": _UNIX_PATHS,
    "net/test_connect.py::test_options_of_tcp_are_ignored_for_a_path": _UNIX_PATHS,
    "net/test_connect.py::test_every_connection_of_one_socket_may_go*": _UNIX_PATHS,
    "net/test_faults.py::*-unix]": _UNIX_PATHS,
    "net/test_handler_failed.py::test_a_path_with_control_characters*": _UNIX_PATHS,
    "net/test_limits.py::test_a_corked_queue_does_not_keep*": "libuv has no such watcher",
    "net/test_limits.py::test_a_queue_that_stalls_a_second*": _ANY_SIZE,
    "net/test_limits.py::test_connect_timeout_of_a_full_path": _UNIX_PATHS,
    "net/test_makefile.py::test_a_write_drops_nothing*-rw--1]": _LINE_ENDS,
    "net/test_makefile.py::test_waitall_*": _FLAGS,
    "net/test_makefile.py::test_what_is_received_without_waiting*": _FLAGS,
    "net/test_monkey.py::test_a_port_may_be_a_services_name": _WORDS,
    "net/test_monkey.py::test_the_guard_leaves_everything_else_alone*": _UNIX_PATHS,
    "net/test_non_blocking.py::*": _FLAGS,
    "net/test_overload.py::test_an_address_is_the_same_whichever*": _MAPPED,
    "net/test_pitfalls.py::test_of_a_shared_listener_*": _DESCRIPTORS,
    "net/test_proxy_protocol.py::*haproxy*": "there is no HAProxy",
    "net/test_python_socket.py::test_inheritable_is*": _DESCRIPTORS,
    "net/test_python_socket.py::test_it_says_what_kind_of_socket_it_is": _UNIX_PATHS,
    "net/test_questions_settled.py::test_13_*": _UNIX_PATHS,
    "net/test_relay.py::test_a_slow_reader_holds*": _ANY_SIZE,
    "net/test_rule_01*::test_a_data_listener_may_wait_for_its_own_drain*": _ANY_SIZE,
    "net/test_rule_02*::test_a_path_that_is_too_long*": _UNIX_PATHS,
    "net/test_rule_03*::test_a_descriptor_is_not_used_again*": _DESCRIPTORS,
    "net/test_rule_08*::test_reset_and_destroy_of_a_path*": "socketpair() is of TCP",
    "net/test_rule_11*::test_a_program_that_is_interrupted*": _SIGNALS,
    "net/test_rule_12*::test_a_handle_may_be_any_kind_of_socket[[]_socket*": _DESCRIPTORS,
    "net/test_rule_12*::test_an_exchange_is_the_same*": _UNIX_PATHS,
    "net/test_tls_certificates.py::test_kubernetes_changes*": _LINKS,
    "net/test_tls_client.py::test_a_path_needs_a_name": _UNIX_PATHS,
    "net/test_tls_server.py::test_a_server_on_a_path*": _UNIX_PATHS,
    "net/test_tls_stream.py::test_a_forked_child*": _FORK,
    "net/test_tls_stream.py::test_one_that_was_to_be_given*peer_end]": _LEAVING,
    "net/test_tls_tickets.py::test_an_alert_that_was_received*": _AT_ONCE,
    "net/test_tls_wire.py::*": _AT_ONCE,
    "net/test_wsgi.py::test_a_shutdown_answers_those_that_wait*": _DESCRIPTORS,
    "net/test_wsgi.py::test_serve_finishes_*": _SIGNALS,
    "net/test_wsgi_requests.py::test_an_address_is_one_of_ipv4*": _MAPPED,
    "net/test_wsgi_responses.py::test_an_application_is_interrupted*": _LEAVING,
    "node/test_net_better_error_messages_listen.py*": _WORDS,
    "node/test_net_better_error_messages_path.py::test_a_path_where*": _UNIX_PATHS,
    "node/test_net_connect_options_fd.py*": _UNIX_PATHS,
    "node/test_net_eaddrinuse.py::test_the_message*": _WORDS,
    "node/test_net_server_keepalive.py::test_accepted*": _TCP_KEEP,
    "node/test_net_server_listen_handle.py::test_a_file_is_no_handle": _DESCRIPTORS,
    "node/test_net_server_listen_handle.py::test_the_descriptor_of_a_unix*": _UNIX_PATHS,
    "node/test_net_server_listen_path.py::test_readable_and_writable*": _MODES,
    "unit/test_address.py::test_the_system_agrees*": "Windows reads 01.2.3.4 as an address",
    "unit/test_errors.py::test_what_listening_failed_of*": _WORDS,
}

WINE = {
    "net/test_clocks.py::*": _SLOW,
    "net/test_events.py::test_a_connection_tells_what_has_ended_it": _RESETS,
    "net/test_failed_connection.py::*": _NOT_YET,
    "net/test_fairness.py::*": _SLOW,
    "net/test_faults.py::test_random_mixes*": _RESETS,
    "net/test_listeners_that_raise.py::*": _NOT_YET,
    "net/test_overload.py::test_a_full_server_can_be_closed": _RESETS,
    "net/test_overload.py::test_closing_the_server_meanwhile*": _RESETS,
    "net/test_rule_03*::test_an_error_is_raised_in_every_blocked*": _RESETS,
    "net/test_rule_08*::test_reset_and_destroy_resets": _RESETS,
    "net/test_rate.py::*": _SLOW,
    "net/test_strangers_answers.py::test_a_name_of_4000_addresses*": _SLOW,
    "net/test_strangers_answers.py::test_no_answer_holds_the_loop*": _SLOW,
    "net/test_tls_faults.py::test_a_reset*": _RESETS,
    "net/test_tls_server.py::test_a_client_that_resets*": _RESETS,
    "net/test_tls_tickets.py::test_a_reset_is_one*": _RESETS,
    "net/test_threads.py::test_what_was_queued_is_dropped*": _RESETS,
    "net/test_wsgi.py::*reset*": _RESETS,
    "net/test_wsgi_limits.py::*": _SLOW,
    "net/test_wsgi_responses.py::*_file_*": _NOT_YET,
    "net/test_wsgi_responses.py::test_a_client_of_http_1_0_that_gets_half*": _RESETS,
    "net/test_order_of_process_events.py::*": _NOT_YET,
    "net/test_questions_settled.py::test_07_*": _NOT_YET,
    "net/test_questions_settled.py::test_10_*": _NOT_YET,
    "net/test_rule_11*": _NOT_YET,
    "node/test_net_connect_after_destroy*": _NOT_YET,
    "node/test_net_connect_paused_connection*": _NOT_YET,
    "node/test_net_persistent_ref_unref*": _NOT_YET,
    "node/test_net_server_unref*": _NOT_YET,
    "node/test_net_socket_timeout_unref*": _NOT_YET,
    "node/test_net_connect_reset*": _RESETS,
    "node/test_net_server_reset.py*": _RESETS,
}


def _is_wine() -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.windll.ntdll, "wine_get_version")


IS_WINE = _is_wine()

# A process that starts and a message over TCP take so many times as long as on Linux, at least.
SLOWNESS = 3 if sys.platform == "win32" else 1


def needs_resets() -> None:
    """Skip the test where a connection that was reset looks like one that has ended."""
    if IS_WINE:
        pytest.skip(_RESETS)


def reason_to_skip(test: str) -> str | None:
    """Why a test does not run on this system, if it does not.

    :param test: its id.
    """
    if sys.platform != "win32":
        return None
    lists = [WINDOWS, WINE] if IS_WINE else [WINDOWS]
    name = test.removeprefix("tests/")
    for each in lists:
        for pattern, reason in each.items():
            if fnmatchcase(name, pattern):
                return reason
    return None
