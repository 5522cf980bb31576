"""Where configurations come from, and what is said when there is none."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import nbbench
from nbbench.plan.catalogue import entries
from nbbench.plan.models import find_model, find_models

PUBLISHED_MILLIONS = {
    "albert-base-v2": 11.7, "bert-base-uncased": 109.5, "bert-large-uncased": 335.1,
    "bart-base": 139.4, "clip-vit-base-patch32": 151.3, "distilbert-base-uncased": 66.4,
    "gemma-2-2b": 2614.3, "gemma-3-1b": 999.9, "gpt2": 124.4, "gpt2-xl": 1557.6,
    "llama-3.1-8b": 8030.3, "ministral-8b": 8019.8, "mistral-7b-v0.3": 7248.0,
    "phi-3-mini-4k": 3821.1, "qwen2.5-7b": 7615.6, "qwen3-4b": 4022.5, "qwen3-8b": 8190.7,
    "smollm3-3b": 3075.1, "llama-3.2-1b": 1235.8, "mistral-7b": 7241.7,
    "modernbert-base": 149, "opt-350m": 331.2, "phi-2": 2779.7, "pythia-160m": 162.3,
    "qwen2.5-0.5b": 494.0, "resnet-50": 25.6, "roberta-base": 124.6, "smollm2-135m": 134.5,
    "t5-small": 60.5, "tinyllama-1.1b": 1100.0, "vit-base-patch16-224": 86.6,
    "wav2vec2-base": 95.0, "whisper-tiny": 37.8, "xlm-roberta-base": 278.0,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.newest
def test_the_catalogues_figures_are_those_that_transformers_counts():
    pytest.importorskip("torch")
    script = Path(__file__).parents[1] / "docs" / "make_catalogue.py"
    command = [sys.executable, str(script), "--print"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted = json.loads(printed.splitlines()[-1])
    known = {entry.name: entry for entry in entries()}
    assert set(counted) == set(known) == set(nbbench.catalogue())
    assert len(known) >= 30
    for name, entry in known.items():
        figures = entry.parameters, entry.layers, entry.longest
        assert figures == tuple(counted[name][key] for key in ("parameters", "layers", "longest"))
    for name, published in PUBLISHED_MILLIONS.items():
        assert known[name].parameters / 1e6 == pytest.approx(published, rel=0.05), name


def test_names_are_short_or_the_hubs_and_care_for_no_case():
    for name in ("llama-3.2-1b", "meta-llama/Llama-3.2-1B", "Llama-3.2-1B"):
        found = find_model(name)
        assert found.source == "catalogue"
        assert found.config["model_type"] == "llama"


def test_a_folder_comes_first(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 32}')
    found = find_model(str(tmp_path))
    assert found.source == "folder"
    assert found.config["hidden_size"] == 32


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "cannot be read"), ("[]", "has no model_type"), ('{"a": 1}', "has no model_type")],
)
def test_a_broken_config_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(nbbench.ModelNotFound, match=sentence):
        find_model(str(tmp_path))


def test_a_folder_without_a_config_is_one_sentence(tmp_path):
    with pytest.raises(nbbench.ModelNotFound, match=r"has no config\.json; give one that has"):
        find_model(str(tmp_path))


@pytest.mark.parametrize("base", ["someone/not-in-the-catalogue", None])
def test_an_adapter_names_its_base_model(tmp_path, base):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    with pytest.raises(nbbench.ModelNotFound) as caught:
        find_model(str(tmp_path))
    assert "is an adapter (it has an adapter_config.json) and no whole model" in str(caught.value)
    assert str(caught.value).endswith(f"measure its base model, {base!r}" if base else "base model")


def write_modules(folder, modules):
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("module", ["0_Transformer", "0_Other"])
def test_an_old_folder_of_sentence_transformers_is_entered(tmp_path, module):
    (tmp_path / module).mkdir()
    (tmp_path / module / "config.json").write_text('{"model_type": "bert", "hidden_size": 32}')
    (tmp_path / "config_sentence_transformers.json").write_text("{}")
    write_modules(tmp_path, [{"idx": 0, "path": module}, {"idx": 1, "path": "1_Pooling"}])
    found = find_model(str(tmp_path))
    assert (found.config["hidden_size"], found.source) == (32, "folder")


@pytest.mark.parametrize("modules", [[{"path": "../beside"}], [{"path": 3}], {}, [[]], [{}], 5])
def test_a_list_of_modules_leads_nowhere_outside_its_folder(tmp_path, modules):
    for name in ("beside", "inside"):
        (tmp_path / name).mkdir()
    (tmp_path / "beside" / "config.json").write_text('{"model_type": "bert"}')
    write_modules(tmp_path / "inside", modules)
    with pytest.raises(nbbench.ModelNotFound, match=r"has no config\.json; give one that has"):
        find_model(str(tmp_path / "inside"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("~nobody-of-this-name/bert", "is no folder that can be read (there is no such home"),
        ("x" * 5000, "is no folder that can be read (File name too long)"),
        ("x/" * 5000, "is no folder that can be read (File name too long)"),
        ("with\0nul", "it is no valid hub id"),
        ("\udcff", "it is no valid hub id"),
        ("\n", "it is no valid hub id"),
        ("./nowhere", "there is no model folder './nowhere'; give one with a config.json"),
        ("nowhere/config.json", "there is no model folder 'nowhere/config.json'"),
        ("pyproject.toml", "is a file without a configuration; give its folder"),
    ],
)
def test_an_odd_name_is_one_short_sentence(name, sentence, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(Path(__file__).parents[1])
    with pytest.raises(nbbench.ModelNotFound) as caught:
        find_model(name)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert caught.value.__cause__ is None


def test_a_config_with_a_mark_of_its_encoding_is_read_and_a_bottomless_one_refused(tmp_path):
    (tmp_path / "config.json").write_text('\ufeff{"model_type": "bert"}', encoding="utf-8")
    assert find_model(str(tmp_path)).config == {"model_type": "bert"}
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(nbbench.ModelNotFound, match="is nested too deeply"):
        find_model(str(tmp_path))


@pytest.mark.parametrize("given", [True, False], ids=["config", "folder"])
def test_code_beside_a_configuration_is_said_not_to_run(given, tmp_path):
    config = {"model_type": "bert", "auto_map": {"AutoModel": "modeling_mine.Mine"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    arguments = nbbench.BenchmarkArguments(models=str(tmp_path), configs=[config] if given else [])
    with pytest.warns(UserWarning, match=r"has code of its own \(auto_map\), which is not run"):
        find_models(arguments)


def test_code_beside_a_configuration_of_an_unknown_type_is_the_reason(tmp_path):
    pytest.importorskip("torch")
    config = {"model_type": "chatglm", "auto_map": {"AutoModel": "modeling_mine.Mine"}}
    with pytest.warns(UserWarning, match="auto_map"):
        report = nbbench.run("mine", configs=[config], sequence_lengths=[8], progress=False)
    (result,) = report.results
    assert result.outcome.status is nbbench.Status.UNSUPPORTED
    assert "code beside a configuration (auto_map) is not run" in result.outcome.reason


class StandInHub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub as a config.json takes."""

    def do_HEAD(self):
        self.answer(send_body=False)

    def do_GET(self):
        self.answer(send_body=True)

    def answer(self, send_body):
        body, status, headers = b'{"model_type": "bert", "hidden_size": 48}', 200, {}
        if "slow" in self.path:
            time.sleep(4)
        part = self.path.rpartition("/resolve/")[2].partition("/")[2]
        if "adapted" in self.path and part == "adapter_config.json":
            body = b'{"base_model_name_or_path": "someone/base"}'
        elif "sentences" in self.path and part == "modules.json":
            body = b'[{"idx": 0, "path": "0_Transformer"}]'
        elif "sentences" in self.path and part == "0_Transformer/config.json":
            pass
        elif "adapted" in self.path or "sentences" in self.path:
            status, headers = 404, {"X-Error-Code": "EntryNotFound"}
        elif "nothing" in self.path:
            status, headers = 404, {"X-Error-Code": "RepoNotFound"}
        elif "empty" in self.path:
            status, headers = 404, {"X-Error-Code": "EntryNotFound"}
        elif "gated" in self.path:
            status, headers = 401, {"X-Error-Code": "GatedRepo"}
        elif "broken" in self.path:
            body = b'{"model_type": '
        self.send_response(status)
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        headers = {"ETag": etag, "X-Repo-Commit": "c" * 40, "Content-Length": len(body), **headers}
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandInHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


ASK = """
import sys
import nbbench.plan.models
nbbench.plan.models.HUB_TIMEOUT_S = float(sys.argv[2])
try:
    found = nbbench.plan.models.find_model(sys.argv[1])
    print(found.source, found.config)
except nbbench.ModelNotFound as error:
    print(error)
"""


def ask_hub(hub, home, name, **environment):
    variables = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(home), **environment}
    seconds = "1" if "slow" in name else "60"  # 1 may be too short on a busy machine
    command = [sys.executable, "-c", ASK, name, seconds]
    said = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_the_hubs_config_is_found_and_cached(hub, tmp_path):
    found = "hub {'model_type': 'bert', 'hidden_size': 48}"
    assert ask_hub(hub, tmp_path, "someone/fine") == found
    assert ask_hub(hub, tmp_path, "someone/fine", HF_HUB_OFFLINE="1") == found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("someone/nothing", "the hub has no such model"),
        ("someone/empty", "has no config.json"),
        (
            "someone/adapted",
            "is an adapter (it has an adapter_config.json) and no whole model; "
            "measure its base model, 'someone/base'",
        ),
        ("someone/gated", "it is gated; accept its terms there and set HF_TOKEN"),
        ("someone/broken", "cannot be read"),
        ("someone/slow", "could not be asked for it (offline, or no answer in time)"),
        ("no such name", "it is no valid hub id"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(hub, tmp_path, name, sentence):
    said = ask_hub(hub, tmp_path, name)
    assert sentence in said
    assert "\n" not in said


def test_the_hubs_config_may_be_in_the_folder_of_a_module(hub, tmp_path):
    found = "hub {'model_type': 'bert', 'hidden_size': 48}"
    assert ask_hub(hub, tmp_path, "someone/sentences") == found


def test_a_hub_that_does_not_answer_is_not_waited_for(hub, tmp_path, patience):
    begin = time.monotonic()
    ask_hub(hub, tmp_path, "someone/slow")
    assert time.monotonic() - begin < 30 * patience


def test_an_unknown_name_offline_is_one_sentence_with_the_nearest(hub, tmp_path):
    said = ask_hub(hub, tmp_path, "bert-bse-uncased", HF_HUB_OFFLINE="1")
    assert said.startswith("model 'bert-bse-uncased' is not in the catalogue")
    assert said.endswith("did you mean 'bert-base-uncased'?")
    assert "could not be asked for it (offline" in said


def test_an_unknown_model_is_a_row_and_the_others_stay(probe, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    report = nbbench.run(
        "./nowhere", str(tmp_path), frameworks=["probe"], sequence_lengths=[8], progress=False
    )
    assert report.speed.status.tolist() == ["error", "ok"]
    assert report.speed.phase[0] == "resolving"


def test_many_names_that_lead_nowhere_make_one_short_message(offline, probe):
    with pytest.raises(nbbench.ModelNotFound) as caught:
        nbbench.run(*(f"no-such-{number}" for number in range(40)), frameworks="probe")
    assert "'no-such-0' is not in the catalogue" in str(caught.value)
    assert str(caught.value).endswith("and so on for 38 more")
