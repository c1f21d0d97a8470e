"""Threads from affinity and cgroup quota, on files laid out as Linux does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from esrface.errors import InputError
from esrface.threads import available_threads, resolve_threads


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def threads_for(tmp_path: Path, membership: str | None, files: dict[str, str]) -> int:
    proc = tmp_path / "self-cgroup"
    if membership is not None:
        proc.write_text(membership)
    for name, content in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return available_threads(cgroup_root=tmp_path / "cgroup", proc_cgroup=proc)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param(None, {}, 8, id="no cgroups"),
        pytest.param("0::/\n", {}, 8, id="no limit file at the root"),
        pytest.param("0::/job\n", {"job/cpu.max": "max 100000\n"}, 8, id="no limit"),
        pytest.param("0::/\n", {"cpu.max": "200000 100000\n"}, 2, id="container of 2"),
        pytest.param("0::/\n", {"cpu.max": "150000 100000\n"}, 2, id="1.5 CPUs keep 2 threads busy"),
        pytest.param("0::/\n", {"cpu.max": "20000 100000\n"}, 1, id="a fifth of a CPU"),
        pytest.param("0::/\n", {"cpu.max": "6400000 100000\n"}, 8, id="quota above the affinity"),
        pytest.param(
            "0::/a/b\n",
            {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"},
            3,
            id="limit on a parent",
        ),
        pytest.param(
            "0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "500000 100000"}, 3, id="smallest wins"
        ),
        pytest.param("0::/not/mounted\n", {"cpu.max": "400000 100000"}, 4, id="path outside the container"),
        pytest.param(
            "4:cpu,cpuacct:/job\n0::/\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "250000", "cpu,cpuacct/job/cpu.cfs_period_us": "100000"},
            3,
            id="version 1",
        ),
        pytest.param(
            "4:cpuacct,cpu:/x\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            8,
            id="v1 none",
        ),
        pytest.param("0::/\n", {"cpu.max": "nonsense"}, 8, id="unreadable limit"),
        pytest.param("0::/\n", {"cpu.max": "100000 0"}, 8, id="period of zero"),
        pytest.param("what is this\n", {"cpu.max": "100000 100000"}, 8, id="unreadable membership"),
    ],
)
def test_available_threads(
    tmp_path: Path, membership: str | None, files: dict[str, str], expected: int
) -> None:
    assert threads_for(tmp_path, membership, files) == expected


def test_affinity_bounds_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert threads_for(tmp_path, "0::/\n", {"cpu.max": "400000 100000"}) == 1


def test_where_there_is_no_affinity_all_cpus_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads_for(tmp_path, None, {}) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads_for(tmp_path, None, {}) == 1


def test_a_given_number_wins_and_nonsense_is_refused() -> None:
    assert resolve_threads(3) == 3
    assert 1 <= resolve_threads(None) <= 8
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(InputError, match="threads must be a whole number of at least 1"):
            resolve_threads(wrong)  # type: ignore[arg-type]
