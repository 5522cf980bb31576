"""Requirements that name their source are installed from it, and their secrets are nowhere.

An index, archives behind a password, a repository and folders: all real, tiny, and on this machine.
Each index or URL has a package of the same name and version, which says where it is from.
"""

from __future__ import annotations

import base64
import http.server
import io
import re
import subprocess
import tarfile
import threading
from functools import partial
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import nbbench
from nbbench import ArgumentError, environments
from nbbench.cli import main
from nbbench.environments import build, interpreters
from nbbench.environments.build import EnvironmentNotReady
from nbbench.environments.interpreters import is_path
from nbbench.environments.requirements import Needs, parse_requirements
from nbbench.environments.sources import kept_requirement
from nbbench.masked_urls import without_secrets
from tests.wheels import write_wheel

pytestmark = pytest.mark.usefixtures("probe")

SECRET = "s3cret"

BUILD_BACKEND = """
import os, zipfile
NAME = {name!r}

def wheel(folder, editable):
    file = f"{{NAME}}-1.0-py3-none-any.whl"
    about = f"{{NAME}}-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, file), "w") as made:
        if editable:
            made.writestr(f"{{NAME}}.pth", os.getcwd())
        else:
            made.write(f"{{NAME}}.py")
        made.writestr(
            about + "METADATA", f"Name: {{NAME}}\\nVersion: 1.0\\nMetadata-Version: 2.1\\n"
        )
        wheel = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        made.writestr(about + "WHEEL", wheel)
        made.writestr(about + "RECORD", "")
    return file

def build_wheel(folder, settings=None, metadata=None):
    return wheel(folder, False)

def build_editable(folder, settings=None, metadata=None):
    return wheel(folder, True)
"""


def make_wheel(folder, origin, name="small", version="1.0", requires=()):
    return write_wheel(folder, name, version, f"origin = {origin!r}\n", requires)


def make_project(folder, origin, name="small"):
    """A folder with a package, and the build backend of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (folder / "backend.py").write_text(BUILD_BACKEND.format(name=name))
    (folder / f"{name}.py").write_text(f"origin = {origin!r}\n")
    return folder


def make_archive(file, project):
    with tarfile.open(file, "w:gz") as archive:
        for path in sorted(project.iterdir()):
            archive.add(path, f"small-1.0/{path.name}")
        about = b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n"
        entry = tarfile.TarInfo("small-1.0/PKG-INFO")
        entry.size = len(about)
        archive.addfile(entry, io.BytesIO(about))


def commit(folder):
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    shown = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return shown.stdout.strip()


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Files for all, but those below ``private`` for who knows the password or the token."""

    def do_GET(self):
        basic = "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
        known = self.headers.get("Authorization") == basic or self.path.endswith(f"?token={SECRET}")
        if self.path.startswith("/private") and not known:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *given):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The address of a server with an index, files and private files; uv knows no other index."""
    root = tmp_path / "web"
    index = root / "index" / "small"
    wheel = make_wheel(index, "the index", requires=["smaller>=1"])
    make_wheel(root / "index" / "smaller", "the index", "smaller")
    for folder in (index, root / "index" / "smaller"):
        names = [file.name for file in folder.glob("*.whl")]
        (folder / "index.html").write_text("".join(f'<a href="{n}">{n}</a>\n' for n in names))
    make_wheel(root / "files", "a URL", requires=["smaller>=1"])
    make_wheel(root / "private", "a private URL")
    make_archive(
        root / "files" / "small-1.0.tar.gz", make_project(tmp_path / "for_sdist", "an archive")
    )
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Guarded, directory=str(root))
    )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"{address}/index")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path / "cache"))
    assert wheel.exists()
    yield address
    server.shutdown()
    server.server_close()


def prepare(named):
    """The environment that ``environments=[named]`` has, and what is shown while it is made."""
    steps = []
    assert environments.choose(named, "probe") == named
    made = environments.finish(environments.prepare(named, "probe"), steps.append)
    return made, " ".join(step.text + step.label for step in steps)


def origin(made, name="small"):
    code = f"import {name}; print({name}.origin)"
    shown = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    return shown.stdout.strip()


def secret_files(folder):
    """The files below a folder that hold the password, as their paths or in their bytes."""
    return [
        file
        for file in folder.rglob("*")
        if SECRET in str(file) or (file.is_file() and SECRET.encode() in file.read_bytes())
    ]


def test_the_index_serves_what_names_no_source_and_the_report_says_which(web):
    made, _ = prepare("small==1.0")
    assert origin(made) == "the index"
    assert made.facts()["sources"] == f"small 1.0 from the index {web.removeprefix('http://')}"


@pytest.mark.parametrize(
    ("named", "from_"),
    [
        ("small @ {web}/files/small-1.0-py3-none-any.whl", "a URL"),
        ("small@{web}/files/small-1.0-py3-none-any.whl", "a URL"),
        ("{web}/files/small-1.0-py3-none-any.whl", "a URL"),
        ("small @ {web}/files/small-1.0.tar.gz", "an archive"),
        ("smaller==1.0 small @ {web}/files/small-1.0.tar.gz", "an archive"),
    ],
)
def test_a_url_is_installed_from_the_url(web, named, from_):
    named = named.format(web=web)
    assert not is_path(named)
    made, _ = prepare(named)
    assert origin(made) == from_
    assert re.search(
        rf"small 1.0 from {web}/files/small-1.0\S* \(sha256 \w+\)", made.facts()["sources"]
    )
    if from_ == "a URL":
        assert origin(made, "smaller") == "the index"  # what it depends on


@pytest.mark.parametrize(
    "text",
    [
        "http://[x", "a @ http://[x", "a @ file://[", "-e file://[x", "https://[::1/a.whl",
        "a==1;os_name~='x'", "a==1;python_version>'x'", "a @ " + "x/" * 5000,
    ],
)  # fmt: skip
def test_what_no_url_path_or_marker_can_be_is_one_short_sentence(text):
    with pytest.raises(ArgumentError) as caught:
        parse_requirements(text)
    assert str(caught.value).startswith("environments: ")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("how", ["url", "path", "named path", "find-links"])
def test_a_wheel_on_the_disk_is_installed_from_there(web, tmp_path, monkeypatch, how):
    file = make_wheel(tmp_path / "my wheels", "a file")
    named = {
        "url": f"small @ {file.as_uri()}",
        "path": str(file),
        "named path": "small @ ./small-1.0-py3-none-any.whl",
        "find-links": "small==1.0",
    }[how]
    monkeypatch.chdir(file.parent)
    if how == "find-links":
        monkeypatch.setenv("UV_FIND_LINKS", str(file.parent))
        monkeypatch.setenv("UV_NO_INDEX", "1")
    made, shown = prepare(named)
    assert origin(made) == "a file"
    facts = made.facts()["sources"]
    assert facts.startswith(
        "small 1.0 from a local folder" if how == "find-links" else f"small 1.0 from {file.name} "
    )
    assert str(tmp_path) not in facts + shown


@pytest.mark.parametrize("how", ["-e {0}", "{0}", "small @ {0}", "-e small @ file://{0}"])
def test_a_folder_is_installed_from_there_as_it_is_now(web, tmp_path, how):
    folder = make_project(tmp_path / "project", "a folder")
    named = how.format(folder)
    assert not is_path(named)
    made, _ = prepare(named)
    assert origin(made) == "a folder"
    kind = "the editable folder" if "-e" in named else "the folder"
    assert made.facts()["sources"] == f"small 1.0 from {kind} project"
    (folder / "small.py").write_text("origin = 'a folder, changed'\n")
    again, _ = prepare(named)
    assert origin(again) == "a folder, changed"
    assert (again.python == made.python) == ("-e" in named)


def test_the_command_line_takes_an_editable_folder_as_pip_does(web, tmp_path, monkeypatch, capsys):
    make_project(tmp_path / "project", "a folder")
    monkeypatch.chdir(tmp_path)
    argv = ["env", "create", "mine", "-e", "./project", "--framework", "probe"]
    assert main(argv) == 0
    assert "the editable folder project" in prepare("mine")[0].facts()["sources"]
    assert main([*argv[:3], "-e"]) == 2
    assert "-e has no folder behind it" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["file", "ssh"])
def test_a_repository_is_pinned_to_its_commit(web, tmp_path, monkeypatch, scheme):
    ssh = tmp_path / "ssh_to_this_machine"
    ssh.write_text('#!/bin/sh\nshift $(($# - 1))\nexec sh -c "$1"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    folder = make_project(tmp_path / "repository", "a repository")
    first = commit(folder)
    (folder / "small.py").write_text("origin = 'a later commit'\n")
    later = commit(folder)
    address = folder.as_uri() if scheme == "file" else f"ssh://git@host{folder}"
    made, _ = prepare(f"small @ git+{address}")
    assert origin(made) == "a later commit"
    assert later in made.facts()["sources"]
    made, _ = prepare(f"git+{address}@{first}#egg=small")
    assert origin(made) == "a repository"
    assert first in made.facts()["sources"]


def test_an_own_source_is_never_borrowed_from_the_kernel(web, tmp_path, monkeypatch):
    """The kernel's pandas and numpy have the versions that the URLs have, and are others."""
    monkeypatch.setattr("nbbench.environments.requirements.HEAVY", ("pandas",))
    installed = environments.interpreters.installed()
    needs = Needs((Requirement("pandas"), Requirement("numpy")), SpecifierSet(""))
    monkeypatch.setattr(interpreters, "needs_of", lambda _: needs)
    numpy = make_wheel(tmp_path / "own", "a file", "numpy", installed["numpy"])
    made, _ = prepare(f"numpy @ {numpy.as_uri()}")
    assert made.kind == "layer"
    assert origin(made, "numpy") == "a file"
    pandas = make_wheel(tmp_path / "own", "a file", "pandas", installed["pandas"])
    made, _ = prepare(f"pandas @ {pandas.as_uri()} numpy @ {numpy.as_uri()}")
    assert made.kind == "made"
    assert origin(made, "pandas") == "a file"


def test_what_changes_between_resolving_and_installing_is_refused(web, tmp_path, monkeypatch):
    file = tmp_path / "web" / "files" / "small-1.0-py3-none-any.whl"
    run = build._Uv.run

    def changing(self, *argv, **options):
        if argv[:2] == ("pip", "install"):
            make_wheel(file.parent, "another", requires=["smaller>=1"])
            monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another"))
        return run(self, *argv, **options)

    monkeypatch.setattr(build._Uv, "run", changing)
    with pytest.raises(EnvironmentNotReady, match="Hash mismatch"):
        prepare(f"small @ {web}/files/{file.name}")


@pytest.mark.parametrize("how", ["password", "token"])
def test_secrets_are_in_no_output_and_no_file(web, tmp_path, how):
    file = "private/small-1.0-py3-none-any.whl"
    named = f"small @ {web}/{file}?token={SECRET}"
    if how == "password":
        named = f"small @ {web.replace('//', f'//user:{SECRET}@')}/{file}"
    arguments = {"configs": [{"model_type": "probe"}], "sequence_lengths": [8], "max_time": 0.1}
    report = nbbench.run(frameworks=["probe"], environments=[named], progress=False, **arguments)
    assert report.speed.status.tolist() == ["ok"]
    saved = tmp_path / "saved"
    saved.mkdir()
    report.save(saved / "report.json")
    report.to_html(saved / "report.html")
    report.to_csv(saved / "csv")
    assert origin(prepare(named)[0]) == "a private URL"
    assert "****" in report.environment.to_string()
    for shown in (str(report), report.environment.to_string(), report.speed.to_string()):
        assert SECRET not in shown
    assert not secret_files(tmp_path / "cache")
    assert not secret_files(saved)
    assert not secret_files(tmp_path / "uv")


def test_secrets_are_in_no_error(web, capsys):
    address = web.replace("//", f"//user:{SECRET}1@")
    wrong = [
        f"small @ {address}/private/small-1.0-py3-none-any.whl?token={SECRET}1",
        f"small @ {address}/index/nothing-1.0-py3-none-any.whl",
        f"small @ git+{address}/private/repository",
        f"small @ {address}/x.whl;python_version<'3'",
    ]
    for named in wrong:
        with pytest.raises(EnvironmentNotReady) as caught:
            prepare(named)
        assert SECRET not in str(caught.value)
        assert main(["env", "create", "mine", named, "--framework", "probe"]) == 2
        assert SECRET not in "".join(capsys.readouterr())
    for named in (
        f"{address}/no-name",
        f"small @ hg+{address}/x",
        f"small== @ {address}",
        f"-e small @ {address}/x.whl",
        f"--index-url {address}",
        f"small @ {address}/x.whl ;python_version<'3'",
    ):
        with pytest.raises(ArgumentError) as caught:
            prepare(named)
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "x", "URL"],
        ["run", "x", "--environments", "URL", "URL"],
        ["run", "x", "--frobnicate=URL"],
        ["run", "x", "--isolation", "URL"],
        ["env", "create", "URL"],
        ["env", "create", "mine", "URL", "--framework", "URL"],
        ["env", "path", "URL"],
        ["env", "remove", "URL"],
        ["env", "URL"],
        ["URL"],
        ["compare", "URL", "URL"],
        ["run", "x", "-f", "probe", "--save", "URL"],
        ["run", "x", "-f", "probe", "--csv", "URL"],
    ],
)
def test_secrets_are_in_no_message_of_a_mistyped_command(capsys, argv):
    url = f"https://user:{SECRET}@127.0.0.1:1/small-1.0-py3-none-any.whl?token={SECRET}"
    assert main([url if word == "URL" else word for word in argv]) == 2
    assert SECRET not in "".join(capsys.readouterr())


def test_the_size_of_a_download_is_an_estimate_and_says_so():
    needs = Needs((Requirement("small @ https://h/small-1.0.whl"),), SpecifierSet(""))
    plan = build.BuildPlan.of("mine", "probe", needs)
    packages = {
        "small": {
            "version": "1.0",
            "archive": {"url": "https://h/small-1.0.whl", "size": 2_000_000},
        },
        "smaller": {"version": "1.0", "wheels": [{"size": 500_000}, {"size": 1_000_000}]},
    }
    resolved = build._resolved(plan, packages, [])
    assert resolved.sentence(plan) == "2 packages with small 1.0 (about 3 MB to download)"


def test_a_named_environment_with_a_password_serves_and_says_when_it_cannot(web, tmp_path, capsys):
    url = f"{web.replace('//', f'//user:{SECRET}@')}/private/small-1.0-py3-none-any.whl"
    assert main(["env", "create", "mine", "small", "@", url, "--framework", "probe"]) == 0
    assert main(["env", "list"]) == 0
    assert SECRET not in "".join(capsys.readouterr())
    assert not secret_files(tmp_path / "cache")
    made, _ = prepare("mine")
    assert origin(made) == "a private URL"
    Path(made.python).unlink()
    with pytest.raises(EnvironmentNotReady, match=r"not kept.*env create mine"):
        prepare("mine")


def test_a_variable_in_a_url_is_kept_as_it_is(web, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", SECRET)
    url = web.replace("//", "//user:${TOKEN}@") + "/private/small-1.0-py3-none-any.whl"
    environments.finish(environments.create("mine", "probe", [f"small @ {url}"]))
    (record,) = environments.list_environments()
    assert "${TOKEN}" in record.own[0]
    assert not secret_files(tmp_path / "cache")
    Path(record.python).unlink()
    assert origin(prepare("mine")[0]) == "a private URL"


def test_a_named_environment_keeps_its_markers(web):
    environments.finish(environments.create("mine", "probe", ['small==1.0;python_version>"3"']))
    assert origin(prepare("mine")[0]) == "the index"


def test_two_that_differ_in_their_secrets_alone_are_two(web):
    named = [f"small @ {web}/files/small-1.0-py3-none-any.whl?v={n}" for n in (1, 2)]
    first, second = environments.labels(named)
    assert first != second
    assert prepare(named[0])[0].python != prepare(named[1])[0].python


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:pw@host/x", "https://****@host/x"),
        ("https://pw@host/x", "https://****@host/x"),
        ("git+ssh://git@host/x@v1", "git+ssh://git@host/x@v1"),
        ("git+ssh://git:pw@host/x", "git+ssh://****@host/x"),
        ("https://user:p'w)\"@host/x", "https://****@host/x"),
        ("https://user:p/w@host/x", "https://****"),
        ("https://user:p#w@host/x", "https://****"),
        ("https://user:p?w@host/x", "https://****"),
        ("https://user:p@w@host/x", "https://****@host/x"),
        ("https://host/x?token=pw#sha256=ab", "https://host/x?****#sha256=ab"),
        ("https://host/x#token=pw", "https://host/x#****"),
        ("https://host/x#section", "https://host/x#section"),
        ("https://host/x#egg=a&subdirectory=b", "https://host/x#egg=a&subdirectory=b"),
        ("https://a/,https://user:pw@b/x", "https://a/,https://****@b/x"),
        ("https://${USER}:${PW}@host/x", "https://${USER}:${PW}@host/x"),
        ("https://${USER}:pw@host/x", "https://****@host/x"),
        ("https://user:${PW}@host/x", "https://user:${PW}@host/x"),
        ("https://host/x?token=${PW}", "https://host/x?token=${PW}"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("see `a @ http://u:pw@h:1/x` (it failed)", "see `a @ http://****@h:1/x` (it failed)"),
    ],
)
def test_what_is_secret_in_a_url(text, masked):
    assert without_secrets(text) == masked


def test_what_is_a_requirement_and_what_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path / "project", "a folder")
    (tmp_path / "my venv").mkdir()
    (tmp_path / "me@work").mkdir()
    (tmp_path / "me@work" / "python").write_text("")
    assert is_path("me@work/python")
    for text in (
        f"https://h/{'x' * 5000}.whl",
        "a @ https://h/x",
        "a[b]@file:///x",
        "./project",
        "./project[b]",
    ):
        assert not is_path(text)
    for text in (
        "./bin/python",
        "~nouser/python",
        str(tmp_path / "my venv"),
        "/" + "x" * 5000,
        "./\0",
    ):
        assert is_path(text)
    assert [str(r) for r in parse_requirements("a==1 b@https://h/b-1.whl -e ./project")] == [
        "a==1",
        "b@ https://h/b-1.whl".replace("b@", "b @"),
        f"-e small @ {(tmp_path / 'project').as_uri()}",
    ]
    for text in ("./project[b,c]", "-e ./project[b,c]", "-e small[b,c] @ ./project"):
        (requirement,) = parse_requirements(text)
        assert requirement.extras == {"b", "c"}
        assert str(kept_requirement(str(requirement))) == str(requirement)
    (marked,) = parse_requirements("small[b] @ ./project ; python_version>'3'")
    assert str(kept_requirement(str(marked))) == str(marked)
    for text, sentence in {
        "small @ ./nothing": "there is no file or folder",
        "-e ./nothing": "there is no file or folder",
        f"small @ {tmp_path}": "has no pyproject.toml",
        "https://h/": "write name @",
        "git+git@h:o/r": "git\\+ssh://git@host/name",
    }.items():
        with pytest.raises(ArgumentError, match=sentence):
            parse_requirements(text)
