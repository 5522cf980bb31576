"""What the tests of Transformers' own benchmark asserted, by their names, of the same models.

There were 13 for PyTorch and 11 for TensorFlow. Each is run with ``multi_process`` and without.
Those of TensorFlow are slow, since an environment is made for it where it is not installed beside
nbbench; they run there with ``multi_process`` alone.
"""

from __future__ import annotations

import importlib.util
import json
from types import SimpleNamespace

import pytest

from nbbench.hf import (
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:multi_process=False:UserWarning"),
    pytest.mark.usefixtures("quick_samples"),
]

GPT2, DISTILBERT = "sshleifer/tiny-gpt2", "sgugger/tiny-distilbert-classification"
BART, T5 = "sshleifer/tinier_bart", "patrickvonplaten/t5-tiny-random"
CONFIGS = {
    GPT2: {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": 2, "n_head": 2,
        "n_layer": 2, "n_positions": 1024, "vocab_size": 50257,
    },
    DISTILBERT: {
        "model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"],
        "dim": 2, "hidden_dim": 2, "n_heads": 2, "n_layers": 2, "vocab_size": 30522,
    },
    BART: {
        "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 24,
        "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
        "vocab_size": 50265,
    },
    T5: {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 64,
        "d_ff": 256, "d_kv": 8, "num_heads": 4, "num_layers": 2, "vocab_size": 1103,
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _models(tmp_path, monkeypatch):
    """Folders by the models' names on the hub, in the current folder."""
    for name, config in CONFIGS.items():
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=[True, False], ids=["multi_process", "one_process"])
def multi_process(request):
    return request.param


def config_of(name, **changes):
    """A config object, as AutoConfig.from_pretrained gave."""
    values = {**CONFIGS[name], **changes}
    return SimpleNamespace(model_type=values["model_type"], to_dict=lambda: values)


def check_results_dict_not_empty(results):
    """The original's own check; it let "N/A" pass, and this one does not."""
    for model in results.values():
        for batch_size, sequence_length in zip(model["bs"], model["ss"], strict=True):
            result = model["result"][batch_size][sequence_length]
            assert result is not None
            assert result != "N/A"


SMALL = {"sequence_lengths": [8], "batch_sizes": [1]}


class TestPyTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        pytest.importorskip("torch")

    @pytest.fixture
    def run(self, multi_process):
        def run(model=GPT2, configs=None, *, training=False, **arguments):
            benchmark_args = PyTorchBenchmarkArguments(
                models=[model],
                training=training,
                multi_process=multi_process,
                **{"inference": True, **SMALL, **arguments},
            )
            return PyTorchBenchmark(benchmark_args, configs=configs).run()

        return run

    def check_inference(self, results):
        check_results_dict_not_empty(results.time_inference_result)
        check_results_dict_not_empty(results.memory_inference_result)

    def check_train(self, results):
        check_results_dict_not_empty(results.time_train_result)
        check_results_dict_not_empty(results.memory_train_result)

    def test_inference_no_configs(self, run):
        self.check_inference(run())

    def test_inference_no_configs_only_pretrain(self, run):
        self.check_inference(run(DISTILBERT, only_pretrain_model=True))

    def test_inference_torchscript(self, run):
        self.check_inference(run(torchscript=True))

    def test_inference_fp16(self, run):
        self.check_inference(run(fp16=True))

    def test_inference_no_model_no_architectures(self, run):
        self.check_inference(run(configs=[config_of(GPT2, architectures=None)], training=True))

    def test_train_no_configs(self, run):
        self.check_train(run(training=True, inference=False))

    def test_train_no_configs_fp16(self, run):
        self.check_train(run(training=True, inference=False, fp16=True))

    def test_inference_with_configs(self, run):
        self.check_inference(run(configs=[config_of(GPT2)]))

    def test_inference_encoder_decoder_with_configs(self, run):
        self.check_inference(run(BART, configs=[config_of(BART)]))

    def test_train_with_configs(self, run):
        self.check_train(run(configs=[config_of(GPT2)], training=True, inference=False))

    def test_train_encoder_decoder_with_configs(self, run):
        self.check_train(run(BART, configs=[config_of(BART)], training=True))

    def test_save_csv_files(self, run, tmp_path):
        names = ("inference_time", "train_time", "inference_memory", "train_memory", "env_info")
        check_csv_files(run, tmp_path, names, training=True)

    def test_trace_memory(self, run, tmp_path):
        log = tmp_path / "log.txt"
        results = run(
            training=True, trace_memory_line_by_line=True, log_print=True, log_filename=str(log)
        )
        check_summary(results.inference_summary)
        check_summary(results.train_summary)
        assert log.exists()


@pytest.mark.slow
class TestTensorFlow:
    @pytest.fixture
    def run(self, multi_process):
        if not multi_process and importlib.util.find_spec("tensorflow") is None:
            pytest.skip("tensorflow is not installed here")

        def run(model=GPT2, configs=None, *, training=False, **arguments):
            benchmark_args = TensorFlowBenchmarkArguments(
                models=[model],
                training=training,
                multi_process=multi_process,
                **{"inference": True, **SMALL, **arguments},
            )
            return TensorFlowBenchmark(benchmark_args, configs).run()  # by position, as they did

        return run

    check_inference = TestPyTorch.check_inference
    check_train = TestPyTorch.check_train

    def test_inference_no_configs_eager(self, run):
        self.check_inference(run(eager_mode=True))

    def test_inference_no_configs_only_pretrain(self, run):
        self.check_inference(run(DISTILBERT, only_pretrain_model=True))

    def test_inference_no_configs_graph(self, run):
        self.check_inference(run())

    def test_inference_with_configs_eager(self, run):
        self.check_inference(run(configs=[config_of(GPT2)], eager_mode=True))

    def test_inference_with_configs_graph(self, run):
        self.check_inference(run(configs=[config_of(GPT2)]))

    def test_train_no_configs(self, run):
        self.check_train(run(training=True, inference=False))

    def test_train_with_configs(self, run):
        self.check_train(run(configs=[config_of(GPT2)], training=True, inference=False))

    def test_inference_encoder_decoder_with_configs(self, run):
        self.check_inference(run(T5, configs=[config_of(T5)]))

    def test_inference_no_configs_xla(self, run):
        self.check_inference(run(use_xla=True))

    def test_save_csv_files(self, run, tmp_path):
        names = ("inference_time", "inference_memory", "env_info")
        check_csv_files(run, tmp_path, names)

    def test_trace_memory(self, run, tmp_path):
        log = tmp_path / "log.txt"
        results = run(
            eager_mode=True, trace_memory_line_by_line=True, log_print=True, log_filename=str(log)
        )
        check_summary(results.inference_summary)
        assert log.exists()


def check_csv_files(run, folder, names, **arguments):
    files = {name: folder / f"{name}.csv" for name in names}
    run(
        save_to_csv=True,
        **{f"{name}_csv_file": str(file) for name, file in files.items()},
        **arguments,
    )
    for file in files.values():
        assert file.exists()


def check_summary(summary):
    for part in ("sequential", "cumulative", "current", "total"):
        assert hasattr(summary, part)
    assert len(summary.sequential) == len(summary.current) > 10
    assert all(state.frame.module.startswith("transformers") for state in summary.sequential)
