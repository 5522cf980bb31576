"""Environments: chosen, made once, proven, never half-made; and what is said when one cannot be.

The packages here are made on the spot and served from a folder, so uv does its real work without
an index.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import nbbench
from nbbench import ArgumentError, NbbenchError, environments
from nbbench.cli import main
from nbbench.environments import build, interpreters, requirements, store
from nbbench.environments.build import EnvironmentNotReady
from nbbench.environments.requirements import Needs, installed, missing_requirements, needs_of
from nbbench.environments.uv_environ import sources_set
from nbbench.frameworks import BackendFile, find_backend
from tests.conftest import wait_until
from tests.wheels import write_wheel


def make_wheel(folder, name, version, **more):
    """A wheel whose module has its version."""
    write_wheel(folder, name, version, f"version = {version!r}\n", **more)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder of wheels for uv, and a cache of the test's own."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "small", "1.0", requires=["smaller>=1"])
    make_wheel(wheels, "small", "2.0", requires=["smaller>=2"])
    make_wheel(wheels, "smaller", "1.5")
    make_wheel(wheels, "large", "1.0", mib=40)
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path / "cache"))
    return wheels


def create(name, *wanted, framework="probe", said=None):
    told = [] if said is None else said
    return environments.finish(environments.create(name, framework, wanted), told.append)


def command(*words):
    """nbbench env, in a process of its own that knows the probe framework."""
    site = next(path for path in sys.path if (Path(path) / "probe_backends").is_dir())
    return subprocess.Popen(
        [sys.executable, "-m", "nbbench", "env", *words, "--framework", "probe"],
        env={**os.environ, "PYTHONPATH": site},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def leftovers():
    """Folders of environments that no record is of."""
    recorded = {record.folder for record in environments.list_environments()}
    return [p for p in store.store_folder().iterdir() if p.is_dir() and p.name not in recorded]


pytestmark = pytest.mark.usefixtures("probe")


def test_what_a_backend_needs_is_read_from_its_source():
    needs = needs_of(find_backend("tensorflow"))
    assert Requirement("transformers>=4.50,<5") in needs.requirements
    assert "3.12" in needs.python
    assert "3.14" not in needs.python
    assert needs_of(find_backend("probe")) == Needs((), SpecifierSet(""))


def test_a_class_says_more_than_its_module(tmp_path):
    file = tmp_path / "backend.py"
    file.write_text(
        'REQUIREMENTS = ("a",)\nclass One:\n    REQUIREMENTS = ("b>=1",)\nclass Other:\n    pass\n'
    )
    for name, needed in {"One": "b>=1", "Other": "a"}.items():
        needs = needs_of(BackendFile("x", str(file), name))
        assert needs.requirements == (Requirement(needed),)


def test_the_kernel_serves_where_all_that_is_needed_is_installed():
    pytest.importorskip("torch")
    assert environments.choose("auto", "pytorch") == "kernel"
    assert environments.choose("auto", "probe") == "kernel"
    assert environments.choose("kernel", "tensorflow") == "kernel"
    here = {"tensorflow-cpu": "2.20.0", "tf-keras": "2.20.1", "transformers": "5.15.0"}
    missing = missing_requirements(needs_of(find_backend("tensorflow")), here)
    assert [r.name for r in missing] == ["transformers"]


def test_requirements_are_made_into_an_environment_once(shop, patience):
    said = []
    made = create("mine", "small==1.0", said=said)
    assert made.kind == "made"
    assert any("2 packages with small 1.0" in line for line in said)
    code = "import small, smaller; print(small.version, smaller.version)"
    shown = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["1.0", "1.5"]
    begin, again = time.monotonic(), []
    assert create("mine", "small==1.0", said=again).python == made.python
    assert time.monotonic() - begin < 3 * patience
    assert not again
    assert environments.environment_path("mine") == made.python
    assert [record.name for record in environments.list_environments()] == ["mine"]


def test_it_runs_cases_and_the_report_says_what_it_was(shop):
    configs = [{"model_type": "probe"}]
    arguments = {"configs": configs, "sequence_lengths": [8], "max_time": 0.1, "progress": False}
    report = nbbench.run(frameworks=["probe"], environments=["kernel", "small==1.0"], **arguments)
    assert report.speed.status.tolist() == ["ok", "ok"]
    assert report.speed.environment.tolist() == ["kernel", "small==1.0"]
    columns = report.environment
    assert list(columns) == ["probe (kernel)", "probe (small==1.0)"]
    assert columns.loc["interpreter"].tolist() == ["the kernel's own", "made from requirements"]
    report = nbbench.run(
        frameworks=["probe"], environment=environments.environment_path("small==1.0"), **arguments
    )
    assert report.speed.environment.tolist() == ["path 1"]
    told = report.environment.to_dict()["probe"]
    assert not [key for key, value in told.items() if str(shop.parent) in str(value)]


@pytest.mark.parametrize("name", ["pandas", "frames"])
def test_a_layer_borrows_what_is_here_and_installs_the_rest(shop, monkeypatch, name):
    monkeypatch.setattr(requirements, "HEAVY", (name,))
    monkeypatch.setitem(requirements.SAME_AS, "frames", ("pandas",))  # as with tensorflow-cpu
    make_wheel(shop, "needy", "1.0", requires=["pandas>=1", "small==1.0"])
    monkeypatch.setattr(
        interpreters,
        "needs_of",
        lambda _: Needs((Requirement(f"{name}>=1"),), SpecifierSet("")),
    )
    made = create("layered", "needy==1.0")
    assert made.kind == "layer"
    (record,) = environments.list_environments()
    assert set(record.installed) == {"needy", "small", "smaller"}
    assert record.borrowed["pandas"] == installed()["pandas"]
    code = "import needy, small, pandas; print(pandas.__version__)"
    shown = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == installed()["pandas"]
    # What it borrows changes: it is made anew.
    file = store.store_folder() / f"{record.key}.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps({**values, "borrowed": {"pandas": "0.1"}}))
    assert store.find_record(record.key) is None


def write_record(folder, name, version, **files):
    """What an installer leaves of a package, without the package."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    line = f"Version: {version}\n" if version else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n{line}")
    for file, content in files.items():
        (info / f"{file}.json").write_text(json.dumps(content))


def test_a_version_that_no_installer_takes_is_as_if_it_were_not_there(tmp_path):
    write_record(tmp_path, "good", "1.0+cpu")
    write_record(tmp_path, "gpg", "1.16.0-unknown")
    write_record(tmp_path, "nameless", "")
    assert installed(tmp_path) == {"good": "1.0+cpu"}


def test_a_layer_borrows_only_what_it_can_import(tmp_path, monkeypatch):
    write_record(tmp_path / "elsewhere", "from-pythonpath", "1.0")
    site = tmp_path / "site-packages"
    write_record(site, "edited", "1.0", direct_url={"dir_info": {"editable": True}})
    write_record(site, "copied", "1.0", direct_url={"dir_info": {}})
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    monkeypatch.syspath_prepend(str(site))
    assert {"from-pythonpath", "edited", "copied"} <= installed().keys()
    assert requirements.borrowable().keys() & {"from-pythonpath", "edited", "copied"} == {"copied"}
    assert requirements.layer_folders()[0] == str(site)


def test_uv_obeys_the_users_configuration_and_none_from_a_shared_folder(
    shop, tmp_path, monkeypatch
):
    shared, home = tmp_path / "shared", tmp_path / "config"
    shared.mkdir()
    (shared / "uv.toml").write_text('constraint-dependencies = ["small<1"]\n')
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    (home / "uv").mkdir(parents=True)
    (home / "uv" / "uv.toml").write_text(f"find-links = [{json.dumps(str(shop))}]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("APPDATA", str(home))
    monkeypatch.delenv("UV_FIND_LINKS")
    assert create("mine", "small==1.0").kind == "made"


def test_relative_paths_in_uvs_variables_count_from_the_users_folder(shop, monkeypatch):
    monkeypatch.chdir(shop.parent)
    monkeypatch.setenv("UV_FIND_LINKS", "wheels")
    assert create("mine", "small==1.0").kind == "made"


def test_a_package_from_another_source_is_another_environment(shop, tmp_path, monkeypatch):
    def python():
        return environments.finish(environments.prepare("small==1.0", "probe")).python

    first = python()
    assert python() == first
    monkeypatch.setenv("UV_FIND_LINKS", str(shutil.copytree(shop, tmp_path / "other")))
    assert python() != first
    monkeypatch.setenv("UV_FIND_LINKS", str(shop))
    assert python() == first
    monkeypatch.setenv("UV_TORCH_BACKEND", "cpu")
    assert python() == first  # nothing of PyTorch is installed
    assert sources_set(of_torch=True)["UV_TORCH_BACKEND"] == "cpu"
    index = "UV_INDEX_URL"
    known = []
    for user in ("", "me:secret@", "other@"):
        monkeypatch.setenv(index, f"https://{user}packages.example/simple")
        known.append(sources_set(of_torch=False)[index])
    assert len(set(known)) == 1


def test_one_name_for_two_frameworks_is_that_of_the_framework_that_runs(shop, monkeypatch, capsys):
    monkeypatch.setattr(interpreters, "needs_of", lambda _: Needs((), SpecifierSet("")))
    made = {
        framework: create("old", wanted, framework=framework)
        for framework, wanted in (("probe", "small==1.0"), ("pytorch", "smaller==1.5"))
    }
    for framework, environment in made.items():
        found = environments.finish(environments.prepare("old", framework))
        assert found.python == environment.python
        assert environments.environment_path("old", framework) == environment.python
    assert main(["env", "path", "old", "--framework", "probe"]) == 0
    assert capsys.readouterr().out.strip() == made["probe"].python
    with pytest.raises(NbbenchError, match="for probe and for pytorch; name"):
        environments.environment_path("old")


@pytest.mark.parametrize("what", ["uv is missing", "the disk is full"])
def test_what_the_system_refuses_is_an_environment_that_is_not_ready(shop, monkeypatch, what):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    if what == "uv is missing":
        monkeypatch.setattr("uv.find_uv_bin", refuse)
    else:
        monkeypatch.setattr(store.Record, "save", refuse)
    with pytest.raises(EnvironmentNotReady, match=r"cannot be made: .*No space left.*; make room"):
        create("mine", "small==1.0")
    assert not leftovers()


def test_a_mistyped_path_with_blanks_is_a_path(tmp_path):
    for path in (str(tmp_path / "My Projects" / "env"), "./my env", "~/my env/bin/python"):
        with pytest.raises(EnvironmentNotReady, match="there is no python at"):
            environments.finish(environments.prepare(path, "probe"))
    assert not interpreters.is_path("./name small==1.0")


@pytest.mark.parametrize("damage", ["python", "package", "record"])
def test_a_damaged_one_is_never_used_and_made_anew(shop, damage):
    made = create("mine", "small==1.0")
    (record,) = environments.list_environments()
    if damage == "python":
        Path(made.python).unlink()
    elif damage == "package":
        shutil.rmtree(store.site_packages(record.path) / "smaller-1.5.dist-info")
    else:
        (store.store_folder() / f"{record.key}.json").write_text('{"key": ')
    anew = create("mine", "small==1.0")
    assert anew.python != made.python
    subprocess.run([anew.python, "-c", "import small, smaller"], check=True)
    assert not leftovers()


@pytest.mark.slow
@pytest.mark.newest
def test_killing_a_build_at_any_moment_leaves_a_working_one_at_the_next_try(shop):
    killed = 0
    for wait in (0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2):
        process = command("create", "mine", "large==1.0", "small==1.0")
        time.sleep(wait)
        killed += process.poll() is None
        process.kill()
        process.communicate()
        for record in environments.list_environments():  # it was done before it was killed
            environments.remove_environment(record.name)
    assert killed >= 2
    process = command("create", "mine", "large==1.0", "small==1.0")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    subprocess.run([out.strip(), "-c", "import small, smaller, large"], check=True)
    wait_until(lambda: len(leftovers()) <= 1)  # an orphan of the killed ones may still be at work


def test_two_at_once_make_one(shop):
    both = [command("create", "mine", "large==1.0") for _ in range(2)]
    outputs = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert len(environments.list_environments()) == 1
    assert not leftovers()


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(shop, tmp_path, monkeypatch):
    small_disk = tmp_path / "disk"
    small_disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(small_disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk takes rights that this process has not")
    try:
        monkeypatch.setenv("NBBENCH_CACHE", str(small_disk))
        monkeypatch.setattr("nbbench.environments.build._refuse_full_disk", lambda _: None)
        with pytest.raises(EnvironmentNotReady, match=r"No space left.*NBBENCH_CACHE"):
            create("mine", "large==1.0")
        assert not environments.list_environments()
        assert not leftovers()
        monkeypatch.undo()
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


def test_what_is_too_large_for_the_disk_is_refused_before(shop, monkeypatch):
    usage = shutil.disk_usage(shop)
    resolve = build.resolve

    def large(*given):
        return replace((yield from resolve(*given)), download=42_000_000)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    monkeypatch.setattr(build, "resolve", large)  # a folder of wheels names no sizes
    with pytest.raises(EnvironmentNotReady, match="42 MB are to be installed and 1 MB are free"):
        create("mine", "large==1.0")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["nothing==1.0"], "no version of nothing==1.0.*; check the names"),
        (["small==1.0", "smaller==0.1"], "require smaller==0.1.*unsatisfiable; check the"),
        (["small==2.0"], "small==2.0.*; check the names"),
    ],
)
def test_what_cannot_be_resolved_says_why_in_the_resolvers_words(shop, wanted, said):
    with pytest.raises(EnvironmentNotReady, match=said) as caught:
        create("mine", *wanted)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("environment mine cannot be made: ")
    assert not leftovers()


def test_offline_with_nothing_cached_is_a_clear_error(shop, monkeypatch):
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(EnvironmentNotReady, match=r"network was disabled.*go online once"):
        create("mine", "attrs==23.1.0")


def test_cases_whose_environment_cannot_be_made_are_rows_and_the_others_stay(shop):
    report = nbbench.run(
        frameworks=["probe"],
        configs=[{"model_type": "probe"}],
        environments=["nothing==1.0", "kernel"],
        sequence_lengths=[8, 16],
        max_time=0.1,
        progress=False,
    )
    assert report.speed.status.tolist() == ["error", "error", "ok", "ok"]
    assert report.speed.phase.tolist()[0] == "preparing"
    assert "cannot be made: No solution found" in report.speed.reason[0]
    with pytest.raises(ArgumentError, match=r"'kernl' is neither.*did you mean 'kernel'"):
        nbbench.run("x", frameworks=["probe"], environments=["kernl"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create"], "env create needs a name"),
        (["create", "tensorfow"], "did you mean 'tensorflow'"),
        (["create", "mine", "small =="], "'small' is no requirement|is no requirement"),
        (["create", "mine", "small==1", "--framework", "torch"], "--framework: 'torch' is not"),
        (["create", "tensorflow", "small==1.0"], "give another name"),
        (["create", "kernel"], "cannot be a name"),
        (["remove"], "env remove needs a name"),
        (["remove", "mine"], "no environment 'mine' has been made (there are: none)"),
        (["path", "mine"], "no environment 'mine' has been made"),
        (["path", "mine", "yours"], "env path needs one name"),
        (["list", "mine"], "env list takes no words, and 'mine' was given"),
        (["crate"], "there is no command env 'crate'; did you mean 'create'?"),
    ],
)
def test_the_command_line_says_what_is_wrong(shop, capsys, words, said):
    assert main(["env", *words]) == 2
    error = capsys.readouterr().err
    assert any(part in error for part in said.split("|"))
    assert error.count("\n") == 1


def test_the_command_line_lists_and_removes(shop, capsys):
    assert main(["env", "list"]) == 0
    assert "no environment has been made yet" in capsys.readouterr().out
    path = create("mine", "small==1.0").python
    assert main(["env", "list"]) == 0
    shown = capsys.readouterr().out
    assert "mine" in shown
    assert "small==1.0" in shown
    assert main(["env", "path", "mine"]) == 0
    assert capsys.readouterr().out.strip() == path
    assert main(["env", "remove", "mine"]) == 0
    assert not Path(path).exists()
    assert not environments.list_environments()


def test_a_name_stands_for_the_last_that_was_made_under_it(shop, monkeypatch):
    first = create("mine", "small==1.0")
    found = environments.finish(environments.prepare("mine", "probe"))
    assert found.python == first.python
    shutil.rmtree(first.python.rpartition("/")[0])  # and it is made anew where it is damaged
    anew = environments.finish(environments.prepare("mine", "probe"))
    assert anew.python != first.python
    make_wheel(shop, "small", "1.1")
    last = create("mine", "small==1.1")
    assert environments.environment_path("mine") == last.python
    assert len(environments.list_environments()) == 1
    monkeypatch.setenv("UV_FIND_LINKS", str(shop / "nowhere"))  # nothing is resolved again
    assert environments.finish(environments.prepare("mine", "probe")).python == last.python


def test_a_requirement_that_does_not_apply_is_refused(shop):
    with pytest.raises(ArgumentError, match="does not apply here"):
        environments.choose('small==1.0;python_version<"3"', "probe")


def test_a_cache_that_cannot_be_is_one_sentence(shop, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(NbbenchError, match="set NBBENCH_CACHE to a folder"):
        create("mine", "small==1.0")


def test_an_environment_of_another_framework_is_refused():
    with pytest.raises(ArgumentError, match="is for the framework of that name"):
        environments.finish(environments.prepare("tensorflow", "pytorch"))
    with pytest.raises(NbbenchError, match="is no requirement"):
        environments.finish(environments.prepare("transformers=4", "pytorch"))
