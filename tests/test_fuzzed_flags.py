"""Whatever a command is given, it ends with a code that is documented, and with a sentence."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path

import pytest

from nbbench import cli
from nbbench.arguments.defaults import sentence_of, with_defaults
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.cli import doctor, selftest
from nbbench.environments import build, interpreters
from nbbench.hf import PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments
from nbbench.notebook.magic_flags import magic_parser
from nbbench.text import one_line
from tests.fuzzing import JSON, TEXTS, answer_or_sentence, fuzzed, is_one_sentence, st
from tests.public_listing import FIXTURE

pytestmark = pytest.mark.usefixtures("probe", "offline", "unmeasured")

REPORT = str(FIXTURE)
CODES = {
    "run": {0, 1, 2, 130},
    "compare": {0, 1, 2, 3},
    "doctor": {0, 1, 2},
    "selftest": {0, 1, 2},
    "hf": {0, 1, 2, 130},
    "models": {0, 2},
    "env": {0, 2},
}
_OUTPUTS = ["--save", "--csv", "--log", "--tables", "--json", "--markdown"]
FLAGS = {
    "run": [*magic_parser()._option_string_actions, *_OUTPUTS],
    "compare": ["--fail-slower", "--fail-larger", "--fail-unsure", "--markdown"],
    "doctor": ["--json"],
    "selftest": ["--quick"],
    "hf": [
        f"--{name}"
        for kind in (PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments)
        for name in kind.__dataclass_fields__
    ],
    "models": ["--all"],
    "env": ["--framework", "-f", "-e"],
}  # fmt: skip
WORDS = {
    "run": ["gpt2", "bert-base-uncased", "8", "probe", "cpu", "x.json", "folder", "0.1", "first"],
    "compare": [REPORT, REPORT, "x.json", "5%", "0.05", "nan", "-1", "inf"],
    "doctor": ["x"],
    "selftest": ["x"],
    "hf": ["gpt2", "8", "pytorch", "tensorflow", "x.csv", "true", "false"],
    "models": ["bert", "gpt", "llama", "1b"],
    "env": ["list", "create", "remove", "path", "probe", "mine", "numpy==1", "./x", "numpy @ https://a"],
}  # fmt: skip


@st.composite
def command_lines(draw):
    """A command with flags of its own, words that it takes, and others."""
    name = draw(st.sampled_from(sorted(CODES)))
    flags, words = st.sampled_from(FLAGS[name]), st.sampled_from(WORDS[name])
    argv = draw(
        st.lists(
            st.one_of(
                flags, words, words, TEXTS,
                st.sampled_from(["--", "-h", "--help", "-", "-x", "---"]),
                st.builds("{}={}".format, flags, words | TEXTS),
                st.builds("--{}".format, TEXTS),
            ),
            max_size=6,
        )
    )  # fmt: skip
    begin = {
        "hf": ["pytorch"],
        "compare": [REPORT, REPORT],
        "env": [draw(st.sampled_from(["create", "path", "remove"]))],
        "run": ["gpt2", "-f", "probe"],
    }
    argv = [*(begin.get(name, []) if draw(st.booleans()) else []), *argv]
    return [name, *argv]


@pytest.fixture(autouse=True)
def _quick_commands(tmp_path, monkeypatch):
    """Nothing is measured or built, and what is written is written into a folder of the test."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "folder").mkdir()
    monkeypatch.chdir(inner)
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NBBENCH_DEFAULTS", "")
    monkeypatch.setattr(selftest, "checks", lambda sizes: iter(()))
    monkeypatch.setattr(doctor, "LOAD_S", 0.001)
    monkeypatch.setattr(doctor, "DRIFT_S", 0.001)

    def not_built(*_):
        raise build.EnvironmentNotReady("nothing is built in this test")
        yield

    monkeypatch.setattr(interpreters, "build", not_built)

    def unexpected(*_):
        raise AssertionError("an error that no command should meet")

    monkeypatch.setattr(os, "dup2", unexpected)  # what is done for an output that is closed


def ended(argv):
    """The exit code, and what was printed to the two outputs, as in a process of its own."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    errors = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = cli.main(argv)
    printed = []
    for stream in (out, errors):
        stream.flush()
        printed.append(stream.buffer.getvalue().decode())
    return code, *printed


def is_below(argument):
    """Whether an argument can write nowhere but below the current folder."""
    return not argument.rpartition("=")[2].startswith(("/", ".."))


@fuzzed(
    command_lines().filter(lambda argv: all(is_below(word) for word in argv if word != REPORT)),
    examples=100,
)
def test_any_command_line_ends_with_a_code_and_a_sentence(argv):
    code, out, errors = ended(argv)
    assert code in CODES[argv[0]]
    assert "Traceback" not in out + errors
    if code == 2 and not out:
        assert errors.startswith("nbbench: ")
        assert is_one_sentence(errors.splitlines()[-1])


@fuzzed(st.lists(TEXTS, max_size=3).filter(lambda argv: not {*argv} & {*CODES}), examples=50)
def test_any_other_command_is_none(argv):
    code, out, errors = ended(argv)
    assert code == 2 or out
    assert out or is_one_sentence(errors.removesuffix("\n"))


NAMES = sorted(BenchmarkArguments.model_fields)
DEFAULTS = st.lists(
    st.builds("{} = {}".format, st.sampled_from(NAMES) | TEXTS, JSON.map(json.dumps)), max_size=3
).map("\n".join)


@fuzzed(st.sampled_from(["[tool.nbbench]\n", "[tool]\nnbbench = ", ""]), DEFAULTS, examples=50)
def test_any_defaults_of_a_folder_are_taken_or_refused_in_a_sentence(head, lines):
    Path("pyproject.toml").write_bytes(f"{head}{lines}".encode("utf-8", "surrogatepass"))
    answer = answer_or_sentence(lambda: with_defaults({}))
    assert answer is None or one_line(sentence_of(answer[1])) == sentence_of(answer[1])


@fuzzed(
    st.lists(st.sampled_from(FLAGS["run"] + WORDS["run"]) | TEXTS, max_size=4).map(" ".join),
    examples=50,
)
def test_any_defaults_of_the_variable_are_taken_or_refused_in_a_sentence(text):
    os.environ["NBBENCH_DEFAULTS"] = re.sub("[\0\ud800]", "", text)
    answer_or_sentence(lambda: with_defaults({}))
