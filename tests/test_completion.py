"""The Tab key on a magic's line and in its cell, as IPython gives it."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import nbbench
from nbbench.notebook.completion import suggestions


@pytest.fixture(params=["jedi", "no jedi"])
def tab(probe, request):
    """What a cell with ``|`` for the cursor becomes with each of the completions."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.Completer.use_jedi = request.param == "jedi"
    shell.run_line_magic("load_ext", "nbbench")
    shell.run_line_magic("reload_ext", "nbbench")

    def completed(cell):
        before, _, after = cell.partition("|")
        with provisionalcompleter():
            found = list(shell.Completer.completions(before + after, len(before)))
        return [before[: c.start] + c.text + after[c.end - len(before) :] for c in found]

    yield completed
    InteractiveShell.clear_instance()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%tfbench distil|", "%tfbench distilbert-base-uncased"),
        ("%tfbench gpt2 distil|", "%tfbench gpt2 distilbert-base-uncased"),
        ("%tfbench -b 1 --seed 3 distil|", "%tfbench -b 1 --seed 3 distilbert-base-uncased"),
        ("tfbench distil|", "tfbench distilbert-base-uncased"),
        ("report = %tfbench distil|", "report = %tfbench distilbert-base-uncased"),
        ("x = 1\n%tfbench gpt2 \\\n  --batch-s|", "x = 1\n%tfbench gpt2 \\\n  --batch-sizes"),
        ("%tfbench gpt2 --batch-s|", "%tfbench gpt2 --batch-sizes"),
        ("%tfbench gpt2 --no-tr|", "%tfbench gpt2 --no-training"),
        ("%tfbench gpt2 --backg|", "%tfbench gpt2 --background"),
        ("%tfbench gpt2 --dtypes bf|", "%tfbench gpt2 --dtypes bfloat16"),
        ("%tfbench gpt2 --dtypes float32 bf|", "%tfbench gpt2 --dtypes float32 bfloat16"),
        ("%tfbench gpt2 --dtypes=bf|", "%tfbench gpt2 --dtypes=bfloat16"),
        ("%tfbench gpt2 -f pro|", "%tfbench gpt2 -f probe"),
        ("%tfbench gpt2 --model-class arch|", "%tfbench gpt2 --model-class architecture"),
        ("%tfbench gpt2 -e ker|", "%tfbench gpt2 -e kernel"),
        ("%tfbench gpt2 -s 12|", "%tfbench gpt2 -s 128"),
        ("%tfbench gpt2 --executions ea|", "%tfbench gpt2 --executions eager"),
        ("%tfbench gpt2 xlnet --baseline gp|", "%tfbench gpt2 xlnet --baseline gpt2"),
        ("%%tfbench gpt2 --dtypes bf|\n", "%%tfbench gpt2 --dtypes bfloat16\n"),
        ("%%tfbench\nbatch_s|", "%%tfbench\nbatch_sizes"),
        ("%%tfbench -q\nseed = 1\nseq|", "%%tfbench -q\nseed = 1\nsequence_lengths"),
        ("%%tfbench\nmodels = ['distil|", "%%tfbench\nmodels = ['distilbert-base-uncased"),
        ('%%tfbench\nmodels = [\n"xx",\n"gpt2-m|', '%%tfbench\nmodels = [\n"xx",\n"gpt2-medium'),
        ("%%tfbench\ndtype = 'bf|'", "%%tfbench\ndtype = 'bfloat16'"),
        ("%%tfbench\nmodel_class = 'arch|", "%%tfbench\nmodel_class = 'architecture"),
        ("%%tfbench\ntraining = Tr|", "%%tfbench\ntraining = True"),
    ],
)  # fmt: skip
def test_tab_offers(tab, cell, expected):
    assert expected in tab(cell)


@pytest.mark.parametrize(
    ("cell", "refused"),
    [
        ("%tfbench gpt2 gp|", "%tfbench gpt2 gpt2"),
        ("%tfbench gpt2 -b 1 --batch-s|", "%tfbench gpt2 -b 1 --batch-sizes"),
        ("%%tfbench --batch-sizes 1\nbatch_s|", "%%tfbench --batch-sizes 1\nbatch_sizes"),
    ],
)
def test_tab_does_not_offer_what_was_given(tab, cell, refused):
    assert refused not in tab(cell)


def test_tab_offers_every_model_and_nothing_else(tab):
    offered = {line.removeprefix("%tfbench distil") for line in tab("%tfbench distil|")}
    known = {name for name in nbbench.catalogue() if name.startswith("distil")}
    assert {f"distil{rest}" for rest in offered} == known


def test_tab_offers_folders_of_models_and_saved_files(tab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "distilled").mkdir()
    (tmp_path / "old.nbbench.json").touch()
    assert "%tfbench ./distilled/" in [c.rstrip("/") + "/" for c in tab("%tfbench ./dist|")]
    assert "%tfbench gpt2 --against old.nbbench.json" in tab("%tfbench gpt2 --against ol|")


def test_other_cells_are_left_alone(tab):
    for cell in ("distil|", "models = ['distil|", "%timeit distil|", "%%time\nbatch_s|", "|"):
        text = cell.replace("|", "")
        last = text.rpartition("\n")[2]
        assert suggestions(text, text.count("\n"), len(last)) is None
        assert not [c for c in tab(cell) if "distilbert" in c or "batch_sizes" in c]


def test_no_text_makes_it_fail():
    cells = (
        "%%tfbench\nmodels = ['a\"\n# \"\nb = {[(\n x", "%tfbench \"open --seed 'x -b ",
        "%%tfbench -b\n\n\ndtypes == 'x", "%%tfbench --zzz\n=\n = 3\nmodels=", "", "\n%tfbench \\",
    )  # fmt: skip
    for text in cells:
        for line, found in enumerate(text.split("\n")):
            for column in range(len(found) + 1):
                suggestions(text, line, column)
    assert suggestions("", 3, 0) is None
