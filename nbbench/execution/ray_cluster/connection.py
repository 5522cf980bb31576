"""How this process comes to a cluster of Ray: an error within seconds where there is none.

Ray itself waits for a cluster that does not answer, for minutes or for good, and no interrupt ends
that. So a process of its own asks the cluster first, and Ray connects in a thread.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial, wraps
from typing import Any

from ...errors import NbbenchError
from ...text import error_text, one_line, quoted, shortened
from ..worker_process import worker_environ

_ANSWER_S = 15.0
"""Seconds that a cluster has to answer; a quiet one takes less than one."""

_CONNECT_S = 120.0
"""Seconds that Ray has to connect, or to start a cluster on this machine."""

_LOOK_S = 0.1

_FORMAT = "give address as ray start prints it, like 10.0.0.1:6379"

_TOKEN = (
    "wants a token; set RAY_AUTH_MODE=token, with the cluster's token in ~/.ray/auth_token or "
    "RAY_AUTH_TOKEN (ray get-auth-token prints it on the head)"
)

_ASK = """
import os, socket, sys
given = sys.argv[1] or None
try:
    import ray
    from ray._private.services import canonicalize_bootstrap_address
    ask = ray._raylet.GcsClient
except Exception:
    sys.exit()  # another version of Ray: it is left to connect by itself
address = ""
try:
    try:
        address = canonicalize_bootstrap_address(given) or ""
    finally:
        print(address, flush=True)
    if address:
        host, _, port = address.rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        ask(address=address)
except BaseException as error:
    print(f"{type(error).__name__}: {error}", flush=True)
"""
"""Prints the address that Ray would take, and then why no cluster answers there, if none does."""


def connected(address: str | None, cancelled: Callable[[], bool]) -> Any:
    """Ray, connected to the cluster that is named or that this process knows, else to a new one.

    None once ``cancelled()``. Raises `NbbenchError` where Ray is missing or no cluster answers.
    """
    try:
        ray = importlib.import_module("ray")
    except ModuleNotFoundError:
        raise NbbenchError(
            'executor ray needs Ray; pip install "nbbench[ray]", or ray itself'
        ) from None
    except (ImportError, OSError) as error:
        raise NbbenchError(
            f"Ray cannot be imported ({error_text(error)}); install it anew, or give this process "
            f"more memory"
        ) from None
    name, given = _named(address)
    if given.startswith("ray://"):
        raise NbbenchError(
            f"{name}: {quoted(given)} is for Ray's client, which carries no progress; run "
            f"nbbench on a machine of the cluster, and {_FORMAT}"
        )
    if ray.is_initialized():
        if importlib.import_module("ray.util.client").ray.is_connected():
            raise NbbenchError(
                "this process is connected by Ray's client (ray://), which carries no progress; "
                "call ray.shutdown(), and run nbbench on a machine of the cluster"
            )
        _check_same(ray, address)
        return ray if _head_answers(ray, cancelled) else None
    if not _answers(address, cancelled):
        return None
    _connect(ray, address, cancelled)
    return None if cancelled() else ray


def _head_answers(ray: Any, cancelled: Callable[[], bool]) -> bool:
    """Wait for the head of the cluster that this process is connected to; False once cancelled."""
    answered = threading.Event()

    def ask() -> None:
        with suppress(Exception):
            of_ray(ray, "nodes")()
            answered.set()

    threading.Thread(target=ask, daemon=True, name="nbbench-ray-head").start()
    deadline = time.monotonic() + _ANSWER_S
    while not (cancelled() or answered.wait(_LOOK_S)):
        if time.monotonic() > deadline:
            raise NbbenchError(
                f"the cluster that this process is connected to has not answered for "
                f"{_ANSWER_S:g} s; call ray.shutdown(), and start it anew"
            )
    return not cancelled()


def of_ray(ray: Any, name: str) -> Any:
    """A function of Ray without what starts a cluster where none is connected any more."""
    function = getattr(ray, name)
    return getattr(function, "__wrapped__", function)


_head_is_lost = threading.Event()


def lose_head() -> None:
    """Record that the head of a cluster answers no more."""
    _head_is_lost.set()


def has_lost_head() -> bool:
    """Whether a head answers no more, for which Ray waits as this process ends."""
    return _head_is_lost.is_set()


@contextmanager
def shutdown_waits(ray: Any) -> Iterator[AbstractContextManager[Any]]:
    """Have what shuts Ray down in this process wait for the lock that is given.

    Ray ends the process where one thread shuts it down while another asks it for something.
    """
    turn, original = threading.RLock(), ray.shutdown

    @wraps(original)
    def shutdown(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return original(*args, **kwargs)

    ray.shutdown = shutdown
    try:
        yield turn
    finally:
        if ray.shutdown is shutdown:
            ray.shutdown = original


def _check_same(ray: Any, address: str | None) -> None:
    """Raise `NbbenchError` where this process is connected to another cluster than is named."""
    if address in (None, "", "auto", "local"):
        return
    current = ray.get_runtime_context().gcs_address
    this_node = ray.util.get_node_ip_address()
    if _resolved(str(address), this_node) & _resolved(current, this_node):
        return
    raise NbbenchError(
        f"address: this process is connected to the cluster {quoted(current)} already, not to "
        f"{quoted(address)}; call ray.shutdown() first, or leave address out"
    )


def _resolved(address: str, this_node: str) -> set[tuple[str, str]]:
    """The numbers that an address stands for, each with its port."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    found = {host}
    with suppress(OSError, UnicodeError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    if any(number.startswith("127.") or number == "::1" for number in found):
        found.add(this_node)  # Ray knows this machine by its number in the network
    return {(number, port) for number in found}


def _answers(address: str | None, cancelled: Callable[[], bool]) -> bool:
    """Whether to go on: a cluster answers, or Ray will start one; False once cancelled."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ASK, address or ""],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=worker_environ(sys.executable),
        text=True,
        errors="replace",
        start_new_session=True,  # an interrupt is for this process alone
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    deadline, is_silent = time.monotonic() + _ANSWER_S, True
    try:
        while not cancelled() and time.monotonic() < deadline and is_silent:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
                is_silent = False
    finally:
        process.kill()
        process.wait()
        reader.join(_LOOK_S)
    if cancelled():
        return False
    asked = lines[0].strip() if lines else address or ""
    problem = one_line("".join(lines[1:]).strip())
    if is_silent:
        problem = f"it has not answered within {_ANSWER_S:g} s"
    if problem:
        _refuse(address, asked, problem)
    return True


def _named(address: str | None) -> tuple[str, str]:
    """What names the cluster, and how; both are empty where it is Ray that finds one."""
    if address not in (None, "", "auto"):
        return "address", str(address)
    environ = os.environ.get("RAY_ADDRESS", "")
    return ("RAY_ADDRESS", environ) if environ not in ("", "auto") else ("", "")


def _refuse(address: str | None, asked: str, problem: str) -> None:
    """Raise `NbbenchError` that says why a cluster does not answer, except where Ray mends it."""
    name, given = _named(address)
    kind, _, text = problem.partition(": ")
    if not name and not asked:
        raise NbbenchError(
            f"no cluster of Ray runs on this machine, and address is auto ({text or problem}); "
            f"start one with ray start --head, or leave address out"
        )
    cluster = f"the cluster {quoted(given)}"
    if name and asked not in ("", given):  # Ray has another name for this machine
        cluster += f" ({asked})"
    if name == "RAY_ADDRESS":
        cluster += ", which RAY_ADDRESS names,"
    if not name:
        cluster = f"the cluster {quoted(asked)}, the last that was started on this machine,"
    if "InvalidAuthToken" in problem or kind == "AuthenticationError":
        if not name:  # Ray takes the token of this machine for a cluster of its own
            return
        raise NbbenchError(f"{cluster} {_TOKEN}")
    if kind in ("ConnectionRefusedError", "TimeoutError", "gaierror", "OSError", "RpcError"):
        problem = text or problem
    advice = {
        "address": _FORMAT,
        "RAY_ADDRESS": "set RAY_ADDRESS as ray start prints it, or unset it",
        "": "end it with ray stop, start another or give address",
    }[name]
    raise NbbenchError(f"{cluster} cannot be reached ({shortened(problem, 200)}); {advice}")


def _connect(ray: Any, address: str | None, cancelled: Callable[[], bool]) -> None:
    """Have Ray connect, or start a cluster on this machine; once cancelled it is left to itself."""
    handler = _handler_of_sigterm()
    connect = partial(ray.init, address=address, log_to_driver=False, logging_level="ERROR")
    ends: queue.Queue[BaseException | None] = queue.Queue()
    given = (connect, handler, ends)
    threading.Thread(target=_run, args=given, daemon=True, name="nbbench-ray").start()
    deadline = time.monotonic() + _CONNECT_S
    try:
        while not cancelled():
            with suppress(queue.Empty):
                error = ends.get(timeout=_LOOK_S)
                if error is not None:
                    raise NbbenchError(_not_connected(address, error_text(error)))
                return
            if time.monotonic() > deadline:
                raise NbbenchError(_not_connected(address, f"not within {_CONNECT_S:g} s"))
    finally:
        _restore_sigterm(handler)  # Ray may have set its own by now, or sets it later


def _not_connected(address: str | None, problem: str) -> str:
    if address in (None, "", "auto", "local"):
        start = "Ray could neither connect to a cluster nor start one on this machine"
        return f"{start} ({problem}); look into its logs, in /tmp/ray/session_latest/logs"
    return f"the cluster {quoted(address)} cannot be reached ({problem}); {_FORMAT}"


def _run(
    connect: Callable[[], object], handler: int | None, ends: queue.Queue[BaseException | None]
) -> None:
    try:
        try:
            connect()
        finally:
            _restore_sigterm(handler)
    except BaseException as error:
        ends.put(error)
    else:
        ends.put(None)
        threading.Event().wait()  # a cluster of this machine ends with the thread that began it


def _handler_of_sigterm() -> int | None:
    """What the system calls at SIGTERM; Ray puts its own there, which prints its stack."""
    with suppress(AttributeError):
        get = ctypes.pythonapi.PyOS_getsig
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_int]
        return int(get(signal.SIGTERM) or 0)
    return None


def _restore_sigterm(handler: int | None) -> None:
    if handler is not None:
        put = ctypes.pythonapi.PyOS_setsig
        put.restype, put.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
        put(signal.SIGTERM, handler)
