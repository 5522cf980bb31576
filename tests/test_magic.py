"""`%tfbench` and `%%tfbench` in a shell of IPython, on real cases."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbbench

FLAGS = "--frameworks probe --max-time 0.1"


@pytest.fixture
def shell(probe):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    yield shell
    InteractiveShell.clear_instance()


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
