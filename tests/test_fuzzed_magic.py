"""Whatever stands on the magic's line and in its cell, it runs or is refused in a sentence."""

from __future__ import annotations

import os

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from nbbench.arguments.schema import BenchmarkArguments, singular_names
from nbbench.notebook.magic_flags import magic_parser
from tests.fuzzing import JSON, TEXTS, fuzzed, is_one_sentence, st

pytestmark = pytest.mark.usefixtures("probe", "offline", "unmeasured")

FLAGS = sorted(magic_parser()._option_string_actions)
NAMES = sorted([*BenchmarkArguments.model_fields, *singular_names()])
WORDS = r"""
gpt2 bert-base-uncased 8 1 probe cpu kernel float16 eager first report x.json auto none true 0.1 $x
{x} ' " \ ; # --
"""


@pytest.fixture(scope="module")
def shell(probe):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    shell.user_ns["x"] = 8
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


LINES = st.lists(
    st.sampled_from(FLAGS)
    | st.sampled_from(WORDS.split())
    | TEXTS
    | st.builds("{}={}".format, st.sampled_from(FLAGS), st.sampled_from(WORDS.split()) | TEXTS)
    | st.builds("{} {}".format, st.sampled_from(FLAGS), st.sampled_from(WORDS.split()) | TEXTS),
    max_size=6,
).map(lambda words: " ".join(words).replace("\n", " "))

GOOD_VALUES = """
'gpt2' | [1, 8] | True | None | 8 | x | ['probe'] | 1e999 | -1 | () | {'model_type': 'bert'}
[_x for _x in 'ab'] | iter([]) | 'a' * 9999 | print | object() | lambda: 1 | Exception | range(3)
"""
BAD_VALUES = """
1/0 | ( | yield | await x | *x | 9 ** 9999 | __import__('sys').exit(3)
type('T', (), {'__repr__': 1})()
"""
ODD_STATEMENTS = r"""
import math as models | def f(): pass | class models: pass | global models | del models | # | %pwd
for models in 'ab': pass | raise KeyError | return | _ = 1; | assert False, 'a\nb' | !true | ?x
with open('/dev/null') as models: pass | (models := ['gpt2']) | models = batch_sizes = ['gpt2']
models, (dtype, *threads) = x, [1] | from os import * | raise SystemExit
raise type('E', (Exception,), {'__str__': lambda s: 1})
"""


def listed(text):
    """What stands between bars and line ends."""
    return st.sampled_from(
        [each for line in text.split("\n") for each in line.split(" | ") if each]
    )


VALUES = listed(GOOD_VALUES) | listed(BAD_VALUES) | JSON.map(repr) | TEXTS.map(repr)

STATEMENTS = (
    st.builds("{} = {}".format, st.sampled_from(NAMES), VALUES)
    | st.builds("{} = {}".format, TEXTS, VALUES)
    | st.builds("{}: {} = {}".format, st.sampled_from(NAMES), VALUES, VALUES)
    | st.builds("{} += {}".format, st.sampled_from(NAMES), VALUES)
    | listed(ODD_STATEMENTS)
    | st.sampled_from(
        ["if True:\n    models = 'gpt2'", "try:\n    1/0\nfinally:\n    pass", "\x00"]
    )
    | TEXTS
)


def answer_of(shell, *call):
    """What the magic gives or prints; a refusal has to be a sentence."""
    try:
        return (
            shell.run_cell_magic("tfbench", *call)
            if len(call) == 2
            else shell.run_line_magic("tfbench", *call)
        )
    except UsageError as error:
        sentence = str(error)
    assert is_one_sentence(sentence), sentence
    return None


def is_shown(answer):
    return answer is None or (repr(answer) and hasattr(answer, "__class__"))


@fuzzed(LINES, examples=100)
def test_any_line_runs_or_is_refused_in_a_sentence(shell, line):
    assert is_shown(answer_of(shell, line))


@fuzzed(
    LINES | st.just("gpt2 -f probe"), st.lists(STATEMENTS, max_size=4).map("\n".join), examples=100
)
def test_any_cell_runs_or_is_refused_in_a_sentence(shell, line, body):
    assert is_shown(answer_of(shell, line, body))
    assert os.getcwd()
