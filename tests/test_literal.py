"""Texts are literal: nothing that a name or a reason holds is run, drawn, or sent to a terminal."""

from __future__ import annotations

import json
import os
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import nbbench
from nbbench.hf.tables import former_tables
from nbbench.machine.machine import MachineFacts
from nbbench.plan.reasons import without_private
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.plots import forest
from nbbench.report.report import Report
from nbbench.report.verdict import Verdict
from nbbench.text import one_line
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.test_plots import result

NAMES = [
    "$x^2$", "$a$ $b", r"\$5 \frac{1", "_hidden", "a_b_c", "=1+1", "+1", "-1", "@SUM(A1)", "\t=1",
    "\n=1", "＝1", "<script>alert(1)</script>", "</script><!--", "[a](http://b)", "![a](http://b)",
    "*a* `b` ~~c~~ |d|", "&lt;", "a\nb\r\nc", "\x1b[2J\x1b]0;title\x07", "\u202eback", "\ud800",
    "{0} %s {x!r}", "^ ~ # % & { }", "[x]", "*", "'; DROP", "a\u2028b", "模型" * 40, "x" * 5000,
]  # fmt: skip

REPORT = Report(
    [
        replace(r, outcome=replace(r.outcome, device=name))
        for name in NAMES
        for r in [result(name, 1, 8, 0.001)]
    ]
    + [
        Result(Case("pytorch", name, {}, name, 1, 16), Outcome(Status.ERROR, name, Phase.BUILDING))
        for name in NAMES
    ],
    MachineFacts(cpu="\x1b[31m<b>cpu</b>", nbbench_version="1"),
    {
        ("pytorch", "kernel"): WorkerFacts(
            {"framework": "=Py\x1b[2JTorch", "framework_version": "@2"},
        )
    },
)


def test_one_line_is_what_can_be_printed_and_leaves_other_scripts_alone():
    for name in NAMES:
        assert re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]*",
                            one_line(name))  # fmt: skip
    for text in ("naïve café", "模型", "नमस्ते", "👩\u200d🔬", "µs ± ×"):
        assert one_line(text) == text


def test_no_form_of_print_commands_a_terminal():
    for text in (repr(REPORT), former_tables(REPORT.results, REPORT.facts), REPORT.to_markdown(),
                 REPORT._repr_latex_(), repr(REPORT.compare(REPORT))):  # fmt: skip
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text)
        text.encode()


def test_plots_draw_labels_as_they_are(tmp_path):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        for names in (NAMES[:10], NAMES[10:20], NAMES[20:]):
            report = Report([result(n, 1, 8, 0.01 * k) for k, n in enumerate(names, 1)],
                            MachineFacts(), {})  # fmt: skip
            for plot in (report.plot.latency(), report.plot.memory(), report.plot.scaling()):
                assert plot.png().startswith(b"\x89PNG")
            labels = report.plot.latency().axes.get_legend_handles_labels()[1]
            assert len(labels) == len(names)  # one that begins with _ is not left out
        forest([(name, 1.0, 0.9, 1.1, Verdict.UNSURE) for name in NAMES]).png()
        REPORT.to_html(tmp_path / "x.html")


def test_a_dollar_sign_and_a_backslash_are_drawn():
    from matplotlib.text import Text

    label = next(iter(REPORT_OF_DOLLARS.plot.latency().axes.containers)).get_label()
    text, is_math = Text()._preprocess_math(label)
    assert (text, is_math) == (r"\$5 $x^2$", False)


REPORT_OF_DOLLARS = Report([result(r"\$5 $x^2$", 1, 8, 0.1)], MachineFacts(), {})


def test_no_cell_head_or_key_of_a_csv_file_is_a_formula(tmp_path):
    for file in REPORT.to_csv(tmp_path):
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
        cells = [*frame.columns, *(cell for row in frame.values.tolist() for cell in row)]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "\t", "\r", "\n", "＝"))]
        texts = [c for c in cells if re.match(r"[+-]", c) and not re.fullmatch(r"-?[\d.e+-]+", c)]
        assert not texts


def test_the_former_benchmarks_files_hold_no_formula(tmp_path):
    from nbbench.hf import PyTorchBenchmarkArguments
    from nbbench.hf.csv_files import CsvFiles

    args = PyTorchBenchmarkArguments(
        models=["=1+1"],
        **{
            name: str(tmp_path / f"{name}.csv")
            for name in ("inference_time_csv_file", "inference_memory_csv_file",
                         "train_time_csv_file", "train_memory_csv_file", "env_info_csv_file")
        },
    )  # fmt: skip
    files = CsvFiles(args, [8])
    files.add(result("=1+1", 8, 8, 0.1))
    files.write_environment({"cpu": "=cmd"})
    assert "'=1+1,8,8," in (tmp_path / "inference_time_csv_file.csv").read_text()
    assert "cpu,'=cmd" in (tmp_path / "env_info_csv_file.csv").read_text()


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_html_has_its_own_tags_alone(tmp_path):
    hostile, harmless = Tags(), Tags()
    hostile.feed(REPORT.to_html(tmp_path / "x.html", title="</title>\ud800<script>").read_text())
    results = [
        replace(r, case=replace(r.case, model=f"m{n}")) for n, r in enumerate(REPORT.results)
    ]
    plain = Report(results, MachineFacts(), {})
    harmless.feed(plain.to_html(tmp_path / "y.html").read_text())
    assert hostile.tags == harmless.tags


def test_markdown_reads_as_the_names_are():
    markdown_it = pytest.importorskip("markdown_it")
    renderer = markdown_it.MarkdownIt("commonmark", {"html": True}).enable(
        ["table", "strikethrough"]
    )
    html = renderer.render(REPORT.to_markdown())
    parser = Tags()
    parser.feed(html)
    assert parser.tags <= {"table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "p"}
    assert html.count("<tr>") == 1 + 2 * len(NAMES)
    assert "$" not in re.sub(r"\\\$", "", REPORT.to_markdown())


def test_markdown_leaves_names_with_underscores_readable():
    report = Report([result("my_model_v2", 1, 8, 0.1)], MachineFacts(), {})
    assert "| my_model_v2 |" in report.to_markdown()


def test_latex_has_no_sign_that_is_a_command():
    latex = REPORT._repr_latex_()
    rows = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(rows) == 2 * len(NAMES)
    for row in rows:
        assert not row.startswith(("[", "*"))
        bare = re.sub(
            r"\$\\(mu|pm|times)\$|\\text\w+\{\}|\\ldots\{\}|\\[&%$#_{}]|\{\}|\\\\$", "", row
        )
        assert not re.search(r"[\\$#%_^~{}]", bare)


@pytest.mark.parametrize("name", ["</script>", "<!--<script>", "a\u2028b", "`${x}`"])
def test_copy_as_cell_ends_no_script(name, monkeypatch):
    pytest.importorskip("ipywidgets")
    from nbbench.notebook import form as module

    scripts = []
    monkeypatch.setattr(module, "Javascript", lambda text: scripts.append(text))
    monkeypatch.setattr(module, "display", lambda _: None)
    form = nbbench.form("bert-tiny")
    monkeypatch.setattr(form, "cell", lambda: name)
    form._copy()
    literal = scripts[0].partition("writeText(")[2].rpartition(")")[0]
    assert json.loads(literal) == name
    assert "<" not in literal
    assert "\u2028" not in literal


HOME = os.path.expanduser("~")


@pytest.mark.parametrize(
    ("reason", "saved"),
    [
        (f"no such file: '{HOME}/models/x'", "no such file: '~/models/x'"),
        (f"{HOME}: is a directory", "~: is a directory"),
        (f"file://{HOME}/x", "file://~/x"),
        ("cannot open /home/alice/x and /Users/bob/y", "cannot open ~/x and ~/y"),
        (r"C:\Users\Carol\x and 'C:\\Users\\Carol\\x'", r"~\x and '~\\x'"),
        ("https://me:s3cr@t@host/simple failed", "https://…@host/simple failed"),
        ("https://host/x?token=abc&y=1 failed", "https://host/x?token=…&y=1 failed"),
        ("HF_SECRET=abc was refused", "HF_SECRET=… was refused"),
        ('{"password": "a b c"}', '{"password": …}'),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer …"),
        *(
            (f"{start}{random} is no token", "… is no token")
            for start, random in (
                ("hf_", "aB3dEfGh" * 5),
                ("ghp_", "aB3dEfGh" * 5),
                ("glpat-", "aB3-dEf_Gh" * 2),
                ("github_pat_", "11ABC_" * 10),
                ("pypi-AgE", "IcHlwaS5vcmc-" * 5),
                ("sk-", "aB3dEfGh" * 6),
                ("sk-", "Qx7_pLm2Zt-K9wRb4VnY8c"),
                ("sk-lf-", "0f8fad5b-d9cb-469f-a165-70867728950e"),
                ("hf_oauth_", "eyJhbGciOiJFZERTQSJ9.eyJzY29wZSI6"),
                ("sk-proj-", "aB3-dEf_Gh" * 9),
                ("sk-ant-api03-", "aB3-dEf_Gh" * 9),
                ("sk_live_", "aB3dEfGh" * 3),
            )
        ),
    ],
)
def test_a_reason_names_no_home_folder_and_no_password(reason, saved):
    assert without_private(reason) == saved


@pytest.mark.parametrize(
    "reason",
    [
        f"{HOME}ward bound",
        f"/mnt{HOME}/x",
        "unexpected token: '<' at 3",
        "pad_token_id=0 is more than vocab_size=0",
        "email me@host",
        "key: 5, keys=4",
        "sk-learn has no such module",
        "sk-Multilingual-Encoder-Large-V2-Instruct/x",
        "hf-internal-testing/tiny-random-LlamaForCausalLM is gated",
        "hf-internal-testing/tiny-random-gpt2, hf-tiny-model-private/tiny-random-BertModel",
        "sk-multilingual-sentence-encoder-base/x and skt/kogpt2-base-v2",
        "me/hf_transformer_for_classification and me/sk_learn_like_text_classifier",
        "pypi-description-classifier-base-uncased and glpat-like",
    ],
)
def test_other_reasons_stay_as_they_are(reason):
    assert without_private(reason) == reason


def test_what_a_case_raised_is_saved_without_its_folders(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = {"model_type": "probe", "call": "log", "call_log": str(tmp_path / "no" / "x")}
    file, results = tmp_path / "x.json", []
    report = nbbench.run(
        "m", configs=[config], frameworks=["probe"], sequence_lengths=[8], progress=False,
        save=file, on_result=results.append,
    )  # fmt: skip
    reason = report.speed.reason[0]
    assert "'~/no/x'" in reason
    saved = json.loads(file.read_text())["results"][0]["outcome"]["reason"]
    assert saved == results[0].outcome.reason.replace("~/no/", "…/")
    assert Path(file).read_text().count(str(tmp_path / "no")) == 1  # the configuration, as given
