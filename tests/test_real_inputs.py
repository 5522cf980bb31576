"""Padding, and rows of several lengths: masks as they come, and how many tokens are real."""

from __future__ import annotations

import itertools
import json

import pandas as pd
import pytest

import nbbench
from nbbench import ArgumentError, BenchmarkArguments
from nbbench.plan.cases import expand
from nbbench.plan.models import ModelConfig, find_model
from nbbench.plan.row_lengths import RowLengths
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.inputs.padding import spread
from nbbench.worker.messages import RunCase
from nbbench.worker.run_case import run_case
from tests.conftest import TINY_BERT

TINY_GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 90}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film", "bad", "very"]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 33])
@pytest.mark.parametrize("padding", [0.1, 0.3, 0.5, 0.9])
def test_padding_is_spread_over_the_rows_and_its_sum_is_right(batch_size, padding):
    rows = spread(batch_size, 100, padding)
    assert sum(rows) == pytest.approx(batch_size * 100 * (1 - padding), abs=batch_size / 2)
    assert all(after >= before - 1 for before, after in itertools.pairwise(rows))
    assert min(rows) >= 1
    if batch_size > 1 and padding <= 0.5:
        assert rows[-1] == pytest.approx(100, abs=1), "the longest row is whole"


def built(config, **fields):
    pytest.importorskip("torch")
    backend = TorchBackend()
    backend.load()
    case = Case(
        framework="pytorch", model="tiny", config=config, config_source="given", device="cpu",
        max_time=0.1, **{"batch_size": 4, "sequence_length": 10, **fields},
    )  # fmt: skip
    models = []
    build = backend.build
    backend.build = lambda *given: models.append(build(*given)) or models[-1]
    return run_case(backend, RunCase(case), lambda event: None), models[-1]


def test_padded_tokens_have_a_mask_of_zero_the_padding_id_and_no_label():
    config = {**TINY_BERT, "pad_token_id": 9, "architectures": ["BertForMaskedLM"]}
    outcome, model = built(config, padding=0.3, mode="training")
    assert outcome.status is nbbench.Status.OK, outcome.reason
    assert (outcome.tokens_per_call, outcome.real_tokens_per_call) == (40, 28)
    mask, ids, labels = (model._inputs[name] for name in ("attention_mask", "input_ids", "labels"))
    assert mask.sum(1).tolist() == [4, 6, 8, 10]
    assert (mask[:, :-1] >= mask[:, 1:]).all(), "padding is at the right"
    assert (ids[mask == 0] == 9).all()
    assert (labels[mask == 0] == -100).all()
    assert (labels[mask == 1] >= 0).all()


def test_the_side_of_padding_is_the_tokenizers(tmp_path):
    (tmp_path / "tokenizer_config.json").write_text('{"padding_side": "left"}')
    _, model = built(TINY_GPT2, padding=0.3, source=str(tmp_path))
    mask = model._inputs["attention_mask"]
    assert (mask[:, :-1] <= mask[:, 1:]).all()


def test_a_model_without_a_mask_or_with_images_cannot_be_padded():
    clip = {"model_type": "clip", "projection_dim": 8}
    clip |= {
        f"{part}_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                           "intermediate_size": 16}
        for part in ("text", "vision")
    }  # fmt: skip
    outcome, _ = built(clip, padding=0.3)
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "tiny is given more than text; leave padding and lengths out" in outcome.reason


def test_samples_of_several_texts_are_not_padded():
    config = {**TINY_BERT, "architectures": ["BertForMultipleChoice"]}
    outcome, _ = built(config, padding=0.3)
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "nbbench pads samples of one text, and those of tiny have several" in outcome.reason


def test_thirty_percent_of_padding_is_reported_beside_none(tmp_path):
    pytest.importorskip("torch")
    report = nbbench.run(
        "tiny", configs=[TINY_BERT], batch_sizes=4, sequence_lengths=10, padding=[0, 0.3],
        max_time=0.1, rounds=1, progress=False, device="cpu",
    )  # fmt: skip
    rows = report.speed.set_index("padding")
    assert list(rows.status) == ["ok", "ok"]
    ratio = rows.real_tokens_per_s / rows.tokens_per_s
    assert ratio.tolist() == pytest.approx([1, 0.7])
    assert {"padding", "real tokens/s"} <= {*report.summary.columns}
    assert "0.3 padding" in report.results[1].case.label
    report.save(tmp_path / "report.json")
    again = nbbench.Report.load(tmp_path / "report.json")
    assert again.speed.real_tokens_per_s.tolist() == rows.real_tokens_per_s.tolist()


def cases_of(**arguments):
    arguments = BenchmarkArguments(models="tiny", configs=[TINY_BERT], **arguments)
    return expand(arguments, [ModelConfig("tiny", TINY_BERT, "given")], [("pytorch", "kernel")])


def test_lengths_are_drawn_by_the_seed_and_are_the_same_for_all_cases_of_a_batch():
    cases = cases_of(lengths="uniform(3, 9)", batch_sizes=[1, 50], dtypes=["float32", "float16"])
    assert len(cases) == 4
    small, large = ([c for c in cases if c.batch_size == size] for size in (1, 50))
    assert len({case.row_lengths for case in small}) == 1
    assert len({case.row_lengths for case in large}) == 1
    rows = large[0].row_lengths
    assert (min(rows), max(rows), len(rows)) == (3, 9, 50)
    assert large[0].sequence_length == 9
    assert cases_of(lengths="uniform(3,9)", batch_sizes=50, seed=1)[0].row_lengths != rows


def test_given_sequence_lengths_cut_the_rows():
    cases = cases_of(lengths=[5, 5, 90, 700], batch_sizes=4, sequence_lengths=[8, 64])
    assert [max(case.row_lengths) for case in cases] == [8, 64]
    usual = BenchmarkArguments(models="tiny").sequence_lengths
    cases = cases_of(lengths=[700, 800], batch_sizes=2, sequence_lengths=usual)
    assert [max(case.row_lengths) for case in cases] == usual
    assert len(cases_of(lengths=[700, 800], batch_sizes=2)) == 1
    assert len(cases_of(lengths=[5, 6], batch_sizes=2, sequence_lengths=[64, 128])) == 1


def test_lengths_of_a_file_make_a_sweep(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "traffic.csv").write_text("tokens,user\n3,a\n9,b\n6,a\n")
    report = nbbench.run(
        "tiny", configs=[TINY_BERT], batch_sizes=[1, 3], max_time=0.1, rounds=1, progress=False,
        lengths=str(tmp_path / "traffic.csv") + ":tokens", device="cpu",
    )  # fmt: skip
    assert list(report.speed.status) == ["ok", "ok"]
    large = report.results[1]
    assert sorted(large.case.row_lengths) == [3, 6, 9]
    assert (large.outcome.tokens_per_call, large.outcome.real_tokens_per_call) == (27, 18)
    assert set(report.speed.lengths) == {"traffic.csv:tokens"}


def test_a_file_of_lengths_is_read_once_until_it_changes(tmp_path, monkeypatch):
    from nbbench.plan import row_lengths

    read = []
    read_text = row_lengths.read_text
    monkeypatch.setattr(row_lengths, "read_text", lambda path: read.append(path) or read_text(path))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "lengths.txt"
    file.write_text("3\n9\n")
    for _ in range(3):
        assert RowLengths.of("lengths.txt").lengths == [3, 9]
    assert len(read) == 1
    file.write_text("3\n9\n6\n")
    assert RowLengths.of("lengths.txt").lengths == [3, 9, 6]


@pytest.fixture
def folder(tmp_path):
    """A model's folder with a tokenizer that has a token for a word."""
    pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    config = {**TINY_BERT, "max_position_embeddings": 6, "pad_token_id": 0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


TEXTS = ["a film", "very very very very good good", "bad"]


def test_texts_are_tokenised_by_the_models_own_tokenizer(folder):
    transformers = pytest.importorskip("transformers")
    found = find_model(str(folder))
    fields = {"source": found.path, "batch_size": 3, "sequence_length": None}
    outcome, model = built(found.config, texts=tuple(TEXTS), **fields)
    assert outcome.status is nbbench.Status.OK, outcome.reason
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    wanted = tokenizer(TEXTS, padding=True, truncation=True, max_length=6, return_tensors="pt")
    assert (model._inputs["input_ids"] == wanted["input_ids"]).all()
    assert (model._inputs["attention_mask"] == wanted["attention_mask"]).all()
    assert outcome.real_tokens_per_call == int(wanted["attention_mask"].sum()) == 4 + 6 + 3
    assert outcome.sequence_length == 6


def test_a_column_of_texts_is_measured_and_never_saved(folder):
    report = nbbench.run(
        str(folder), lengths=pd.Series(TEXTS), batch_sizes=[3], max_time=0.1, rounds=1,
        progress=False, device="cpu",
    )  # fmt: skip
    (row,) = report.speed.itertuples()
    assert row.status == "ok", row.reason
    assert (row.sequence_length, row.lengths) == (6, "given")
    saved = json.dumps(report.to_dict())
    assert "very very" not in saved
    assert str(folder) not in saved.replace(json.dumps(row.model), "")


@pytest.mark.parametrize("in_a_folder", [True, False])
def test_texts_without_a_tokenizer_say_what_to_give(tmp_path, in_a_folder):
    (tmp_path / "config.json").write_text(json.dumps(TINY_BERT))
    outcome, _ = built(
        TINY_BERT, texts=("a",), batch_size=1, sequence_length=None,
        source=str(tmp_path) if in_a_folder else "",
    )  # fmt: skip
    assert outcome.status is nbbench.Status.UNSUPPORTED
    assert "there is none at hand for tiny; give a folder with the tokenizer's" in outcome.reason


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ("uniform(9,3)", "has no lengths, from 1 on and the smaller one first"),
        ("uniform(0,3)", "has no lengths, from 1 on"),
        ("nowhere.txt", "'nowhere.txt' is no file and no way to draw; give 'uniform(16,512)'"),
        ("two.csv", "'two.csv' has several columns; name one behind a colon, of text, stars"),
        ("two.csv:txt", "has no column 'txt'; name one behind a colon, of text, stars; did you"),
        ("broken.parquet", "'broken.parquet' cannot be read"),
        ("other.docx", "'other.docx' is of no kind that is read"),
        ("empty.txt", "empty.txt has no lengths and no texts"),
        ([10**5000], "<int> is no length; lengths are from 1 to 2147483647"),
        ([8, 10**30], "00000 is no length; lengths are from 1 to 2147483647"),
        ("~0", "'~0' is no file and no way to draw"),
        ("a" * 5000, "is no file and no way to draw"),
        ([4.5, 3], "4.5 is no whole number"),
        (["4.5", "nan"], "'4.5' is no whole number"),
        ("halves.csv:n", "1.5 is no whole number"),
        ([0, 3], "0 is no length; lengths are from 1 to 2147483647"),
    ],
)
def test_lengths_that_cannot_be_drawn_are_one_sentence(tmp_path, monkeypatch, lengths, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text("text,stars\na,5\n")
    (tmp_path / "halves.csv").write_text("n\n1\n1.5\n")
    (tmp_path / "empty.txt").write_text("\n \n")
    for name in ("broken.parquet", "other.docx"):
        (tmp_path / name).write_text("x")
    with pytest.raises(ArgumentError) as caught:
        RowLengths.of(lengths)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_reads_as_a_number_is_a_text_among_texts():
    for texts in (["a good film", "4.5", "bad"], ["fine", "nan"], ["7", "seven"]):
        assert list(RowLengths.of(texts).texts) == texts


def test_halves_of_characters_are_replaced():
    assert list(RowLengths.of(["a\udcff", "b"]).texts) == ["a?", "b"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"padding": 1.0}, "paddings: 1.0 is no part of a batch, from 0 to below 1, like 0.3"),
        ({"padding": "much"}, "paddings: 'much' is no part of a batch"),
        ({"padding": 0.3, "lengths": "uniform(3,4)"}, "padding and lengths both say how long rows"),
        ({"lengths": 5}, "lengths: a value of type int is neither text nor a list"),
        ({"lengths": [1, "a"]}, "lengths: a list of int, str is neither one of whole numbers nor"),
        ({"lengths": []}, "lengths: a list of nothing is neither"),
    ],
)
def test_padding_that_makes_no_sense_is_one_sentence(arguments, sentence):
    with pytest.raises(ArgumentError) as caught:
        BenchmarkArguments(models="tiny", **arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"padding": 0.3}, "padding is for inputs that have a length, and those of 'vit-base"),
        ({"lengths": "uniform(3,4)"}, "lengths is for inputs that have a length"),
        (
            {"inputs": {"x": ["batch"]}},
            "inputs describes those of your own code (FILE.py:FUNCTION)",
        ),
    ],
)
def test_what_no_model_would_be_given_is_refused(arguments, sentence):
    with pytest.raises(ArgumentError) as caught:
        nbbench.run("vit-base-patch16-224", progress=False, **arguments)
    assert sentence in str(caught.value)
