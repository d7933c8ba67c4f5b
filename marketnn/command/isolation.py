"""One job's state kept from the next: several jobs of a sweep run in one process, and must not notice it."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from threadpoolctl import threadpool_limits


@contextmanager
def isolated(seed: int, threads: int, *, deterministic: bool = False) -> Iterator[None]:
    """Start from a known global state and put everything back as it was found.

    marketnn draws from generators of its own and leaves global state alone; a pipeline of a user's, or a library under it, may
    not. Inside, the global generators start from the seed, floats are 32 bits wide by default, gradients are on, and every pool
    of threads has the same size: sums over other numbers of threads round otherwise.

    Args:
        seed: of the job, at least 0.
        threads: CPU threads of PyTorch, BLAS and OpenMP.
        deterministic: use PyTorch's deterministic algorithms alone, not the fastest; one that has no such form raises.
    """
    environment, folder = dict(os.environ), os.getcwd()
    generators = random.getstate(), get_bit_generator(), torch.get_rng_state()
    cards = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    dtype, width, numbers = torch.get_default_dtype(), torch.get_num_threads(), np.geterr()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_default_dtype(torch.float32)
        if deterministic:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # without it cuBLAS refuses
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, False
        torch.set_float32_matmul_precision("highest")
        torch.set_num_threads(threads)
        random.seed(seed)
        set_bit_generator(np.random.MT19937(seed))
        torch.manual_seed(seed)
        with threadpool_limits(threads), warnings.catch_warnings(), torch.enable_grad():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        random.setstate(generators[0])
        set_bit_generator(generators[1])
        torch.set_rng_state(generators[2])
        if cards:
            torch.cuda.set_rng_state_all(cards)
        np.seterr(**numbers)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(width)
        torch.use_deterministic_algorithms(was_deterministic, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.set_float32_matmul_precision(precision)
