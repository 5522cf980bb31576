"""`%tfbench` and `%%tfbench` in a shell of IPython, on real cases."""

from __future__ import annotations

import pytest

import nbbench
from nbbench.notebook.cell_body import read_body

FLAGS = "--frameworks probe --max-time 0.1"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    return str(tmp_path)


def test_the_line_returns_the_report(shell, folder):
    report = shell.run_line_magic("tfbench", f"{folder} -b 1 2 -s 8 16 {FLAGS}")
    assert isinstance(report, nbbench.Report)
    assert report.speed.batch_size.tolist() == [1, 1, 2, 2]
    assert report.speed.status.tolist() == ["ok"] * 4


def test_the_cell_assigns_arguments_and_leaks_no_names(shell):
    shell.run_cell("size = 2\nmine = {'model_type': 'probe'}")
    before = set(shell.user_ns)
    result = shell.run_cell(
        f"%%tfbench {FLAGS} --out kept\n"
        "import math\n"
        "_base = dict(mine)\n"
        "configs = [{**_base, 'layers': n} for n in range(2)]\n"
        "models = ['a', 'b']\n"
        "sequence_lengths = [8]\n"
        "batch_sizes = [size]\n"
    )
    result.raise_error()
    report = result.result
    assert report.speed.model.tolist() == ["a", "b"]
    assert report.speed.batch_size.tolist() == [2, 2]
    assert shell.user_ns["kept"] is report
    assert {n for n in set(shell.user_ns) - before if not n.startswith("_")} == {"kept"}
    assert shell.user_ns["mine"] == {"model_type": "probe"}


def test_what_a_cell_imports_or_defines_is_an_argument_too(shell, tmp_path, monkeypatch):
    (tmp_path / "own_settings.py").write_text("batch_sizes = [2]\nelse_than_that = 1")
    monkeypatch.syspath_prepend(tmp_path)
    body = "from own_settings import *\nmodels = ['a']\nconfigs = {'model_type': 'probe'}\n"
    report = shell.run_cell(f"%%tfbench {FLAGS} -s 8\n{body}").result
    assert report.speed.batch_size.tolist() == [2]
    result = shell.run_cell(f"%%tfbench {FLAGS} -s 8\n{body}import math as seed")
    assert "seed" in str(result.error_in_exec)


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("models = models[:1]", {"models": ["a"]}),
        ("models = models", {"models": ["a", "b"]}),
        ("_first = models[0]\nseed = 1", {"seed": 1}),
        ("global seed\nseed = 1", {"seed": 1}),
        ("seed = 1\ndel seed", {}),
        ("match 3:\n    case seed: pass", {"seed": 3}),
        ("if True:\n    def _f():\n        k = 1\n        return k\n    seed = _f()", {"seed": 1}),
        ("for seed in range(3):\n    class _C:\n        k = seed", {"seed": 2}),
        ("_found = [seed for seed in range(3)]", {}),
        ("global threads\nthreads = 2", {"threads": 2}),  # as it is already
        ("models += ['c']", {"models": ["a", "b", "c"]}),  # its own list
    ],
)
def test_a_cell_sees_variables_named_as_arguments_and_gives_those_that_it_assigns(body, arguments):
    namespace = {"models": ["a", "b"], "threads": 2}
    assert read_body(body, namespace) == arguments
    assert namespace == {"models": ["a", "b"], "threads": 2}


def test_what_a_function_of_the_notebook_changes_is_no_argument():
    namespace = {"seed": 0}
    exec("def pick():\n    global seed\n    seed += 1000\n    return ['a']", namespace)
    assert read_body("models = pick()", namespace) == {"models": ["a"]}
    assert namespace["seed"] == 1000


def test_the_report_is_in_the_underscore(shell, folder):
    result = shell.run_cell(f"%tfbench {folder} -s 8 {FLAGS}", store_history=True)
    assert shell.user_ns["_"] is result.result


@pytest.mark.parametrize(
    ("line", "body", "sentence"),
    [
        ("", "batch_size = [1]", "there is no argument 'batch_size'; did you mean 'batch_sizes'?"),
        ("", "models = [", "line 1 of the cell's body is not Python"),
        (
            "",
            "models = ['a']\nconfigs = [unknown]",
            "line 2 of the cell's body failed with NameErr",
        ),
        ("-b 1", "batch_sizes = [1]", "batch_sizes is given on the line and in the cell; keep one"),
        ("--batch-size 1", None, "did you mean '--batch-sizes'?"),
        ("gpt2 -b 0", None, "batch_sizes: '0' is not a whole number above 0"),
        ("gpt2 --out 1x", None, "'1x' is no name for a variable"),
        ("gpt2 'open", None, "the line cannot be read: no closing quotation"),
        ("", None, "no model was named"),
        ("", "import sys\nsys.exit(2)", "line 2 of the cell's body failed with SystemExit: 2"),
        ("", "raise SystemExit", "line 1 of the cell's body failed with SystemExit"),
        ("", "raise GeneratorExit", "line 1 of the cell's body failed with GeneratorExit"),
        ("", f"seed = {'-' * 100_000}1", "the cell's body is not Python: it is nested too deeply"),
        ("", "seed = '\\0'\0", "the cell's body is not Python: source code"),
        ("gpt2 --form -q", None, "--form and --quiet do not go together; keep one"),
    ],
)
def test_bad_input_is_one_line_without_a_traceback(shell, capsys, line, body, sentence):
    cell = f"%tfbench {line}" if body is None else f"%%tfbench {line}\n{body}"
    result = shell.run_cell(cell)
    assert not result.success
    shown = capsys.readouterr()
    assert sentence in shown.err + shown.out
    assert "Traceback" not in shown.err + shown.out
    assert len((shown.err + shown.out).strip().splitlines()) == 1


def test_help_is_made_from_the_schema(shell, capsys):
    assert shell.run_line_magic("tfbench", "--help") is None
    shown = capsys.readouterr().out
    assert "--batch-sizes" in shown
    described = shell.object_inspect("%tfbench")["docstring"]
    assert "--batch-sizes" in described
    assert "half width" in described


@pytest.mark.parametrize(
    "cell",
    [
        "%tfbench {folder} -s 8 {flags};",
        "%tfbench {folder} -s 8 {flags} ; ",
        "%tfbench {folder} -s 8 \\\n {flags};",
        "tfbench {folder} -s 8 {flags};",
        "%%tfbench {folder} {flags}\nsequence_lengths = [8];  # short\n\n# that is all\n",
        "%%tfbench {folder} {flags};\nsequence_lengths = [8]\n",
        "%tfbench {folder} -s 8 {flags} -q",
        "%tfbench {folder} -s 8 {flags} --background;",
    ],
)
def test_a_semicolon_or_quiet_leaves_the_value_unshown_and_keeps_it(shell, folder, capsys, cell):
    result = shell.run_cell(cell.format(folder=folder, flags=FLAGS), store_history=True)
    result.raise_error()
    assert result.result is None
    shown = capsys.readouterr()
    assert "samples/s" not in shown.out
    assert "Out[" not in shown.out
    assert ("1 case" in shown.err) == ("-q" not in cell and "background" not in cell)
    kept = shell.user_ns["_"]
    report = kept if isinstance(kept, nbbench.Report) else kept.wait() and kept.report()
    assert report.speed.status.tolist() == ["ok"]
    assert shell.user_ns["Out"][1] is kept


@pytest.mark.parametrize("last", [";", " -q"])
def test_a_value_that_is_assigned_or_asked_for_is_there(shell, folder, last):
    result = shell.run_cell(f"report = %tfbench {folder} -s 8 {FLAGS}{last}")
    result.raise_error()
    assert isinstance(shell.user_ns["report"], nbbench.Report)
    line = f"{folder} -s 8 {FLAGS}{last}"
    assert isinstance(shell.run_line_magic("tfbench", line), nbbench.Report)


def test_without_a_semicolon_at_its_end_a_cell_shows_its_report(shell, folder, capsys):
    body = "_x = 1; sequence_lengths = [8]  # ;\n"
    shell.run_cell(f"%%tfbench {folder} {FLAGS}\n{body}").raise_error()
    assert "samples/s" in capsys.readouterr().out


def test_v_names_the_variable_as_out_does(shell, folder):
    shell.run_cell(f"%tfbench {folder} -s 8 {FLAGS} -v kept;").raise_error()
    assert isinstance(shell.user_ns["kept"], nbbench.Report)
