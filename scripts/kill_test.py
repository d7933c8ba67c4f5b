"""Kill runs at random moments and give them again: ``python scripts/kill_test.py`` says whether anything was lost.

A small job is a run folder filled by a training with a checkpoint in every epoch, in a forked process; a command is ``marketnn``
in a process of its own, a run or a sweep. Each is killed (SIGKILL) one to three times and then left to finish. Its numbers must
be those of a run that was never killed, byte for byte; between two kills its folder must not pass for a finished one, and no
checkpoint may be older than the one before.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from marketnn import registry
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.optim.checkpoints import keeping
from marketnn.tracking import Run
from marketnn.tracking.checkpoint import load_checkpoint
from marketnn.tracking.folder import read_finished
from marketnn.tracking.partial import REPORT

OPTIMIZERS = ("lm", "lm_minibatch", "adam", "lbfgs")
EPOCHS = {"lm": 40, "lm_minibatch": 25, "adam": 150, "lbfgs": 60}
SCORECARD = ["pipeline=scorecard", "data=index_scores", "data.n=400", "pipeline.members=3", "pipeline.max_epochs=150"]
SEGMENT = ["pipeline=segment", "data=points", "data.n=300", "data.groups=3", "pipeline.n_clusters=3"]
COMMANDS = (SCORECARD, ["-m", *SEGMENT, "seed=0,1"], [*SCORECARD, "optimizer=adam"])
MOST_KILLS = 3  # of one job

Start = Callable[[Path], int]  # begins a job in a folder and returns its process


@dataclass(frozen=True)
class Tally:
    """What happened.

    Attributes:
        kills: that met a living process.
        resumed: of them, those after which a checkpoint lay in the folder.
        jobs: that were killed at least once and then finished.
        faults: what must not be, in words.
    """

    kills: int = 0
    resumed: int = 0
    jobs: int = 0
    faults: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        """Count what happened to two."""
        return Tally(
            self.kills + other.kills, self.resumed + other.resumed, self.jobs + other.jobs, self.faults + other.faults
        )


def small_job(folder: Path, optimizer: str) -> None:
    """Train a small network and record it, with a checkpoint in every epoch."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(120, 3, generator=generator, dtype=torch.float64)
    y = 0.5 + 0.3 * torch.sin(6 * x[:, :1]) * x[:, 1:2] + 0.05 * torch.rand(120, 1, generator=generator, dtype=x.dtype)
    run = Run(folder, title="a small job", config=f"optimizer: {optimizer}\n", quiet=True)
    network = BPNetwork([3, 8, 1], seed=0)
    kept = replace(run.checkpoints, seconds=0.0)
    build = registry.build("optimizer", {"name": optimizer})
    result = train(network, x, y, optimizer=build, max_epochs=EPOCHS[optimizer], **keeping(kept, network, x, y))
    run.section("Training")
    history = pd.DataFrame({name: column for name, column in result.history.items() if name != "seconds"})
    run.table("history", history, "Epochs", show=False)
    weights = torch.cat([weight.detach().reshape(-1) for weight in network.parameters()])
    run.table("weights", pd.DataFrame({"bits": [float(w).hex() for w in weights]}), "Weights", show=False)
    run.metric(loss=result.history["loss"][-1], epochs=len(history))
    run.finish()


def fork(job: Callable[[], None]) -> int:
    """Do a job in a forked process; its status is 0 if nothing was raised."""
    process = os.fork()
    if process == 0:
        try:
            job()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return process


def spawn(words: list[str], folder: Path) -> int:
    """Start the command in a process of its own."""
    where = "hydra.sweep.dir" if "-m" in words else "hydra.run.dir"
    command = [sys.executable, "-m", "marketnn.cli", *words, f"{where}={folder}"]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    return os.posix_spawn(sys.executable, command, os.environ, file_actions=silent)


def results(folder: Path) -> dict[str, bytes]:
    """Return the bytes of everything that holds numbers."""
    files = [*folder.rglob("metrics.json"), *folder.rglob("tables/*.csv"), *folder.glob("*.csv")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files) if ".partial" not in file.parts}


def run_to_the_end(start: Start, folder: Path) -> bool:
    """Start a job and wait for it; whether it ended well."""
    return os.waitpid(start(folder), 0)[1] == 0


def kill_after(start: Start, folder: Path, seconds: float) -> bool:
    """Start a job and kill it; whether it was still alive."""
    process = start(folder)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def epochs_kept(folder: Path) -> int:
    """Return how many epochs the checkpoints in a folder and below it hold together."""
    files = folder.rglob(".partial/checkpoints/[!.]*.safetensors")
    return sum(len(load_checkpoint(file)["history/loss"]) for file in files)


def passes_for_finished(folder: Path) -> bool:
    """Whether a reader takes the folder for a finished run."""
    try:
        read_finished(folder)
    except InputError:
        return False
    return True


def torment(
    start: Start, folder: Path, expected: dict[str, bytes], seconds: float, most: int, draw: random.Random
) -> Tally:
    """Kill a job up to ``most`` times, each within ``seconds`` of its start, let it finish, and compare."""
    kills = resumed = kept = 0
    faults = []
    for _ in range(most):
        if not kill_after(start, folder, draw.uniform(0, seconds)):
            break
        before, kept = kept, epochs_kept(folder)
        kills, resumed = kills + 1, resumed + (kept > 0)
        if kept < before and not (folder / REPORT).exists():
            faults.append(f"{folder}: {before} epochs were kept, then {kept}")
        runs = [run for run in (folder, *folder.glob("[0-9]")) if passes_for_finished(run)]
        faults += [f"{run}: it passes for finished and is not" for run in runs if not agrees(run, folder, expected)]
    if not run_to_the_end(start, folder):
        faults.append(f"{folder}: it did not go on")
    elif results(folder) != expected:
        faults.append(f"{folder}: other numbers")
    return Tally(kills, resumed, jobs=int(kills > 0), faults=tuple(faults))


def agrees(run: Path, folder: Path, expected: dict[str, bytes]) -> bool:
    """Whether a run inside a folder holds the numbers that are expected there."""
    place = run.relative_to(folder)
    wanted = {name: content for name, content in expected.items() if place in Path(name).parents}
    return {str(place / name): content for name, content in results(run).items()} == wanted


def torment_all(starts: Sequence[Start], kills: int, scratch: Path, draw: random.Random) -> Tally:
    """Torment the jobs in turn until so many kills met a living process."""
    references: dict[int, tuple[dict[str, bytes], float]] = {}
    total, job = Tally(), 0
    while total.kills < kills and not total.faults:
        place = job % len(starts)
        if place not in references:
            folder, began = scratch / f"reference{place}", time.perf_counter()
            if not run_to_the_end(starts[place], folder):
                return Tally(faults=(f"{folder}: it failed without being killed",))
            references[place] = results(folder), time.perf_counter() - began
        most = min(draw.randint(1, MOST_KILLS), kills - total.kills)
        total += torment(starts[place], scratch / f"job{job}", *references[place], most, draw)
        job += 1
    return total


def main(arguments: list[str]) -> int:
    """Kill as often as was asked for; returns the exit status, 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="kill_test.py", description=__doc__)
    parser.add_argument("--small", type=int, default=180, metavar="N", help="kills of small jobs")
    parser.add_argument("--commands", type=int, default=20, metavar="N", help="kills of whole commands")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the moments; what a process does by then is up to the machine"
    )
    chosen = parser.parse_args(arguments)
    draw = random.Random(chosen.seed)
    torch.set_num_threads(1)  # a forked process has no threads but its own
    with tempfile.TemporaryDirectory() as scratch:
        for name in OPTIMIZERS:
            small_job(Path(scratch) / name, name)  # imports what it needs, so that no fork has to
    forked: list[Start] = [lambda folder, name=name: fork(lambda: small_job(folder, name)) for name in OPTIMIZERS]
    spawned: list[Start] = [lambda folder, words=words: spawn(words, folder) for words in COMMANDS]
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, starts, kills in (("small jobs", forked, chosen.small), ("commands", spawned, chosen.commands)):
            tally = torment_all(starts, kills, Path(scratch) / name.replace(" ", "_"), draw) if kills else Tally()
            print(
                f"{name}: {tally.kills} kills of {tally.jobs} jobs, {tally.resumed} with a checkpoint to go on from; "
                f"{len(tally.faults)} faults",
                flush=True,
            )
            faults += tally.faults
    print(*faults, sep="\n", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
