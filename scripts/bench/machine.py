"""The machine under a benchmark: what it is, how many of its cores are used, and a process's peak memory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

MEMORY = "peak MB over start"
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")


def describe() -> str:
    """Say in one line what the machine is: processor, cores, memory, system, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {gigabytes:.0f} GB, {system}"


def versions(distributions: Iterable[str]) -> dict[str, str | None]:
    """Return distribution -> version, ``None`` for one that is not installed; ``R/name`` is a package of R."""
    found: dict[str, str | None] = {}
    for name in distributions:
        if name.startswith("R/"):
            found[name] = _r_version(name.removeprefix("R/"))
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _r_version(package: str) -> str | None:
    if shutil.which("Rscript") is None:
        return None
    asked = f"cat(as.character(packageVersion('{package}')), 'of', R.version.string)"
    ended = subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True, check=False)
    return None if ended.returncode else ended.stdout.strip()


def thread_environment(threads: int) -> Mapping[str, str]:
    """Return the environment variables that hold every library's thread pool to ``threads``."""
    return dict.fromkeys(_POOLS, str(threads))


def usable_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Hold this process to ``threads`` cores; to be called before torch, NumPy or JAX is imported.

    The affinity is what reaches pools that no variable reaches, such as XLA's.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ.update(thread_environment(threads))


def limit_loaded_libraries(threads: int) -> str:
    """Set the pools of the libraries that are loaded by now, and state what each then uses."""
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)
    stated = [f"cores {usable_cores()}", f"torch {torch.get_num_threads()}"]
    pools = {f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpoolctl.threadpool_info()}
    return ", ".join([*stated, *sorted(pools)])


def restart_peak() -> float:
    """Forget the peak memory so far where the system can, and return the peak that counting starts from, in MB."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Return the process's peak resident memory in MB.

    On Linux this is VmHWM: ``ru_maxrss`` is the same number, but starts at the peak of the process that launched this
    one and cannot be restarted.
    """
    if sys.platform == "linux":
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_per_unit / 2**20
