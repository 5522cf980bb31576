"""The form: fields from the schema, messages as one types, and the way a front end drives it."""

from __future__ import annotations

import queue
from contextlib import suppress

import ipywidgets
import pytest

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.arguments.words import split_words
from nbbench.notebook.cell_body import read_body
from tests.conftest import TINY_BERT, wait_until
from tests.test_kernel import Kernel, kernel  # noqa: F401 - a fixture


def filled(**arguments):
    return nbbench.form("bert-tiny", **arguments)


def told(form, name):
    return form._fields[name]._message.value


def test_there_is_a_field_for_every_argument_with_its_help():
    form = filled()
    assert set(form._fields) == set(BenchmarkArguments.model_fields) - {"configs"}
    for name, field in form._fields.items():
        assert field.help == BenchmarkArguments.model_fields[name].description


def test_left_alone_it_asks_for_the_defaults():
    assert filled().arguments() == BenchmarkArguments(models=["bert-tiny"])


def test_what_is_wrong_is_told_beside_its_field_and_run_is_off():
    form = filled()
    form._fields["batch_sizes"]._widget.value = "1 zero"
    form._fields["precision"]._widget.value = "2"
    assert "&#x27;zero&#x27; is not a whole number" in told(form, "batch_sizes")
    assert "is not a fraction below 1" in told(form, "precision")
    assert told(form, "max_time") == ""
    assert form._run_button.disabled
    form._fields["batch_sizes"]._widget.value = "1, 2"
    form._fields["precision"]._widget.value = "0.05"
    assert told(form, "batch_sizes") == told(form, "precision") == ""
    assert not form._run_button.disabled
    form._fields["inference"]._widget.value = False
    assert "leaves nothing to measure" in told(form, "inference")


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_sizes": [1, 2], "sequence_lengths": [8], "training": True},
        {"dtype": ["bfloat16", "float32"], "threads": 2, "execution": ["eager", "compile"]},
        {"environments": ["kernel", "transformers==4.57.6 torch<3"], "max_time": 0.5},
        {"frameworks": ["tensorflow", "pytorch"], "device": "cpu", "seed": 7, "baseline": "first"},
        {"environments": ["kernel", "transformers>=4.50,<4.58", "./a, b"]},
        {"lengths": [10, 20, 30]},
        {"lengths": ["a film, and a good one", '"quoted"']},
        {"lengths": "uniform(2,4)", "sequence_lengths": [8, 32, 128, 512]},
    ],
)
def test_what_it_begins_with_comes_back_also_from_its_cell(arguments):
    form = filled(**arguments)
    assert form.arguments() == BenchmarkArguments(models=["bert-tiny"], **arguments)
    head, _, body = form.cell().partition("\n")
    assert head == "%%tfbench --out report"
    assert BenchmarkArguments(**read_body(body, {})) == form.arguments()


def test_rows_are_cut_by_lengths_that_are_given_and_by_no_default():
    form = filled(lengths="uniform(2,4)")
    assert form.arguments().longest_rows == [None]
    form._fields["sequence_lengths"]._widget.value = "8"
    assert form.arguments().longest_rows == [8]


def test_what_cannot_be_together_is_told_in_the_form():
    form = filled(batch_sizes=8, padding=0.3, lengths="uniform(1,2)", training=1)
    assert "padding and lengths both say how long rows are" in form._estimate.value
    assert form._run_button.disabled
    form._fields["lengths"]._widget.value = ""
    assert form.arguments().paddings == [0.3]


def test_paths_of_windows_keep_their_backslashes(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert split_words(r".\models\tiny 'C:\my models\x' -b 8") == [
        r".\models\tiny", r"C:\my models\x", "-b", "8",
    ]  # fmt: skip
    assert split_words(r'--inputs "{\"x\": [1]}" "\\server\x y"') == [
        "--inputs", '{"x": [1]}', r"\\server\x y",
    ]  # fmt: skip
    form = filled()
    form._fields["environments"]._widget.value = r"C:\envs\old"
    assert form.arguments().environments == [r"C:\envs\old"]


def test_configs_are_kept():
    form = nbbench.form(configs=[TINY_BERT], batch_sizes=[1])
    assert form.arguments().configs == [TINY_BERT]
    assert form.arguments().models == ["bert-1"]
    assert "'hidden_size': 64" in form.cell()


class SomeConfig:
    model_type = "bert"

    def to_dict(self):
        return {"hidden_size": 64, "time_step_limit": (0.0, float("inf"))}


@pytest.mark.parametrize(
    "configs",
    [
        SomeConfig(),
        [SomeConfig(), TINY_BERT],
        TINY_BERT,
        (TINY_BERT for _ in range(2)),
        {"model_type": "bert", "scale": float("nan"), "on": True, "none": None, "t": [1]},
    ],
)
def test_configs_of_any_kind_come_back_from_its_cell(configs):
    form = nbbench.form(configs=configs, batch_sizes=[1])
    _, _, body = form.cell().partition("\n")
    again = BenchmarkArguments(**read_body(body, {}))
    assert again.configs
    assert again.model_dump_json() == form.arguments().model_dump_json()


def test_what_is_no_configuration_is_told_at_once():
    with pytest.raises(nbbench.ArgumentError, match="configs: number 1 is a int"):
        nbbench.form(configs=[3])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"batch_size": 1}, "did you mean 'batch_sizes'"), ({"batch_sizes": [0]}, "above 0")],
)
def test_wrong_defaults_are_one_sentence(wrong, sentence):
    with pytest.raises(nbbench.ArgumentError, match=sentence):
        nbbench.form(**wrong)


def test_a_model_that_is_nowhere_is_told_and_run_can_be_tried_again(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    form = nbbench.form("./no-such-folder")
    form.run()
    wait_until(lambda: "there is no model folder" in form._status.value)
    wait_until(lambda: not form._running)
    assert form.report is None


@pytest.mark.parametrize(
    "arguments",
    [{"padding": 0.3}, {"lengths": [3, 4]}, {"inputs": {"x": [1]}}, {"batch_sizes": "max"}],
)
def test_whatever_else_is_given_a_model_that_is_nowhere_is_told_beside_its_field(arguments):
    form = nbbench.form("./no-such-folder", **arguments)
    assert "there is no model folder" in told(form, "models")
    assert "0 cases" in form._estimate.value


def test_after_all_widgets_were_closed_there_is_a_form_again():
    filled()
    ipywidgets.Widget.close_all()
    assert filled().arguments() == BenchmarkArguments(models=["bert-tiny"])


class FrontEnd:
    """A front end as a kernel sees it: models of widgets, and messages to them."""

    def __init__(self, client):
        self.client, self.models = client, {}

    def wait_until(self, condition):
        """Read what the kernel sends of its widgets, message by message, until it is so."""

        def read_and_ask():
            with suppress(queue.Empty):
                while not condition():
                    self._read(self.client.get_iopub_msg(timeout=0.1))
            return condition()

        wait_until(read_and_ask)

    def _read(self, message):
        content = message["content"]
        if message["msg_type"] == "comm_open":
            self.models[content["comm_id"]] = dict(content["data"].get("state", {}))
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "update":
            self.models.setdefault(content["comm_id"], {}).update(content["data"]["state"])

    def shown(self, name):
        """What the widgets have by this name."""
        return [str(state.get(name)) for state in self.models.values()]

    def find(self, description):
        (found,) = [
            key for key, state in self.models.items() if state.get("description") == description
        ]
        return found

    def send(self, comm_id, **data):
        content = {"comm_id": comm_id, "data": data}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content))

    def type(self, description, value):
        state = {"value": value}
        self.send(self.find(description), method="update", state=state, buffer_paths=[])

    def click(self, description):
        self.send(self.find(description), method="custom", content={"event": "click"})


def test_a_front_end_drives_it_by_messages(kernel):  # noqa: F811
    """As JupyterLab, VS Code and Colab do, whatever the version of ipywidgets."""
    pytest.importorskip("torch")
    front = FrontEnd(kernel.client)
    kernel.client.execute(
        "%load_ext nbbench\n%tfbench --form --max-time 0.2 -d cpu -s 8 --out found"
    )
    front.wait_until(lambda: "Cancel" in front.shown("description"))
    front.type("models", "bert-tiny")
    front.wait_until(lambda: "bert-tiny ×" in front.shown("description"))
    front.type("batch sizes", "1 x")
    wrong = "&#x27;x&#x27; is not a whole number"
    front.wait_until(lambda: any(wrong in value for value in front.shown("value")))
    front.wait_until(lambda: front.models[front.find("Run")]["disabled"])
    front.type("batch sizes", "1 2")
    front.wait_until(lambda: not front.models[front.find("Run")]["disabled"])
    front.click("Run")
    front.wait_until(lambda: not front.models[front.find("Cancel")]["disabled"])
    front.wait_until(lambda: front.models[front.find("Cancel")]["disabled"])
    front.wait_until(lambda: not front.models[front.find("Run")]["disabled"])
    assert kernel.run("print(found.speed.status.tolist())").strip() == "['ok', 'ok']"


def test_a_list_of_models_and_names_that_are_typed_together():
    form = nbbench.form(["bert-tiny", "gpt2"])
    form._fields["models"]._entry.value = "t5-small, opt-125m"
    assert form.arguments().models == ["bert-tiny", "gpt2", "t5-small", "opt-125m"]
    form._fields["models"]._entry.value = "./nowhere"
    assert "there is no model folder" in told(form, "models")
    assert form._run_button.disabled


def test_many_names_at_once_and_a_folder_of_the_home_with_a_blank(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "my model").mkdir()
    names = [f"an-owner-of-models/a-model-with-a-name-{number}" for number in range(12)]
    form = nbbench.form(batch_sizes=[1])
    form._fields["models"].add(", ".join(names))
    form._fields["models"].add("~/my model")
    assert form._fields["models"].read() == [*names, "~/my model"]


def test_the_reports_name_is_one_for_a_variable():
    form = filled()
    form._out.value = "1x"
    assert "&#x27;1x&#x27; is no name for a variable" in form._out_message.value
    assert form._run_button.disabled
    with pytest.raises(nbbench.ArgumentError, match="'a b' is no name"):
        filled(out="a b")
