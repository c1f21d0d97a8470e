"""How many threads this process may keep busy: its CPU affinity and its cgroup's quota."""

from __future__ import annotations

import math
import os
from numbers import Integral
from pathlib import Path, PurePosixPath

from esrface.errors import InputError

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC_CGROUP = Path("/proc/self/cgroup")


def resolve_threads(threads: int | None) -> int:
    """``threads`` itself where given (at least 1, else InputError); None: ``available_threads()``."""
    if threads is None:
        return available_threads()
    if isinstance(threads, bool) or not isinstance(threads, Integral) or threads < 1:
        raise InputError(
            f"threads must be a whole number of at least 1, got {threads!r}: leave it out for all"
        )
    return int(threads)


def available_threads(*, cgroup_root: Path = CGROUP_ROOT, proc_cgroup: Path = PROC_CGROUP) -> int:
    """Threads worth starting, at least 1: the CPUs this process may run on, or less under a quota.

    A container with a quota of 1.5 CPUs on a machine of 64 gets 2 threads, not 64.
    """
    cpus = _affinity()
    quota = _cgroup_quota(cgroup_root, proc_cgroup)
    return max(1, cpus if quota is None else min(cpus, math.ceil(quota)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_quota(root: Path, proc_cgroup: Path) -> float | None:
    """The smallest quota in CPUs of this process's cgroup and those above it; None without one."""
    quotas = []
    for hierarchy, group in _groups(proc_cgroup):
        # Version 1 has a folder per controller, version 2 one tree; inside a container the group's own
        # path is often not there and its files stand at the top.
        base = root / hierarchy if hierarchy else root
        for folder in (group, *group.parents):
            quota = _read_quota(base / str(folder).lstrip("/"))
            if quota is not None:
                quotas.append(quota)
    return min(quotas, default=None)


def _groups(proc_cgroup: Path) -> list[tuple[str, PurePosixPath]]:
    """(folder of the hierarchy, path of this process's group) of version 2 and of version 1's cpu."""
    groups = []
    try:
        lines = proc_cgroup.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        _, controllers, path = parts
        if not controllers:
            groups.append(("", PurePosixPath(path)))
        elif "cpu" in controllers.split(","):
            groups += [("cpu", PurePosixPath(path)), (controllers, PurePosixPath(path))]
    return groups


def _read_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").is_file():
            limit, period = (folder / "cpu.max").read_text().split()[:2]
            return None if limit == "max" else _ratio(float(limit), float(period))
        limit = (folder / "cpu.cfs_quota_us").read_text()
        period = (folder / "cpu.cfs_period_us").read_text()
        return _ratio(float(limit), float(period))
    except (OSError, ValueError):
        return None


def _ratio(limit: float, period: float) -> float | None:
    return limit / period if limit > 0 and period > 0 else None
