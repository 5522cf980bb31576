"""A history and a project of a test's own, and what a quick run of the probe is given."""

import pytest

GIVEN = {
    "frameworks": ["probe"], "batch_sizes": [1], "sequence_lengths": [8], "rounds": 1,
    "max_time": 0.05, "progress": False,
}  # fmt: skip


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The file of the history that runs keep their cases in."""
    file = tmp_path / "data" / "history.sqlite"
    monkeypatch.setenv("NBBENCH_HISTORY", str(file))
    return file


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def ended(store, case, worker):
    """What a history finds of a case that has ended; None if nothing."""
    return next((candidate.result for candidate in store.ended(case, worker)), None)


def begun(store, case, worker):
    """What a history finds of the visits of a case that has not ended; None if nothing."""
    return next((candidate.result for candidate in store.visits_so_far(case, worker)), None)
