"""Contenders for networks of many parameters on mini-batches: our dual-form LM against Adam.

Adam's grid of rates and batch sizes takes minutes and is no engine under test: it runs once on a machine, and its
outcome is kept in a JSON file beside the table together with all that it depends on.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from bench import machine
from bench.case import Contender, Measures, Options, Run
from bench.lm_steps import PER_STEP, TORCH_LM, MakeTask
from bench.lm_tasks import Task
from bench.results import write_atomically
from tqdm import tqdm

from marketnn import registry
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.seed import torch_generator

END_LOSS = "MSE at the end"
TO_ADAM = "s to Adam's MSE"
TEST_LOSS = "test MSE"
TO_BEST = "s to the best validation"
DECREASE = "MSE after / before"
RATES = (1e-3, 3e-3, 1e-2)
BATCHES = (256, 1024)
DAMPINGS = (1e-3, 1.0, 10.0)

_OURS = "lm_minibatch"

MakeParts = Callable[[], tuple[Task, Task, Task]]


def adam_epochs(
    task: Task, network: BPNetwork, rate: float, batch_rows: int, seconds: float, seed: int
) -> Iterator[float]:
    """Train by Adam on mini-batches for ``seconds`` and yield after every epoch the seconds spent in training.

    The time between a yield and the next epoch is the caller's and is not counted.

    Args:
        task: the rows.
        network: changed in place.
        rate: the first learning rate; it decays on a cosine to zero over the seconds.
        batch_rows: rows of a mini-batch.
        seconds: of training.
        seed: of the order of the rows.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    generator = torch_generator(seed)
    spent = 0.0
    while spent < seconds:
        start = time.perf_counter()
        for rows in torch.randperm(len(task.x), generator=generator).split(batch_rows):
            done = (spent + time.perf_counter() - start) / seconds
            if done >= 1:
                break
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * done))
            optimizer.zero_grad()
            (network(task.x[rows]) - task.y[rows]).square().mean().backward()
            optimizer.step()
        spent += time.perf_counter() - start
        yield spent


def adam_best(task: Task, options: Options, seconds: float) -> float:
    """Return the lowest MSE at the end of Adam's grid; an earlier run's where machine, versions, settings and data agree."""
    depends = {
        "machine": machine.describe(),
        "versions": machine.versions(["torch"]),
        "threads": options.threads,
        "seconds": seconds,
        "rows": len(task.x),
        "layer_sizes": list(task.layer_sizes),
        "seed": options.seed,
        "checksum": checksum(task, options.seed),
        "grid": [[rate, batch_rows] for rate in RATES for batch_rows in BATCHES],
    }
    name = "_".join(map(str, task.layer_sizes))
    path = Path(options.output) / f"adam_{name}_{options.threads}_threads{'_quick' if options.quick else ''}.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    if kept.get("depends") != depends:
        runs = []
        for rate, batch_rows in tqdm(depends["grid"], desc="Adam's grid", leave=False):
            network = task.network(options.seed)
            for _ in adam_epochs(task, network, rate, batch_rows, seconds, options.seed):
                pass
            runs.append({"rate": rate, "batch_rows": batch_rows, "mse": mean_squared_error(network, task)})
        kept = {"depends": depends, "runs": runs}
        write_atomically(path, json.dumps(kept, indent=1) + "\n")
    return min(run["mse"] for run in kept["runs"])


def checksum(task: Task, seed: int) -> str:
    """Return the SHA-256 of the rows and of the first weights of a seed."""
    digest = hashlib.sha256()
    for tensor in (task.x, task.y, *task.network(seed).parameters()):
        digest.update(tensor.detach().contiguous().numpy())
    return digest.hexdigest()


def adam_large(name: str, make: MakeTask, options: Options, seconds: float) -> Contender:
    """Report the best of Adam's grid; it reaches its loss at the end of its decay."""

    def prepare() -> Run:
        best = adam_best(make(), options, seconds)
        return lambda: {END_LOSS: best, TO_ADAM: seconds}

    grid = f"best of rates {RATES} x batches {BATCHES}, cosine decay over {seconds:g} s, fused, float32"
    settings = f"{grid}; run once, all six in the JSON file beside this table"
    return Contender(name, settings, prepare, repeats=1, warm_up=False)


def ours_large(name: str, make: MakeTask, options: Options, seconds: float) -> Contender:
    """Train by our mini-batch LM for as long as Adam, and note when it passes Adam's loss."""

    def prepare() -> Run:
        task = make()
        target = adam_best(task, options, seconds)

        def run() -> Measures:
            network = task.network(options.seed)
            result = train(network, task.x, task.y, optimizer=_OURS, max_epochs=10**9, time_limit=seconds)
            epochs = zip(result.history["seconds"], result.history["loss"], strict=True)
            reached = (spent for spent, loss in epochs if loss <= target)
            return {END_LOSS: mean_squared_error(network, task), TO_ADAM: next(reached, math.inf)}

        return run

    return Contender(name, f"train, optimizer={_OURS}, time_limit={seconds:g}, float32", prepare, warm_up=False)


def ours_step(name: str, make: MakeTask, seed: int, steps: int) -> Contender:
    """Step our mini-batch LM on one batch of rows."""

    def prepare() -> Run:
        task = make()
        optimizer = registry.build("optimizer", {"name": _OURS, "batch_rows": len(task.x)})

        def run() -> Measures:
            stepper = optimizer(task.network(seed))
            return _step_measures(lambda: stepper.step(task.x, task.y).new_loss, task, seed, steps)

        return run

    return Contender(name, f"{_OURS}, one batch, float32", prepare)


def torch_lm_step(name: str, make: MakeTask, seed: int, steps: int, solve_method: str = "cholesky") -> Contender:
    """Step the peer on the same rows; it takes the dual form too, with the whole Jacobian."""

    def prepare() -> Run:
        from bench.peer_torch_lm import stepper

        task = make()

        def run() -> Measures:
            optimizer = stepper(task.network(seed), solve_method=solve_method)
            return _step_measures(lambda: optimizer.training_step(task.x, task.y)[1], task, seed, steps)

        return run

    solved = {"cholesky": "Cholesky", "qr": "QR (its default)"}[solve_method]
    return Contender(name, f"float32, {solved} of J J^T, vmap, whole Jacobian", prepare, requires=(TORCH_LM,))


def ours_on_parts(name: str, make: MakeParts, seed: int, seconds: float) -> Contender:
    """Train by our mini-batch LM, an equal part of the time for each damping, and report the test rows.

    Validation rows choose the weights, and with them the damping: on a noisy table the usual one follows the noise.
    """
    share = seconds / len(DAMPINGS)

    def prepare() -> Run:
        part, validation, test = make()

        def run() -> Measures:
            best, spent, kept = float("inf"), 0.0, part.network(seed)
            for place, damping in enumerate(DAMPINGS):
                network = part.network(seed)
                result = train(
                    network,
                    part.x,
                    part.y,
                    optimizer=registry.build("optimizer", {"name": _OURS, "damping": damping}),
                    max_epochs=10**9,
                    validation=(validation.x, validation.y),
                    max_fail=10**9,
                    time_limit=share,
                )
                mse = mean_squared_error(network, validation)
                if mse < best:
                    within = result.history["seconds"][result.best_epoch - 1] if result.best_epoch else 0.0
                    best, spent, kept = mse, place * share + within, network
            return {TEST_LOSS: mean_squared_error(kept, test), TO_BEST: spent}

        return run

    settings = (
        f"train, optimizer={_OURS}, damping {', '.join(f'{d:g}' for d in DAMPINGS)} for {share:g} s each, float32"
    )
    return Contender(name, settings, prepare, warm_up=False)


def adam_on_parts(name: str, make: MakeParts, rate: float, seed: int, seconds: float) -> Contender:
    """Train by Adam with validation rows that choose the weights, and report the test rows."""

    def prepare() -> Run:
        part, validation, test = make()

        def run() -> Measures:
            network = part.network(seed)
            best, spent, kept = mean_squared_error(network, validation), 0.0, copy.deepcopy(network)
            for now in adam_epochs(part, network, rate, BATCHES[0], seconds, seed):
                mse = mean_squared_error(network, validation)
                if mse < best:
                    best, spent, kept = mse, now, copy.deepcopy(network)
            return {TEST_LOSS: mean_squared_error(kept, test), TO_BEST: spent}

        return run

    settings = f"rate {rate:g}, batches of {BATCHES[0]}, cosine decay over {seconds:g} s, fused, float32"
    return Contender(name, settings, prepare, warm_up=False)


@torch.no_grad()
def mean_squared_error(network: BPNetwork, task: Task) -> float:
    """Compute the MSE over all rows, a chunk at a time."""
    chunks = zip(task.x.split(10_000), task.y.split(10_000), strict=True)
    return sum(float((network(x) - y).double().square().sum()) for x, y in chunks) / task.y.numel()


def _step_measures(step: Callable[[], torch.Tensor], task: Task, seed: int, steps: int) -> Measures:
    before = mean_squared_error(task.network(seed), task)
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    return {PER_STEP: 1e3 * (time.perf_counter() - start) / steps, DECREASE: float(loss) / before}
