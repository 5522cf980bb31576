"""Models that code of the user's makes: from every door, in processes of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import nbbench
from nbbench import ArgumentError, BenchmarkArguments, ModelNotFound
from nbbench.cli import main
from nbbench.machine.reference_level import read_levels
from nbbench.plan.models import find_model
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.messages import RunCase
from nbbench.worker.run_case import run_case

NET = """
import os
import torch
from torch import nn

with open({log!r}, "a") as log:
    log.write(f"{{os.getpid()}}\\n")

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.first(x).relu()

def build():
    return Net()

made = Net()
number = 5

def listing():
    return [made]

def nothing():
    pass

def broken():
    return nn.Linear(3, "four")

def leaves():
    raise SystemExit("no licence")

class Mute(RuntimeError):
    def __str__(self):
        raise ValueError("nobody may read this")

def mute():
    raise Mute()

def inputs(batch_size):
    return torch.ones(batch_size, 3, 8, 8)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a file of code that notes in which process it runs."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET.format(log=str(tmp_path / "log")))
    return tmp_path


def measured(*models, **arguments):
    quick = {"batch_sizes": 2, "max_time": 0.1, "rounds": 1, "progress": False, "device": "cpu"}
    return nbbench.run(*models, **{**quick, **arguments})


def reason_of(*models, **arguments):
    (result,) = measured(*models, **arguments).results
    assert result.outcome.status is not nbbench.Status.OK
    assert "\n" not in result.outcome.reason
    return result.outcome.reason


def in_this_process(model, **fields):
    """The outcome of a case of a model's, and the model that was built for it."""
    backend = TorchBackend()
    backend.load()
    found = find_model(model)
    case = Case(
        framework="pytorch", model=model, config=found.config, config_source=found.source,
        source=found.path, device="cpu", max_time=0.1,
        **{"batch_size": 2, "sequence_length": 4, **fields},
    )  # fmt: skip
    built = []
    build = backend.build
    backend.build = lambda *given: built.append(build(*given)) or built[-1]
    return run_case(backend, RunCase(case), lambda event: None), built


def test_a_file_and_a_function_are_measured_in_both_modes_and_never_run_here(folder):
    report = measured("net.py:build", "net:Net", "./net.py:made", training=True)
    assert [row.status for row in report.speed.itertuples()] == ["ok"] * 6
    assert set(report.speed.architecture) == {"Net"}
    assert set(report.memory.parameters) == {4 * 3 * 9 + 4}
    assert report.speed.sequence_length.isna().all(), "images have no length"
    assert str(os.getpid()) not in (folder / "log").read_text().split()
    assert set(report.speed.config_source) == {"own code"}
    (sources,) = report.environment.loc["config_sources"]
    assert "net.py:build: own code" in sources
    assert str(folder) not in json.dumps(report.to_dict())


@pytest.mark.parametrize(
    ("parameters", "body", "takes"),
    [
        ("batch_size, sequence_length=None", "torch.ones(batch_size, 3)", False),
        ("batch_size, sequence_length=8", "torch.ones(batch_size, sequence_length)", True),
        ("batch_size, *, sequence_length", "make(**locals())", True),
        ("batch_size, **sizes", "torch.ones(batch_size, 3)", True),
    ],
)
def test_a_length_that_no_input_is_made_by_is_none(folder, parameters, body, takes):
    (folder / "made.py").write_text(f"def inputs({parameters}):\n    return {body}\n")
    assert find_model("made.py:build").config["takes_length"] == takes


def blocks_of(page):
    """The code of a page of the documentation, block by block."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text()
    return [part.partition("```")[0] for part in text.split("```python\n")[1:]]


@pytest.mark.slow
@pytest.mark.newest
def test_the_pages_own_cells_run_as_they_stand(folder):
    from IPython.core.interactiveshell import InteractiveShell

    written, measured_by, _ = blocks_of("own_models.md")
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    try:
        assert shell.run_cell(written).success
        flags = "-q --max-time 0.05 --rounds 1 -d cpu -b 1 --out found"
        cell = measured_by.replace("%%tfbench", f"%%tfbench {flags}")
        assert shell.run_cell(cell.replace("batch_sizes = [1, 8]\n", "")).success
    finally:
        InteractiveShell.clear_instance()
    speed = shell.user_ns["found"].speed
    assert speed.status.tolist() == ["ok"] * 2, speed.reason.tolist()
    assert speed.model.tolist() == ["net.py:build", "resnet-50"]


@pytest.mark.slow
def test_the_pages_keras_model_is_measured(folder):
    from nbbench import environments
    from nbbench.environments import EnvironmentNotReady

    code = next(block for block in blocks_of("own_models.md") if "import keras" in block)
    (folder / "kmodel.py").write_text(code.partition("\n")[2])
    try:
        ready = environments.prepare(environments.choose("auto", "keras"), "keras")
        environments.finish(ready, print)
    except EnvironmentNotReady as error:
        pytest.skip(str(error))
    report = measured("kmodel.py:build", frameworks=["keras"], sequence_lengths=[8, 16])
    assert report.speed.status.tolist() == ["ok", "ok"], report.speed.reason.tolist()
    assert (report.speed.tokens_per_s * report.speed.median_s).tolist() == pytest.approx([16, 32])
    weights = 10_000 * 128 + 4 * 64 * (128 + 64 + 1) + 2 * 65
    assert set(report.memory.parameters) == {weights}


def test_a_file_that_was_changed_is_measured_as_it_is_now(folder):
    counts = []
    for width in (4, 8):
        code = (folder / "net.py").read_text().replace("width=4", f"width={width}")
        (folder / "net.py").write_text(code)
        counts += [*measured("net.py:build").memory.parameters]
    assert counts == [4 * 28, 8 * 28]


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("net.py:buidl", "net.py has no 'buidl'; give a function of it that returns a model; did "
         "you mean 'build'?"),
        ("net.py:number", "net.py:number is of type int; give a function that returns a torch.nn"),
        ("net.py:listing", "net.py:listing returned a value of type list, and has to return"),
        ("net.py:nothing", "net.py:nothing returned None, and has to return a torch.nn.Module"),
        ("net.py:broken", '(net.py, line 30: return nn.Linear(3, "four"))'),
        ("net.py:leaves", 'SystemExit: no licence (net.py, line 33: raise SystemExit'),
        ("net.py:mute", "Mute: Mute (net.py, line 40: raise Mute())"),
        ("bad.py:build", "SyntaxError: '(' was never closed (bad.py, line 2: x = ()"),
        ("needs.py:build", "No module named 'nobody_has' (needs.py, line 1: import nobody_has)"),
        ("nobody.has:build", "there is no module 'nobody' in this interpreter or in the current"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_code_is_one_sentence_with_its_line(folder, model, sentence):
    (folder / "bad.py").write_text("y = 1\nx = (\n")
    (folder / "needs.py").write_text("import nobody_has\n")
    outcome, _ = in_this_process(model)
    assert outcome.status is nbbench.Status.ERROR
    assert sentence in outcome.reason
    assert "\n" not in outcome.reason


def test_the_line_of_code_itself_is_in_no_file(folder, tmp_path):
    report = measured("net.py:broken")
    (reason,) = report.speed.reason
    assert reason.endswith('(net.py, line 30: return nn.Linear(3, "four"))')  # for oneself
    report.save(tmp_path / "r.json")
    report.to_csv(tmp_path / "csv")
    report.to_html(tmp_path / "page.html")
    for file in (tmp_path / "r.json", tmp_path / "csv" / "speed.csv", tmp_path / "page.html"):
        assert "(net.py, line 30)" in file.read_text()
        assert "nn.Linear(" not in file.read_text()
    assert nbbench.Report.load(tmp_path / "r.json") == report


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("net.py", "'net.py' is a file of code, which makes a model by a function of it: name "
         "that, too, like 'net.py:build'"),
        ("net.py:", "like 'net.py:build'"),
        ("net.py:a b", "has no name of a function behind the colon"),
        ("nowhere.py:build", "there is no file 'nowhere.py' for the model 'nowhere.py:build'"),
        ("C:\\models\\net.py", "like 'C:\\\\models\\\\net.py:build'"),
        ("C:\\models\\net.py:build", "there is no file 'C:\\\\models\\\\net.py' for the model"),
        ("C:\\models\\tny", "there is no model folder 'C:\\\\models\\\\tny'"),
        ("D:/models/tny", "there is no model folder 'D:/models/tny'"),
        ("notes.txt:build", "names no file of Python; write the code to one that ends in .py"),
        ("folder.py:build", "there is no file 'folder.py'"),
        ("x" * 5000 + ".py:build", "is no folder that can be read (File name too long)"),
    ],
)  # fmt: skip
def test_half_a_name_says_what_is_missing(folder, name, sentence):
    (folder / "notes.txt").write_text("")
    (folder / "folder.py").mkdir()
    with pytest.raises(ModelNotFound) as caught:
        find_model(name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_windows_path_with_a_colon_is_split_at_the_last_one(folder):
    (folder / "C:").mkdir()
    (folder / "C:" / "net.py").write_text("")
    assert find_model("C:/net.py:build").config["factory"] == "build"


def test_files_beside_the_code_can_be_imported_but_hide_no_library(folder):
    (folder / "layers.py").write_text("WIDTH = 7\n")
    (folder / "json.py").write_text("raise RuntimeError('this must not be imported')\n")
    (folder / "torch.py").write_text(
        "import json, torch.nn, layers\n"
        "def build(): return torch.nn.Linear(layers.WIDTH, 1)\n"
        "def inputs(batch_size): return (torch.ones(batch_size, layers.WIDTH),)\n"
    )
    (result,) = measured("torch.py:build").results
    assert result.outcome.status is nbbench.Status.OK, result.outcome.reason
    assert result.outcome.parameter_count == 8


SEQUENCE = """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.out = nn.Embedding(50, 8), nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask=None):
        assert (attention_mask == 1).all() and input_ids.max() < 50
        return {"logits": self.out(self.tokens(input_ids))}

class Plain(Tagger):
    def forward(self, x, ids):
        assert ids.dtype == torch.int64 and x.shape[1:] == (4, 8)
        return x @ self.tokens(ids).transpose(1, 2)

def hf():
    from transformers import BertConfig, BertForSequenceClassification
    return BertForSequenceClassification(BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        vocab_size=60))

def derived():
    class Mine(type(hf())):
        pass
    return Mine(hf().config)
"""


@pytest.mark.parametrize("mode", ["inference", "training"])
@pytest.mark.parametrize("factory", ["Tagger", "hf", "derived"])
def test_inputs_come_from_the_names_of_the_forward_method(folder, factory, mode):
    (folder / "tagger.py").write_text(SEQUENCE)
    outcome, _ = in_this_process(f"tagger.py:{factory}", mode=mode)
    assert outcome.status is nbbench.Status.OK, outcome.reason
    assert outcome.tokens_per_call == 2 * 4


@pytest.mark.parametrize("execution", ["eager", "torchscript"])
def test_inputs_are_described_by_symbolic_shapes(folder, execution):
    (folder / "tagger.py").write_text(SEQUENCE)
    described = {
        "x": ("batch", 4, 8),
        "ids": {"shape": ("batch", "length"), "below": 50},
    }
    arguments = BenchmarkArguments(models="tagger.py:Plain", inputs=described)
    outcome, built = in_this_process(
        "tagger.py:Plain", inputs=arguments.inputs, execution=execution, dtype="float64"
    )
    assert outcome.status is nbbench.Status.OK, outcome.reason
    assert built[0].dtype == "float64"
    assert outcome.tokens_per_call == 2 * 4
    flag = BenchmarkArguments(models="tagger.py:Plain", inputs=json.dumps(described))
    assert flag.inputs == arguments.inputs


def test_inputs_that_nobody_describes_are_asked_for(folder):
    (folder / "tagger.py").write_text(SEQUENCE)
    outcome, _ = in_this_process("tagger.py:Plain")
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "that tagger.py:Plain takes (x, ids); write a function inputs(batch_size" in (
        outcome.reason
    )


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ("{", 'inputs: \'{\' is no JSON; give {"x": ["batch", 3, 224, 224]}'),
        ([3], "inputs: a value of type list is no dict of shapes by name"),
        ({"x": 3}, "inputs: x has the shape 3, which is no list of sizes"),
        ({"x": ["batch", 0]}, "inputs: x has the size 0, which is neither a whole number from 1"),
        ({"x": ["bach"]}, "inputs: x has the size 'bach'"),
        ({"x": {"shape": [1], "type": "a"}}, "inputs: x has type; an input has shape, dtype and"),
        ({"x": {"shape": [1], "dtype": "int"}}, "inputs: x has the dtype 'int', which is not one"),
        ({"x": {"shape": [1], "dtype": "int64"}}, "whole numbers are drawn below a whole number"),
        ({"x": {"shape": [1], "dtype": "float32", "below": 3}}, "and others have none"),
        ({3: ["batch"]}, "inputs: 3 is no name of an input"),
    ],
)
def test_inputs_that_make_no_sense_are_one_sentence(inputs, sentence):
    with pytest.raises(ArgumentError) as caught:
        BenchmarkArguments(models="net.py:build", inputs=inputs)
    assert sentence in str(caught.value)


LOSSES = """
import torch

class Both(torch.nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

def inputs(batch_size):
    return {"input": torch.ones(batch_size, 3)}

def loss(output, inputs):
    assert inputs["input"].shape == (2, 3)
    return output.sum() * 0 + 7
"""


SETTING = """
import torch

def usual():
    return torch.nn.Linear(4, 4)

def one_thread():
    torch.set_num_threads(1)
    return usual()

def inexact():
    torch.set_float32_matmul_precision("medium")
    return usual()
"""


def test_a_reference_that_own_code_has_changed_is_another_kernel(folder, monkeypatch):
    """It sets no level for the others, and its drift is not compared with theirs."""
    (folder / "setting.py").write_text(SETTING)
    monkeypatch.setenv("NBBENCH_CACHE", str(folder / "cache"))
    names = ["usual", "one_thread", "inexact"]
    report = measured(
        *(f"setting.py:{name}" for name in names),
        inputs={"input": ["batch", 4]},
        threads=2,
        rounds=3,
    )
    kernels = [{visit.kernel for visit in each.outcome.timing.visits} for each in report.results]
    assert [len(each) for each in kernels] == [1, 1, 1]
    assert len(set.union(*kernels)) == 3
    assert len(read_levels()) == 3


def test_a_training_step_takes_the_loss_beside_the_factory(folder):
    (folder / "losses.py").write_text(LOSSES)
    (folder / "square.py").write_text(LOSSES.replace("def loss", "def no_loss"))
    seen = {}
    for name in ("losses", "square"):
        outcome, built = in_this_process(f"{name}.py:Both", mode="training", optimizer=True)
        assert outcome.status is nbbench.Status.OK, outcome.reason
        built[0]._forward()
        seen[name] = float(built[0]._loss)
    assert seen["losses"] == 7
    assert seen["square"] != 7


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def inputs(size): pass", "beside other.py:Net wants size; it may take batch_size and"),
        (
            "def inputs(): return 5",
            "beside other.py:Net returned a value of type int; it has to return a",
        ),
    ],
)
def test_a_function_of_inputs_that_is_wrong_is_one_sentence(folder, code, sentence):
    (folder / "other.py").write_text(f"import torch\nclass Net(torch.nn.Identity): pass\n{code}\n")
    outcome, _ = in_this_process("other.py:Net")
    assert sentence in outcome.reason


def test_what_is_for_models_of_transformers_is_refused(folder):
    assert "attention sdpa is for models of Transformers" in reason_of(
        "net.py:build", attentions="sdpa"
    )
    outcome, _ = in_this_process("net.py:build", padding=0.3)
    assert "padding and lengths are for models of Transformers" in outcome.reason


def test_the_command_line_and_the_magic_take_it_too(folder, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    flags = ["-b", "2", "--max-time", "0.1", "--rounds", "1", "-d", "cpu"]
    described = '{"x": ["batch", 3, 9, 9]}'
    assert main(["run", "net.py:build", "--inputs", described, *flags]) == 0
    assert "net.py:build" in capsys.readouterr().out
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    body = f"models = ['net.py:build']\ninputs = {described}\n"
    shell.run_cell_magic("tfbench", f"-q --out found {' '.join(flags)}", body)
    InteractiveShell.clear_instance()
    assert list(shell.user_ns["found"].speed.status) == ["ok"]


def test_a_module_of_a_folder_is_found_by_its_dots(folder):
    package = Path("mine/nets")
    package.mkdir(parents=True)
    (package / "small.py").write_text((folder / "net.py").read_text())
    outcome, _ = in_this_process("mine.nets.small:build")
    assert outcome.status is nbbench.Status.OK, outcome.reason
    outcome, _ = in_this_process("mine.nets.small:broken")
    assert "(small.py, line 30" in outcome.reason
