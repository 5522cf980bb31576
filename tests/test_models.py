"""Where configurations come from, and what is said when there is none."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time

import pytest

import nbbench
from nbbench.plan.models import find_model

PUBLISHED_MILLIONS = {
    "albert-base-v2": 11.7, "bert-base-uncased": 109.5, "bert-large-uncased": 335.1,
    "bart-base": 139.4, "clip-vit-base-patch32": 151.3, "distilbert-base-uncased": 66.4,
    "gpt2": 124.4, "gpt2-xl": 1557.6, "llama-3.2-1b": 1235.8, "mistral-7b": 7241.7,
    "modernbert-base": 149, "opt-350m": 331.2, "phi-2": 2779.7, "pythia-160m": 162.3,
    "qwen2.5-0.5b": 494.0, "resnet-50": 25.6, "roberta-base": 124.6, "smollm2-135m": 134.5,
    "t5-small": 60.5, "tinyllama-1.1b": 1100.0, "vit-base-patch16-224": 86.6,
    "wav2vec2-base": 95.0, "whisper-tiny": 37.8, "xlm-roberta-base": 278.0,
}  # fmt: skip

COUNT = """
import json, sys, torch, transformers
for name, config in json.load(sys.stdin).items():
    config = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    named = (config.architectures or [None])[0]
    with torch.device("meta"):
        if named:
            model = getattr(transformers, named)(config)
        else:
            model = transformers.AutoModel.from_config(config)
    print(json.dumps([name, sum(p.numel() for p in model.parameters()) / 1e6]))
"""


def test_the_catalogue_builds_with_the_published_numbers_of_parameters():
    pytest.importorskip("torch")
    catalogue = nbbench.catalogue()
    assert len(catalogue) >= 30
    counted = subprocess.run(
        [sys.executable, "-c", COUNT],
        input=json.dumps(catalogue),
        capture_output=True,
        text=True,
        check=True,
    )
    millions = dict(json.loads(line) for line in counted.stdout.splitlines() if line[0] == "[")
    assert set(millions) == set(catalogue)
    for name, published in PUBLISHED_MILLIONS.items():
        assert millions[name] == pytest.approx(published, rel=0.05), name


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
        if "nothing" in self.path:
            status, headers = 404, {"X-Error-Code": "RepoNotFound"}
        elif "empty" in self.path:
            status, headers = 404, {"X-Error-Code": "EntryNotFound"}
        elif "gated" in self.path:
            status, headers = 401, {"X-Error-Code": "GatedRepo"}
        elif "broken" in self.path:
            body = b'{"model_type": '
        self.send_response(status)
        headers = {"ETag": '"e"', "X-Repo-Commit": "c" * 40, "Content-Length": len(body), **headers}
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
