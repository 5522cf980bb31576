"""A backend without a framework, whose model does what its configuration says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from nbbench.worker.backend import TooLong, Unsupported
from nbbench.worker.backends.cpu import CpuDevice
from nbbench.worker.case import Phase
from nbbench.worker.messages import PhaseChanged, encode
from nbbench.worker.prediction import CallCount, Prediction
from nbbench.worker.process_memory import ProcessMemory
from nbbench.worker.resident import Polling, touch


def misbehave(how):
    """Hang, be stopped, or exit, as a framework may that waits for a driver or a licence."""
    if how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if how == "exit":
        sys.exit("no licence")
    if how and how.startswith("die_once:"):  # as if it was killed, and the next one is not
        with contextlib.suppress(FileExistsError), open(how.partition(":")[2], "x"):
            os.kill(os.getpid(), signal.SIGKILL)
        return
    if how:
        time.sleep(1000)


def hang(_):
    """Wait where Python can be interrupted."""
    while True:
        time.sleep(0.02)


def leak(_):
    """Hold more and more memory, to a limit that the process has."""
    import resource  # of POSIX alone

    limits, held = resource.getrlimit(resource.RLIMIT_AS), []
    with open("/proc/self/statm") as sizes:
        size = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), limits[1]))
    try:
        while True:
            held.append(bytearray(16 << 20))
    finally:
        held.clear()
        resource.setrlimit(resource.RLIMIT_AS, limits)


def nonsense(_):
    """Write to whatever descriptor events are sent by."""
    for descriptor in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"nonsense\n")
    time.sleep(1000)


def raising(kind):
    """What raises an exception of a kind."""

    def act(text):
        raise kind(text)

    return act


FAULTS = {
    "exception": raising(RuntimeError),
    "MemoryError": raising(MemoryError),
    "NotImplementedError": raising(NotImplementedError),
    "unsupported": raising(Unsupported),
    "KeyboardInterrupt": raising(KeyboardInterrupt),
    "sys.exit": raising(SystemExit),
    "exit code 3": lambda _: os._exit(3),
    "leak": leak,
    "segfault": lambda _: os.kill(os.getpid(), signal.SIGSEGV),
    "abort": lambda _: os.abort(),
    "SIGKILL": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSTOP": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": hang,
    "nonsense": nonsense,
    "cancel": hang,
}
"""What may happen in a process at any moment; the last is for the parent to cancel."""


def commit(config, phase):
    """Do what the configuration asks for in a phase, and leave a file that says so before."""
    if "fault" in config and config.get("at") == phase:
        if "reached" in config:
            open(config["reached"], "a").close()
        FAULTS[config["fault"]]("a fault of the probe's")


def phase_now():
    """The phase of the visit that this thread is in."""
    frame = sys._getframe()
    while frame is not None:
        visit = frame.f_locals.get("self")
        if isinstance(getattr(visit, "phase", None), Phase):
            return visit.phase.value
        frame = frame.f_back
    return ""


class ProbeBackend:
    def load(self):
        if "PROBE_MEMORY_KILLS" in os.environ:  # as if the system had killed nothing before
            from nbbench.worker import server

            server.memory_kills = lambda: int(os.environ["PROBE_MEMORY_KILLS"])
        if "PROBE_SETS" in os.environ:
            name, _, value = os.environ["PROBE_SETS"].partition("=")
            os.environ[name] = value
        misbehave(os.environ.get("PROBE_LOAD"))
        self.loaded_by = os.getpid()

    def has_lost_gpus(self):
        """As of a framework that begins with GPUs as it is imported, if it is asked to."""
        return "PROBE_BEGINS_WITH_GPUS" in os.environ and os.getpid() != self.loaded_by

    def environment(self):
        return {"framework": "Probe", "framework_version": "1"}

    def import_model(self, case):
        misbehave(case.config.get("import"))
        commit(case.config, "importing")
        if case.config.get("at", "").startswith("predicting"):
            self.predict = predict

    def open(self, case):
        config = case.config
        if case.device != "cpu" and self.has_lost_gpus():
            raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")
        device = CpuDevice()
        if config.get("poll"):
            device.memory = ProcessMemory(Polling())
        device.gpu_uuid = config.get("gpu_uuid")
        return device

    def build(self, case, device):
        return ProbeModel(case.config, case)

    def ceiling_works(self, case, device, dtype):
        return ProbeWorks(case.config)

    def is_out_of_memory(self, error):
        return isinstance(error, MemoryError)

    def sizes(self, case):
        return case.config.get("sizes", {})

    def predict(self, case):
        if "predicts" not in case.config:
            raise Unsupported("framework probe cannot be predicted; give frameworks pytorch")
        most = case.config.get("takes")
        if most is not None and (case.sequence_length or 0) > most:
            raise TooLong(
                f"length {case.sequence_length} is more than {most}", sequence_length=most
            )
        peak = round(case.config["predicts"] * grown_bytes(case.config, case))
        return Prediction(CallCount(peak, 1, 0, 0, 0), 0, 0, peak, 0)


def grown_bytes(config, case):
    """What a call of `ProbeModel.call_grow` holds."""
    size = case.batch_size * (case.sequence_length or 1) ** config.get("power", 0)
    return int(size * config["grow_kib"] * 1024) + case.batch_size * (case.new_tokens or 0) * 1024


def predict(case):
    commit(case.config, case.config.get("at"))
    return Prediction(CallCount(0, 0, 0, 0, 0), 0, 0, 0, 0)


class FaultyBackend(ProbeBackend):
    """One whose load does what a file beside it asks for."""

    def load(self):
        with open(os.path.join(os.path.dirname(__file__), "faulty.json")) as file:
            commit(json.load(file), "starting")


class MissingBackend(ProbeBackend):
    def load(self):
        import a_framework_that_nobody_has  # noqa: F401


class ProbeWorks:
    """Work that takes no time, or does what the configuration says instead."""

    def __init__(self, config):
        how = config.get("ceilings")
        if "ceilings_log" in config:
            with open(config["ceilings_log"], "a") as log:
                log.write("measured\n")
        if how == "raise":
            raise RuntimeError("no such product")
        if how == "die":
            os._exit(3)
        misbehave(how)

    def product(self, size):
        return lambda: None

    def moves(self, buffer, part):
        return [(lambda: None, part)]

    def tiny(self):
        return lambda: None, 1


class ProbeModel:
    architecture = "Probe"
    parameter_count = 0
    parameter_bytes = 0
    dtype = "float32"
    execution = "eager"
    library = "probe_backends"

    def __init__(self, config, case):
        self.config, self.case = config, case
        behaviour = config.get("build", "")
        commit(config, "building")
        if behaviour == "raise":
            raise ValueError("this config cannot be built")
        if behaviour == "raise_50_mib":
            raise ValueError("x" * (50 << 20))
        if behaviour == "memory_error":
            raise MemoryError("no 5 GiB to be had for the weights")
        if "build_log" in config:
            with open(config["build_log"], "a") as log:
                log.write("built\n")
        if behaviour == "hang":
            time.sleep(1000)
        self.visit = 0
        if "visit_log" in config:
            with open(config["visit_log"], "a") as log:
                self.visit = log.tell() // 80 + 1
                log.write(f"{case.model} {os.getpid()}".ljust(79) + "\n")
        if "count" in config:
            self.count = lambda call: CallCount(**config["count"])
        self.held = bytearray(b"\1" * (config.get("hold_mib", 0) << 20))

    def prepare(self):
        return getattr(self, "call_" + self.config.get("call", "nothing")), 16

    def training_phases(self):
        return []

    def gradient_bytes(self):
        return None

    def call_nothing(self):
        pass

    def call_fault(self):
        at = self.config["at"]
        is_later = at == "a later visit" and self.visit == 2 and phase_now() == "measuring"
        if is_later or at == phase_now():
            commit(self.config, at)

    def call_dies_in_third_visit(self):
        if self.visit == 3:
            os._exit(3)

    def call_hangs_in_third_visit(self):
        time.sleep(1000 if self.visit == 3 else 0)

    def call_log(self):
        """Leave a line for every call, and take long for the first."""
        with open(self.config["call_log"], "a") as log:
            time.sleep(0 if log.tell() else 0.3)
            log.write("called\n")
        touch(self.config["touch_mib"])

    def call_not_implemented(self):
        raise NotImplementedError("this model has no such layer")

    def call_missing_package(self):
        raise ImportError("ProbeModel requires the torchaudio library")

    def call_missing_kernels(self):
        raise ValueError("Fast kernels are not available. Run 'pip install kernels'")

    def call_grow(self):
        """Hold so much for each sample, length and new token; be killed by the limit, or not."""
        case, config = self.case, self.config
        most = config.get("takes")
        if most is not None and (case.sequence_length or 0) > most:
            raise TooLong(
                f"length {case.sequence_length} is more than {most}", sequence_length=most
            )
        if case.batch_size == config.get("fails_at"):
            raise RuntimeError(f"batch {case.batch_size} is no good")
        held = bytearray(grown_bytes(config, case))
        held[::4096] = b"\1" * len(held[::4096])
        time.sleep(config.get("wait_s", 0) * case.batch_size)

    def call_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def call_wait(self):
        """Wait to the microsecond: sleep alone oversleeps by a tenth of a millisecond and more."""
        end = time.perf_counter() + self.config["wait_s"]
        time.sleep(max(self.config["wait_s"] - 0.002, 0))
        while time.perf_counter() < end:
            pass

    def call_compute(self):
        sum(range(200_000))

    def call_touch(self):
        touch(self.config["touch_mib"])
        time.sleep(self.config.get("wait_s", 0))

    def call_hang(self):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        time.sleep(1000)

    def call_daemon(self):
        """Leave a process in a session of its own, without variables, whose parent has ended."""
        code = (
            "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
            "'import time; time.sleep(1000)', sys.argv[1]], env={}, start_new_session=True)"
        )
        subprocess.run([sys.executable, "-c", code, self.config["mark"]], check=True)
        time.sleep(self.config.get("wait_s", 0))

    def call_stubborn(self):
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        time.sleep(1000)

    def call_leave_group(self):
        """Go to the server's group, where a signal to this one's own does not reach it."""
        os.setpgid(0, os.getpgid(os.getppid()))
        self.call_daemon()

    def call_segfault(self):
        print("about to die", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

    def call_signal_40(self):
        os.kill(os.getpid(), 40)

    def call_nonsense(self):
        """Write to whatever descriptor the worker sends its events by, at once after a phase."""
        for descriptor in range(3, 20):
            with contextlib.suppress(OSError):
                os.write(descriptor, encode(PhaseChanged(Phase.MEASURING)) + b"nonsense\n")
        time.sleep(1000)

    def call_keyboard_interrupt(self):
        raise KeyboardInterrupt

    def call_system_exit(self):
        raise SystemExit(0)

    def call_exit(self):
        os._exit(3)

    def call_memory_error(self):
        raise MemoryError("no 5 GiB to be had")

    def call_unsupported(self):
        raise Unsupported("the probe does not do this")

    def call_print(self):
        print('{"v":1,"type":"Finished"}')
        os.write(1, b"raw bytes on descriptor 1\n")
