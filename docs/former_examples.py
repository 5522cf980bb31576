"""The four examples of the former benchmark's documentation, with one line changed.

    python docs/former_examples.py [--tiny] [pytorch] [tensorflow]

Each prints the tables of inference speed and memory and the environment. --tiny takes models of a
millisecond instead of BERT; the examples of one framework are run where it is named.
"""

import sys

from nbbench.hf import (  # was: from transformers import …
    PyTorchBenchmark,
    PyTorchBenchmarkArguments,
    TensorFlowBenchmark,
    TensorFlowBenchmarkArguments,
)

TINY = "--tiny" in sys.argv
FRAMEWORKS = [word for word in sys.argv[1:] if word != "--tiny"] or ["pytorch", "tensorflow"]
GRID = {"batch_sizes": [8], "sequence_lengths": [8, 32, 128, 512], "env_print": True}


def bert_config(**changes):
    """What ``transformers.BertConfig(**changes)`` says, which may be given as well."""
    tiny = {"hidden_size": 48, "num_hidden_layers": 3, "intermediate_size": 96} if TINY else {}
    if "hidden_size" in changes and TINY:
        changes = {"hidden_size": 24}
    if "num_hidden_layers" in changes and TINY:
        changes = {"num_hidden_layers": 1}
    return {"model_type": "bert", **tiny, **changes}


CONFIGS = [bert_config(), bert_config(hidden_size=384), bert_config(num_hidden_layers=6)]

if __name__ == "__main__":
    one = {"models": ["bert-tiny" if TINY else "bert-base-uncased"], **GRID}
    three = {"models": ["bert-base", "bert-384-hid", "bert-6-lay"], **GRID}

    if "pytorch" in FRAMEWORKS:
        PyTorchBenchmark(PyTorchBenchmarkArguments(**one)).run()
        PyTorchBenchmark(PyTorchBenchmarkArguments(**three), configs=CONFIGS).run()

    if "tensorflow" in FRAMEWORKS:
        TensorFlowBenchmark(TensorFlowBenchmarkArguments(**one)).run()
        TensorFlowBenchmark(TensorFlowBenchmarkArguments(**three), configs=CONFIGS).run()
