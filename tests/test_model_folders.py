"""Folders that are more than a configuration: code of their own, adapters, pooled sentences."""

from __future__ import annotations

import json

import pytest

import nbbench
from nbbench.plan.models import find_model
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.messages import RunCase
from nbbench.worker.run_case import run_case
from tests.conftest import TINY_BERT

TINY_LLAMA = {
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 99,
    "architectures": ["LlamaForCausalLM"],
}

CONFIGURATION = """
from transformers import PretrainedConfig

class MineConfig(PretrainedConfig):
    model_type = "mine"

    def __init__(self, width=8, vocab_size=20, **others):
        self.width, self.vocab_size = width, vocab_size
        super().__init__(**others)
"""

MODELING = """
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from .configuration_mine import MineConfig

class MineModel(PreTrainedModel):
    config_class = MineConfig

    def __init__(self, config):
        super().__init__(config)
        self.tokens = torch.nn.Embedding(config.vocab_size, config.width)
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        if self.config.width == 13:
            raise RuntimeError("an unlucky width")
        return BaseModelOutput(last_hidden_state=self.tokens(input_ids))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write(path, content):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def mine(folder):
    """A folder whose configuration and model are code beside them."""
    auto_map = {
        "AutoConfig": "configuration_mine.MineConfig",
        "AutoModel": "modeling_mine.MineModel",
    }
    config = {"model_type": "mine", "architectures": ["MineModel"], "auto_map": auto_map}
    write(folder / "mine" / "config.json", config)
    write(folder / "mine" / "configuration_mine.py", CONFIGURATION)
    write(folder / "mine" / "modeling_mine.py", MODELING)
    return folder / "mine"


def measured(*models, **arguments):
    quick = {"batch_sizes": 2, "sequence_lengths": 4, "max_time": 0.1, "rounds": 1}
    (result,) = nbbench.run(*models, progress=False, device="cpu", **{**quick, **arguments}).results
    return result


@pytest.mark.filterwarnings("ignore:.*auto_map")
def test_code_in_a_folder_runs_where_it_is_trusted_alone(mine):
    result = measured(str(mine))
    assert result.outcome.status is nbbench.Status.UNSUPPORTED
    assert "is not run, but with trust_remote_code=True for a model's folder" in (
        result.outcome.reason
    )
    result = measured(str(mine), trust_remote_code=True)
    assert result.outcome.status is nbbench.Status.OK, result.outcome.reason
    assert result.outcome.architecture == "MineModel"
    assert result.case.config_source == "folder, its own code trusted"
    assert result.outcome.parameter_count == 20 * 8


HEAD = """
from transformers.modeling_outputs import CausalLMOutput

class MineSpeaker(MineModel):
    def forward(self, input_ids, attention_mask=None, labels=None):
        scores = self.tokens(input_ids) @ self.tokens.weight.T
        loss = None
        if labels is not None:
            loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())
        return CausalLMOutput(loss=loss, logits=scores)
"""


def test_a_folders_head_is_trained_as_what_its_auto_map_calls_it(mine):
    config = json.loads((mine / "config.json").read_text())
    config["auto_map"]["AutoModelForCausalLM"] = "modeling_mine.MineSpeaker"
    write(mine / "config.json", {**config, "architectures": ["MineSpeaker"]})
    write(mine / "modeling_mine.py", MODELING + HEAD)
    result = measured(str(mine), trust_remote_code=True, inference=False, training=True)
    assert result.outcome.status is nbbench.Status.OK, result.outcome.reason
    assert result.outcome.architecture == "MineSpeaker"


def test_an_error_in_a_folders_code_has_its_line(mine):
    config = json.loads((mine / "config.json").read_text())
    write(mine / "config.json", {**config, "width": 13})
    result = measured(str(mine), trust_remote_code=True)
    assert result.outcome.status is nbbench.Status.ERROR
    assert "RuntimeError: an unlucky width (modeling_mine.py, line 17: raise" in (
        result.outcome.reason
    )


@pytest.mark.parametrize(
    ("auto_map", "sentence"),
    [
        ({"AutoConfig": "someone/else--configuration.Mine"}, "lies in another repository (someone"),
        ({"AutoConfig": "nothing.Mine"}, "cannot be loaded: "),
        ({"AutoConfig": 5}, "lies in another repository (5)"),
    ],
)
def test_code_that_is_not_in_the_folder_is_not_fetched(mine, auto_map, sentence):
    config = json.loads((mine / "config.json").read_text())
    write(mine / "config.json", {**config, "auto_map": auto_map})
    result = measured(str(mine), trust_remote_code=True)
    assert result.outcome.status is nbbench.Status.UNSUPPORTED
    assert sentence in result.outcome.reason


def test_no_folders_file_can_trust_code(folder, monkeypatch):
    from nbbench.arguments.defaults import from_pyproject

    monkeypatch.chdir(folder)
    write(folder / "pyproject.toml", "[tool.nbbench]\ntrust-remote-code = true\n")
    with pytest.raises(nbbench.ArgumentError, match="trust_remote_code cannot be set by a folder"):
        from_pyproject()


def test_trusted_code_without_a_folder_asks_for_one(folder):
    config = {**TINY_BERT, "auto_map": {"AutoModel": "modeling.Mine"}}
    result = measured("mine", configs=[config], trust_remote_code=True)
    assert "is run from a folder alone; download the repository" in result.outcome.reason


@pytest.fixture
def adapter(folder):
    write(folder / "base" / "config.json", TINY_LLAMA)
    lora = {
        "base_model_name_or_path": "../base", "peft_type": "LORA", "task_type": "CAUSAL_LM",
        "r": 4, "target_modules": ["q_proj"], "inference_mode": True, "of_a_later_version": None,
    }  # fmt: skip
    write(folder / "lora" / "adapter_config.json", lora)
    return folder / "lora"


def run_once(name, **fields):
    backend = TorchBackend()
    backend.load()
    found = find_model(str(name))
    case = Case(
        framework="pytorch", model="here", config=found.config, config_source=found.source,
        source=found.path, device="cpu", max_time=0.1, batch_size=2, sequence_length=4, **fields,
    )  # fmt: skip
    return run_case(backend, RunCase(case), lambda event: None)


def test_an_adapter_names_the_package_that_it_needs(adapter, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    outcome = run_once(adapter)
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "here is an adapter, which is run by the package peft" in outcome.reason


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_an_adapter_is_measured_over_its_base_model(adapter, mode):
    pytest.importorskip("peft")
    outcome = run_once(adapter, mode=mode)
    assert outcome.status is nbbench.Status.OK, outcome.reason
    assert outcome.architecture == "LlamaForCausalLM + LORA"
    base = run_once(adapter.parent / "base")
    assert outcome.parameter_count == base.parameter_count + 2 * 2 * 32 * 4
    if mode == "training":
        assert outcome.memory.gradients in (None, 2 * 2 * 32 * 4 * 4), "all else is frozen"


def test_an_adapter_of_an_unknown_type_is_one_sentence(adapter):
    pytest.importorskip("peft")
    config = json.loads((adapter / "adapter_config.json").read_text())
    write(adapter / "adapter_config.json", {**config, "peft_type": "NEW"})
    assert "is an adapter of type 'NEW', which peft" in run_once(adapter).reason


def test_an_adapter_runs_in_pytorch_alone(adapter):
    from nbbench.worker.backend import Unsupported
    from nbbench.worker.backends.transformers_models import make_config

    found = find_model(str(adapter))
    case = Case("tensorflow", "here", found.config, found.source, 1, 4)
    with pytest.raises(Unsupported, match="here is an adapter, which runs in PyTorch alone"):
        make_config(pytest.importorskip("transformers"), case)


@pytest.fixture
def sentences(folder):
    config = {**TINY_BERT, "architectures": ["BertModel"]}
    write(folder / "st" / "config.json", config)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense", "3_Norm": "Normalize"}
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    write(folder / "st" / "modules.json", listed)
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    write(folder / "st" / "1_Pooling" / "config.json", pooling)
    dense = {
        "in_features": 64, "out_features": 16, "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }  # fmt: skip
    write(folder / "st" / "2_Dense" / "config.json", dense)
    return folder / "st"


def test_a_folder_of_sentences_names_the_package_that_it_needs(sentences, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    outcome = run_once(sentences)
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "has no such package; install it there" in outcome.reason


def test_a_folder_of_sentences_is_measured_with_its_modules(sentences):
    pytest.importorskip("sentence_transformers")
    outcome = run_once(sentences, padding=0.3)
    assert outcome.status is nbbench.Status.OK, outcome.reason
    assert outcome.architecture == "BertModel + Pooling + Dense + Normalize"
    assert outcome.real_tokens_per_call < outcome.tokens_per_call
    bare = run_once(sentences / "config.json")
    assert outcome.parameter_count == bare.parameter_count + 64 * 16 + 16


def test_a_folder_of_sentences_makes_the_vectors_of_encode(sentences):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("sentence_transformers")
    modules = json.loads((sentences / "modules.json").read_text())
    write(sentences / "modules.json", [each for each in modules if "Dense" not in each["type"]])
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (sentences / "vocab.txt").write_text("\n".join(tokens))
    write(sentences / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    backend = TorchBackend()
    backend.load()
    found = find_model(str(sentences))
    case = Case("pytorch", "here", found.config, found.source, 4, 8, source=found.path,
                device="cpu", padding=0.3)  # fmt: skip
    model = backend.build(case, backend.open(case))
    call, _ = model.prepare()
    model._model.transformer.save_pretrained(sentences)
    given = package.SentenceTransformer(str(sentences), device="cpu")
    with torch.inference_mode():
        wanted = given(dict(model._inputs))["sentence_embedding"]
    assert wanted.shape == (4, 64)
    assert torch.allclose(call(), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["os.getcwd", "sentence_transformers.util.http_get"])
def test_a_folder_of_sentences_runs_the_packages_modules_alone(sentences, kind):
    pytest.importorskip("sentence_transformers")
    modules = json.loads((sentences / "modules.json").read_text())
    modules[2]["type"] = kind
    write(sentences / "modules.json", modules)
    assert f"has the module {kind}, which is no part of" in run_once(sentences).reason


def test_a_folder_of_sentences_is_not_trained(sentences):
    assert "measures in inference alone" in run_once(sentences, mode="training").reason


def test_a_folder_with_code_of_its_own_is_predicted(mine):
    found = nbbench.predict(
        str(mine), trust_remote_code=True, batch_sizes=[2], sequence_lengths=[8], progress=False
    )
    outcome = found.results[0].outcome
    assert outcome.architecture == "MineModel"
    assert outcome.prediction.weights == 4 * outcome.parameter_count > 0


def is_predicted_as_it_runs(path):
    values = {"batch_sizes": [2], "sequence_lengths": [8], "progress": False}
    predicted = nbbench.predict(str(path), **values).results[0].outcome
    measured = nbbench.run(str(path), max_time=0.05, **values).results[0].outcome
    assert predicted.architecture == measured.architecture
    return predicted.prediction.call.peak == pytest.approx(measured.count.peak, rel=0.02)


def test_an_adapter_is_predicted_over_its_base_model(adapter):
    pytest.importorskip("peft")
    assert is_predicted_as_it_runs(adapter)


def test_a_folder_of_sentences_is_predicted_with_its_modules(sentences):
    pytest.importorskip("sentence_transformers")
    assert is_predicted_as_it_runs(sentences)
