"""Defaults by ``%config``, by NBBENCH_DEFAULTS and by ``pyproject.toml``."""

from __future__ import annotations

import json

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbbench
from nbbench.arguments.defaults import with_defaults
from nbbench.cli import main

FLAGS = "--frameworks probe --max-time 0.1 --rounds 1"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a model and, above it, a pyproject.toml; one stands below it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "probe"}')
    (tmp_path / "pyproject.toml").write_text(
        '[tool.nbbench]\nbatch-sizes = [2]\nsequence_lengths = 16\ndtype = "float64"\nseed = 3\n'
    )
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "pyproject.toml").write_text("[project]\nname = 'nbbench-user'\n")
    monkeypatch.chdir(tmp_path / "below")
    return tmp_path


@pytest.fixture
def shell(probe, project):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    yield shell
    InteractiveShell.clear_instance()


def test_flags_win_over_config_over_the_variable_over_pyproject(
    shell, project, monkeypatch, capsys
):
    monkeypatch.setenv("NBBENCH_DEFAULTS", "--sequence-lengths 24 --dtype bf16 --seed 4")
    shell.run_cell("%config Nbbench.dtypes = 'float16'\n%config Nbbench.seed = 5").raise_error()
    report = shell.run_line_magic("tfbench", f"../model --seed 6 {FLAGS}")
    (row,) = report.results
    case = row.case
    assert (case.batch_size, case.sequence_length, case.dtype, case.seed) == (2, 24, "float16", 6)
    shown = capsys.readouterr().out
    assert "dtypes float16 (from %config Nbbench)" in shown
    assert "sequence_lengths 24 (from NBBENCH_DEFAULTS)" in shown
    assert f"batch_sizes 2 (from [tool.nbbench] in {project / 'pyproject.toml'})" in shown
    assert "seed" not in shown


def test_a_cell_wins_over_defaults_by_the_singular_name_too(shell):
    shell.run_cell("%config Nbbench.seed = 5\n%config Nbbench.seed = None").raise_error()
    result = shell.run_cell(f"%%tfbench ../model {FLAGS}\ndtype = 'bfloat16'\nbatch_sizes = [4]\n")
    result.raise_error()
    case = result.result.results[0].case
    assert (case.batch_size, case.dtype, case.seed) == (4, "bfloat16", 3)


def test_the_form_begins_with_defaults(shell):
    form = shell.run_line_magic("tfbench", "../model --form --frameworks probe")
    assert form.arguments().batch_sizes == [2]


def test_the_form_s_cell_does_the_same_whatever_the_defaults_are(shell):
    form = nbbench.form("../model", frameworks=["probe"], batch_sizes=[8], max_time=0.1)
    assert "batch_sizes = [8]" in form.cell()  # [2] else
    assert "seed = 0" in form.cell()
    assert "precision" not in form.cell()
    assert shell.run_cell(form.cell()).result.results[0].case.batch_size == 8


def test_the_shell_uses_defaults_and_says_so(probe, project, monkeypatch, capsys):
    monkeypatch.setenv("NBBENCH_DEFAULTS", FLAGS)
    save = project / "r.json"
    assert main(["run", "../model", "--seed", "9", "--save", str(save)]) == 0
    case = nbbench.Report.load(save).results[0].case
    assert (case.batch_size, case.dtype, case.seed) == (2, "float64", 9)
    shown = capsys.readouterr()
    assert "batch_sizes 2, sequence_lengths 16, dtypes float64 (from [tool.nb" in shown.err
    assert "defaults:" not in shown.out


def test_python_code_uses_none(probe, project, monkeypatch):
    monkeypatch.setenv("NBBENCH_DEFAULTS", "--seed 4")
    report = nbbench.run(
        "../model", frameworks=["probe"], sequence_lengths=[8], max_time=0.1, rounds=1,
        progress=False,
    )  # fmt: skip
    case = report.results[0].case
    assert (case.batch_size, case.dtype, case.seed) == (8, "float32", 0)


@pytest.mark.parametrize(
    ("variable", "table", "sentence"),
    [
        ("--batch-sizes 0", "", "NBBENCH_DEFAULTS: batch_sizes: '0' is not a whole number above 0"),
        ("--batchsizes 1", "", "NBBENCH_DEFAULTS: there is no option '--batchsizes'; did you"),
        ("gpt2", "", "NBBENCH_DEFAULTS: models can have no default; name it where you run it"),
        ("--seed 'x", "", "NBBENCH_DEFAULTS: no closing quotation"),
        ("--help", "", "NBBENCH_DEFAULTS: --help is no default"),
        ("", "batchsizes = 3", "FILE: there is no argument 'batchsizes'; did you mean 'batch_s"),
        ("", "batch_sizes = 'x'", "FILE: batch_sizes: 'x' is not a whole number"),
        ("", "dtype = 'float32'\ndtypes = 'float16'", "FILE: dtypes and dtypes are the same; keep"),
        ("", "configs = []", "FILE: configs can have no default; name it where you run it"),
        ("", "environments = ['./python']", "FILE: environments cannot be set by a folder's file"),
        ("", "isolation = 'none'", "FILE: isolation cannot be set by a folder's file, since it"),
        ("", "executor = 'ray'", "FILE: executor cannot be set by a folder's file"),
        ("", "address = '10.0.0.1:6379'", "FILE: address cannot be set by a folder's file"),
        ("--latency-limit soon -b best", "", "NBBENCH_DEFAULTS: latency_limit: 'soon' is no"),
        ("", "seed = ", "pyproject.toml cannot be read as TOML: Invalid value"),
        ("", "seed = " + "1" * 5000, "pyproject.toml cannot be read as TOML"),
        ("", "optimizer = {a = 1}", "FILE: optimizer: {'a': 1} is not true or false"),
    ],
)
def test_a_wrong_default_is_one_sentence_that_names_its_source(
    probe, project, monkeypatch, capsys, variable, table, sentence
):
    monkeypatch.setenv("NBBENCH_DEFAULTS", variable)
    file = project / "pyproject.toml"
    file.write_text(f"[tool.nbbench]\n{table}\n")
    assert main(["run", "../model", *FLAGS.split()]) == 2
    shown = capsys.readouterr().err
    assert sentence.replace("FILE", f"[tool.nbbench] in {file}") in shown
    assert len(shown.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("batch_sizes = 'x'", "%config Nbbench: batch_sizes: 'x' is not a whole number"),
        ("batch_size = 3", "%config Nbbench: there is no argument 'batch_size'; did you mean"),
    ],
)
def test_a_wrong_config_is_one_sentence_and_is_unset_by_none(shell, capsys, setting, sentence):
    shell.run_cell(f"%config Nbbench.{setting}")
    capsys.readouterr()
    assert not shell.run_cell(f"%tfbench ../model {FLAGS}").success
    shown = capsys.readouterr()
    assert sentence in shown.err + shown.out
    assert len((shown.err + shown.out).strip().splitlines()) == 1
    shell.run_cell(f"%config Nbbench.{setting.split()[0]} = None")
    assert shell.run_cell(f"%tfbench ../model {FLAGS}").success


@pytest.mark.parametrize(
    "text",
    ["", "[tool.other]\nx = 1\n", "# nbbench\n[tool]\nother = 1\n", "broken = [\n", "\udc80"],
)
def test_files_that_have_nothing_for_nbbench_are_passed_over(probe, project, monkeypatch, text):
    from nbbench.arguments.defaults import from_pyproject

    below = project / "below" / "pyproject.toml"
    below.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert from_pyproject().values["batch_sizes"] == [2]


def test_ipython_s_own_files_set_defaults(probe, project):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.config.Nbbench.seed = 7
    shell.run_line_magic("load_ext", "nbbench")
    report = shell.run_line_magic("tfbench", f"../model -q {FLAGS}")
    InteractiveShell.clear_instance()
    assert report.results[0].case.seed == 7


def test_config_lists_every_argument(shell, capsys):
    shell.run_cell("%config Nbbench")
    shown = capsys.readouterr().out
    assert "Nbbench.batch_sizes" in shown
    assert "how many samples a call takes" in shown


@pytest.mark.parametrize(
    ("values", "flags", "used"),
    [
        ("--caches static", {}, False),
        ("--caches static", {"generation": True}, True),
        ("--new-tokens 4", {"generation": True}, True),
        ("--compile-backend eager", {}, False),
        ("--compile-backend eager", {"execution": "compile"}, True),
        ("--compile-backend eager", {"executions": ["eager", "compile"]}, True),
        ("--optimizer --training", {"training": False}, False),
        ("--num-cpus 2", {}, False),
        ("--num-cpus 2", {"executor": "ray"}, True),
        ("--address auto --executor ray", {}, True),
        ("""--resources '{"fast": 1}'""", {"executor": "ray"}, True),
        ("--latency-limit '50 ms' -b best", {}, True),
        ("--latency-limit '50 ms' -b best", {"batch_sizes": [8]}, False),
        ("--use-xla", {}, False),
        ("--use-xla", {"frameworks": "tf"}, True),
        ("--optimizer --training", {}, True),
    ],
)
def test_a_default_that_belongs_to_another_argument_waits_until_that_is_asked_for(
    monkeypatch, tmp_path, values, flags, used
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBBENCH_DEFAULTS", values)
    merged, sources = with_defaults({"models": ["m"], **flags})
    name = values.split()[0].lstrip("-").replace("-", "_")
    assert (name in merged) == used
    assert any(name in source.values for source in sources) == used
    nbbench.BenchmarkArguments(**merged)


@pytest.mark.parametrize(
    ("variable", "given", "left"),
    [
        ("--padding 0.3", {"lengths": [8]}, {"lengths": [8]}),
        ("--lengths uniform(2,4)", {"padding": [0.3]}, {"padding": [0.3]}),
        ("--lengths uniform(2,4)", {}, {"lengths": "uniform(2,4)"}),
    ],
)
def test_of_padding_and_lengths_the_one_that_is_given_wins(
    project, monkeypatch, variable, given, left
):
    (project / "pyproject.toml").write_text("[tool.nbbench]\npadding = 0.5\n")
    monkeypatch.setenv("NBBENCH_DEFAULTS", variable)
    values, _ = with_defaults({"models": ["m"], **given})
    assert values == {"models": ["m"], **left}


def test_a_default_baseline_waits_for_something_to_compare(probe, project, monkeypatch, capsys):
    monkeypatch.setenv("NBBENCH_DEFAULTS", "--baseline first")
    run = ["run", "../model", *FLAGS.split()]
    for sizes, baseline in ((["2"], None), (["1", "2"], "first")):
        assert main([*run, "--json", "-b", *sizes]) == 0
        assert json.loads(capsys.readouterr().out)["baseline"] == baseline
    assert main([*run, "--baseline", "first"]) == 2
    assert "baseline: 'first' has nothing to be compared with" in capsys.readouterr().err


@pytest.mark.parametrize("magic", [True, False])
def test_a_default_that_does_not_suit_what_is_measured_is_told_with_its_source(
    shell, monkeypatch, capsys, magic
):
    monkeypatch.setenv("NBBENCH_DEFAULTS", "--baseline eager")
    if magic:
        shell.run_cell(f"%tfbench ../model {FLAGS} -b 1 2")
    else:
        assert main(["run", "../model", *FLAGS.split(), "-b", "1", "2"]) == 2
    shown = "".join(capsys.readouterr())
    assert "baseline: 'eager' is no value in which these cases differ" in shown
    assert shown.strip().endswith("(a default from NBBENCH_DEFAULTS)")


def test_a_plan_says_its_defaults_and_leaves_out_those_that_are_for_runs(
    project, monkeypatch, capsys
):
    pytest.importorskip("torch")
    monkeypatch.setenv("NBBENCH_DEFAULTS", "--memory-limit 8GB --latency-limit '1 s' -b best -s 8")
    assert main(["plan", "bert-tiny", "-d", "cpu"]) == 0
    shown = capsys.readouterr().err
    assert "defaults: sequence_lengths 8 (from NBBENCH_DEFAULTS)" in shown
    assert main(["plan", "bert-tiny", "--memory-limit", "8GB"]) == 2  # which is given, and wrong
