"""`nbbench` in a shell."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import nbbench
from nbbench.cli import main
from nbbench.cli.run import exit_code
from nbbench.execution.too_large import too_large_outcome
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.worker.case import Case, Outcome, Status
from tests.conftest import WORKER, wait_until


@pytest.fixture
def model(probe, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "probe"}')
    return str(folder)


FLAGS = ["--frameworks", "probe", "-s", "8", "--max-time", "0.1"]


def test_run_prints_the_table_and_writes_the_files(model, tmp_path, capsys):
    saved, tables = tmp_path / "x.nbbench.json", tmp_path / "tables"
    assert main(["run", model, *FLAGS, "--save", str(saved), "--csv", str(tables)]) == 0
    assert model in capsys.readouterr().out
    assert nbbench.Report.load(saved).speed.status.tolist() == ["ok"]
    assert (tables / "speed.csv").exists()


def test_a_failed_case_is_told_by_the_exit_code(tmp_path, probe, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "probe", "build": "raise"}')
    assert main(["run", str(tmp_path), *FLAGS]) == 1
    assert "this config cannot be built" in capsys.readouterr().out


OK, OOM = Outcome(Status.OK), Outcome(Status.OOM, "memory ran out")
TOO_LARGE = too_large_outcome(Case("probe", "m", {}, "given", 1, 8))


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([OK, OK], 0),
        ([OK, OOM, TOO_LARGE], 1),
        ([OK, Outcome(Status.CANCELLED, "cancelled while measuring")], 130),
        ([OOM, TOO_LARGE, Outcome.skipped()], 130),
    ],
)
def test_the_exit_code_is_130_for_what_was_cancelled_alone(outcomes, code):
    cases = [Case("probe", "m", {}, "given", size, 8) for size in range(1, 1 + len(outcomes))]
    report = nbbench.Report([*map(Result, cases, outcomes)], MachineFacts(), {})
    assert exit_code(report) == code
    assert exit_code(report, was_cancelled=True) == 130  # whatever had one visit


def test_json_and_markdown_on_stdout_are_all_that_is_there(model, tmp_path, capsys):
    saved = tmp_path / "x.nbbench.json"
    assert main(["run", model, *FLAGS, "--json", "--save", str(saved)]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(saved.read_text())
    assert main(["run", model, *FLAGS, "--markdown"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert lines[0].startswith("| model | batch | length | time |")
    assert lines[1].startswith("| --- |")
    assert lines[2].startswith("| model |"), "its folder, without a path"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "gpt2", "--json", "--markdown"], "--json and --markdown are forms of one table"),
        (["run", "-hb0"], "-h shows help, and is given by itself"),
        (["rnu"], "there is no command 'rnu'; did you mean 'run'?"),
        (["run"], "no model was named"),
        (["run", "gpt2", "--presicion", "1"], "did you mean '--precision'?"),
        (["run", "gpt2", "-b", "0"], "batch_sizes: '0' is not a whole number above 0"),
        (["run", "gpt2", "--csv", "/dev/null/x"], "'/dev/null/x' cannot be written"),
        (["run", "gpt2", "--save", "x", "--log", "./x"], "--save and --log would both write './x'"),
        (["run", "gpt2", "--save", "x", "--csv", "x"], "--save and --csv would both write 'x'"),
        (
            ["run", "gpt2", "--log", "t/speed.csv", "--csv", "t"],
            "--log and --csv would both write 't/speed.csv'",
        ),
        (["run", "https://huggingface.co/gpt2?x"], "is the address of a page; give the model's"),
        (["compare", "a", "b", "--fail-unsure"], "--fail-unsure needs --fail-slower or"),
        (["run", "gpt2", "--save", "/nowhere/x"], "'/nowhere/x' cannot be written"),
        (["run", "gpt2", "--save", "x" * 300], "xxx' cannot be written: File name too long; give"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert len(shown.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 2, "'x': File name too long"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 2, "'x': No space left on device"),
        (OSError(errno.EAGAIN, "Try again"), 2, "Try again"),
    ],
)
def test_an_error_of_another_file_is_not_blamed_on_the_output(
    error, code, sentence, monkeypatch, capsys
):
    def fail(argv):
        raise error

    monkeypatch.setattr("nbbench.cli.models.command", fail)
    assert main(["models"]) == code
    assert capsys.readouterr().err == f"nbbench: error: {sentence}\n"


def test_help_version_and_catalogue(capsys):
    assert main(["--help"]) == 0
    assert main(["run", "--help"]) == 0
    assert main(["--version"]) == 0
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert "--sequence-lengths" in shown
    assert nbbench.__version__ in shown
    assert "bert-base-uncased" in shown


def test_models_lists_what_matches_with_its_sizes(capsys):
    assert main(["models", "BERT", "tiny"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["model", "type", "parameters", "layers", "longest"]
    assert row.split() == ["bert-tiny", "bert", "4.39", "M", "2", "512"]
    assert main(["models", "meta-llama/"]) == 0  # by the Hub's id
    assert capsys.readouterr().out.count("llama-3.2") == 2
    assert main(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(nbbench.catalogue())
    assert main(["models", "--help"]) == 0
    assert "counted\nwith Transformers itself, without weights" in capsys.readouterr().out
    assert main(["models", "brt-tiny"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nbbench: error: nothing in the catalogue has 'brt-tiny' in its name")
    assert "did you mean 'bert-tiny'?" in error
    assert main(["models", "x" * 5000, *"abc" * 1000]) == 2
    assert len(capsys.readouterr().err) < 500
    assert main(["models", "--json"]) == 2
    assert "nbbench models has no option '--json'" in capsys.readouterr().err


def test_a_warning_is_one_line_without_code(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whose path may be long enough to be shortened
    config = {"model_type": "bert", "auto_map": {"AutoModel": "modeling_mine.Mine"}}
    file = "./config.json"
    Path(file).write_text(json.dumps(config))
    assert main(["run", file, "--precision", "2"]) == 2
    main(["run", file, "--baseline", "nothing"])
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warning.startswith(f"nbbench: warning: '{file}' has code of its own (auto_map)")


def heed_signals():
    """As in a terminal; below nohup, or in the background of a script, some would be ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def interruptible_run(probe, *words, **options):
    """``nbbench run`` as a terminal starts it: Ctrl-C reaches it."""
    return subprocess.Popen(
        [sys.executable, "-m", "nbbench", "run", *words, *FLAGS],
        env={**os.environ, "PYTHONPATH": str(probe)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
        **options,
    )


@pytest.mark.parametrize("signals", [["SIGINT"], ["SIGINT", "SIGINT"], ["SIGTERM"], ["SIGHUP"]])
def test_ending_it_keeps_what_is_finished_and_leaves_no_process(probe, tmp_path, signals, patience):
    for name, text in (("done", "{}"), ("hangs", '{"call": "hang"}'), ("never", "{}")):
        (tmp_path / name).mkdir()
        content = text.replace("{", '{"model_type": "probe", ', 1).replace(", }", "}")
        (tmp_path / name / "config.json").write_text(content)
    saved = tmp_path / "x.json"
    process = interruptible_run(probe, "done", "hangs", "never", "--save", str(saved), cwd=tmp_path)
    run = psutil.Process(process.pid)  # its server, the case, and what the case has started:
    wait_until(lambda: len(run.children(recursive=True)) >= WORKER + 2)
    started = run.children(recursive=True)
    for name in signals:
        process.send_signal(getattr(signal, name))
        time.sleep(0.1)
    output, _ = process.communicate(timeout=20 * patience)
    assert process.returncode == 130
    assert "cancelled" in output
    report = nbbench.Report.load(saved)
    assert report.speed.status.tolist() == ["ok", "cancelled", "skipped"]
    _, alive = psutil.wait_procs(started, timeout=5 * patience)
    assert not alive


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_that_is_ignored_as_it_begins_stays_so(name):
    """As ``nohup`` begins it, or a script in the background."""
    number = getattr(signal, name)
    code = (
        "import signal; from nbbench.cli.interrupt import signals_end_runs\n"
        f"with signals_end_runs(): signal.raise_signal({number:d})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_amid_the_imports_ends_it_in_good_order(tmp_path, name):
    """Signals are handled before pydantic is looked for; this one signals as it is imported."""
    (tmp_path / "pydantic.py").write_text(
        f"import os, signal, time; os.kill(os.getpid(), signal.{name}); time.sleep(60)"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "nbbench", "run", "bert-base-uncased"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=heed_signals,
    )
    assert (ended.returncode, ended.stderr) == (130, "")


@pytest.mark.parametrize(("ends_with_report", "interrupted"), [(True, False), (False, True)])
def test_between_benchmarks_a_signal_ends_what_ends_with_no_report(ends_with_report, interrupted):
    code = (
        "import signal, sys; from nbbench.cli.interrupt import signals_end_runs\n"
        "from nbbench import BenchmarkArguments\n"
        "from nbbench.execution.job import Job; from nbbench.plan.plan import Plan\n"
        "plan = Plan(BenchmarkArguments(models=['m'], frameworks=['pytorch']), [], {}, {})\n"
        "Job(plan, lambda is_cancelled: iter(())).wait()\n"
        "try:\n"
        f"    with signals_end_runs({ends_with_report}): signal.raise_signal(signal.SIGTERM)\n"
        "except KeyboardInterrupt: sys.exit(130)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=heed_signals
    )
    assert (ended.returncode, ended.stderr) == (130 * interrupted, "")


def test_an_interrupt_after_the_last_case_changes_nothing(probe, model, tmp_path):
    process = interruptible_run(probe, model, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = ""
    while "· ok" not in told:
        told = process.stderr.readline()
    while process.poll() is None:  # until it has ended: no moment is left out
        process.send_signal(signal.SIGINT)
        time.sleep(0.005)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors.count("Traceback")) == (0, 0), errors
    assert "samples/s" in output


def test_a_run_that_measured_nothing_leaves_an_earlier_file_alone(probe, model, tmp_path):
    saved = tmp_path / "x.json"
    earlier = nbbench.run(model, save=saved, frameworks=["probe"], max_time=0.1, progress=False)
    job = nbbench.submit(
        "hangs", configs=[{"model_type": "probe", "call": "hang"}], save=saved, frameworks=["probe"]
    )
    job.cancel()
    job.wait()
    assert job.report().speed.status.tolist() != ["ok"]
    assert nbbench.Report.load(saved) == earlier


@pytest.mark.parametrize("output", ["/dev/full", "closed", "ascii"])
def test_a_report_is_saved_even_where_it_cannot_be_printed(probe, model, tmp_path, output):
    saved = tmp_path / "x.json"
    words = [sys.executable, "-m", "nbbench", "run", model, *FLAGS, "--save", str(saved)]
    reader, writer = os.pipe()
    os.close(reader)
    out = open("/dev/full", "wb") if output == "/dev/full" else os.fdopen(writer, "wb")  # noqa: SIM115
    with out:
        done = subprocess.run(
            words,
            env={**os.environ, "PYTHONPATH": str(probe), "PYTHONIOENCODING": "ascii"},
            stdout=subprocess.PIPE if output == "ascii" else out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert nbbench.Report.load(saved).speed.status.tolist() == ["ok"]
    assert "Traceback" not in done.stderr
    assert done.returncode == (0 if output == "ascii" else 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes streams there otherwise")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_closed_streams_cost_no_result(model, probe, tmp_path, closed):
    saved = tmp_path / "r.json"
    words = [sys.executable, "-m", "nbbench", "run", model, *FLAGS, "--save", str(saved)]
    done = subprocess.run(
        f"{shlex.join(words)} {closed}", shell=True, env={**os.environ, "PYTHONPATH": str(probe)}
    )
    assert done.returncode == 0
    assert nbbench.Report.load(saved).speed.status.tolist() == ["ok"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("option", ["--save", "--log"])
def test_a_file_that_fills_up_costs_no_table(model, option, capsys):
    assert main(["run", model, *FLAGS, option, "/dev/full", "--tables"]) == 2
    shown = capsys.readouterr()
    assert "INFERENCE - SPEED - RESULT" in shown.out
    assert "'/dev/full' cannot be written" in shown.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_every_output_that_failed_is_told(model, tmp_path, capsys):
    (tmp_path / "log").symlink_to("/dev/full")
    flags = ["--save", "/dev/full", "--log", str(tmp_path / "log")]
    assert main(["run", model, *FLAGS, *flags]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert [line.partition(" cannot be written: No space left")[0] for line in errors] == [
        "nbbench: error: '/dev/full'",
        f"nbbench: error: '{tmp_path}/log'",
    ]


def test_rows_of_csv_come_as_cases_end(model, tmp_path, capsys):
    folder = tmp_path / "tables"
    flags = ["--frameworks", "probe", "-s", "8", "16", "--max-time", "0.1", "--csv", str(folder)]
    assert main(["run", model, *flags]) == 0
    assert len((folder / "speed.csv").read_text().splitlines()) == 3
    assert sorted(path.name for path in folder.iterdir()) == [
        "environment.csv", "memory.csv", "speed.csv",
    ]  # fmt: skip
