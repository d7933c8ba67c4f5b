"""Which path a Levenberg-Marquardt step takes: the one whose predicted time is least.

The prediction counts, per step, the multiplications of matrix products and factorisations, the numbers written one by one,
and the operations launched, and weighs them with what each takes on one core in float64. Only the order of the paths matters,
and that hardly depends on the machine: the paths differ by factors, not by percents.

    packed         J^T J of a dense network from packed pairs        n sum over pairs of layers of (pairs)(pairs), P^3/6
    jacobian       J of a dense network, then J^T J                  n m P^2, P^3/6
    gram           J J^T of a dense network layer by layer           (n m)^2 sum of widths, (n m)^3/6
    autodiff       J of any module, then J^T J                       n m P^2, P^3/6, a backward pass per output
    autodiff_gram  J of any module, then J J^T                       (n m)^2 P, (n m)^3/6, a backward pass per output
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from marketnn.errors import InputError, unknown_name
from marketnn.optim.paths.autodiff import AutodiffPath
from marketnn.optim.paths.autodiff_gram import AutodiffGramPath
from marketnn.optim.paths.dense import Dense, dense_shape
from marketnn.optim.paths.dense_paths import GramPath, PackedPath
from marketnn.optim.paths.jacobian import JacobianPath
from marketnn.optim.paths.linearisation import Path
from marketnn.optim.paths.pairs import n_pairs
from marketnn.optim.problem import Problem
from marketnn.optim.processes import Reduce

SOLVERS = ("auto", "primal", "dual", "packed", "jacobian", "gram", "autodiff", "autodiff_gram")
_DENSE = ("packed", "jacobian", "gram")
_PRIMAL = ("packed", "jacobian", "autodiff")

_MULTIPLY_ADD = 0.05e-9  # seconds, in a matrix product
_FACTOR = 0.15e-9  # per multiplication of a Cholesky factorisation
_WRITE = 0.6e-9  # per number of an elementwise product
_LAUNCH = 5e-6  # per operation
LARGEST_JTJ = 2**33  # bytes of J^T J, or of J where it is held whole; the factor of J^T J takes as much again
_JACOBIAN_ELEMENTS = 2**22  # J may be held whole up to 32 MB in float64


@dataclass(frozen=True)
class Settings:
    """How the user wants the system computed.

    Attributes:
        solver: one of ``SOLVERS``; ``primal`` and ``dual`` leave the choice among the paths of that form.
        chunk_rows: rows at a time; ``None`` chooses.
        accumulate_dtype: dtype of products within a chunk; ``None`` is the parameters'.
        compile: pass the Jacobian of a general module through ``torch.compile``.
        reduce: adds up tensors over processes in place, or ``None``.
    """

    solver: str = "auto"
    chunk_rows: int | None = None
    accumulate_dtype: torch.dtype | None = None
    compile: bool = False
    reduce: Reduce | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise InputError(f"chunk_rows={self.chunk_rows} is not possible; pass at least 1, or None.")
        if self.solver not in SOLVERS:
            raise unknown_name("solver", self.solver, SOLVERS)


def choose_solver(module: nn.Module, problem: Problem, settings: Settings) -> str:
    """Name the path with the least predicted time among those that the settings allow.

    Raises:
        InputError: the named path is not open to this module or these settings, or its matrices are too large.
    """
    name = _choose(module, problem, settings)
    if name in _PRIMAL:
        _check_size(name, module, problem)
    return name


def _choose(module: nn.Module, problem: Problem, settings: Settings) -> str:
    dense = dense_shape(module)
    open_paths = [name for name in SOLVERS[3:] if (name in _DENSE) == (dense is not None)]
    in_blocks = "autodiff" if dense is None else "packed"
    if not problem.in_memory and settings.solver not in ("auto", "primal", in_blocks):
        raise InputError(f"rows in a Parquet file need solver={in_blocks}, not {settings.solver}; pass auto.")
    if settings.solver in SOLVERS[3:]:
        if settings.solver in _DENSE and dense is None:
            raise InputError(
                f"solver={settings.solver} needs a BPNetwork, all of its parameters trained; "
                f"for a {type(module).__name__} pass solver=auto."
            )
        return settings.solver
    if settings.reduce and settings.solver == "dual":
        raise InputError("a process group needs a primal solver, not dual; pass solver=primal.")
    if settings.reduce or not problem.in_memory:
        # All processes must take the same path, whatever the number of their own rows.
        return in_blocks
    n_parameters, members = _parameter_count(module, problem), problem.members or 1
    if settings.solver == "primal":
        open_paths = [name for name in open_paths if name in _PRIMAL]
    elif settings.solver == "dual" or _jtj_bytes(n_parameters, problem) > LARGEST_JTJ:
        open_paths = [name for name in open_paths if name not in _PRIMAL]
    if dense is None:
        residuals = problem.n_rows * problem.n_outputs
        return open_paths[0] if residuals >= n_parameters else open_paths[-1]
    if "jacobian" in open_paths and not _holds_jacobian(dense, problem, settings):
        open_paths.remove("jacobian")
    return min(open_paths, key=lambda name: predicted_seconds(name, dense, problem.n_rows, members))


def predicted_seconds(name: str, dense: Dense, n_rows: int, members: int) -> float:
    """Predict the time of one step on a path of a dense network, the trial steps' losses aside."""
    residuals, parameters = n_rows * dense.n_outputs, dense.n_parameters
    widths = [rows + columns for rows, columns in dense.matrices]
    if name == "packed":
        multiplications, written, launches = _packed_work(dense)
        work = n_rows * (_MULTIPLY_ADD * multiplications + _WRITE * written)
        chunks = -(-n_rows // 2_000)
        return members * (work + _primal_solution(parameters)) + _LAUNCH * (chunks * launches + dense.sizes[1] + 30)
    if name == "jacobian":
        work = residuals * (_MULTIPLY_ADD * parameters**2 + _WRITE * parameters)
        return members * (work + _primal_solution(parameters)) + _LAUNCH * 30
    work = residuals**2 * (_MULTIPLY_ADD * sum(widths) + 2 * _WRITE * dense.n_layers)
    return members * (work + _FACTOR * residuals**3 / 6) + _LAUNCH * 40


def build_path(name: str, module: nn.Module, settings: Settings) -> Path:
    """Build a path by its name.

    Raises:
        InputError: a setting that the path has no use for.
    """
    dense = dense_shape(module)
    if settings.accumulate_dtype is not None and settings.solver == name and name not in ("packed", "autodiff"):
        raise InputError(f"accumulate_dtype={settings.accumulate_dtype} needs solver=packed or autodiff, not {name}.")
    if settings.reduce is not None and name not in _PRIMAL:
        raise InputError(f"a process group needs a primal solver, not {name}; pass solver=primal.")
    if name == "packed" and dense is not None:
        return PackedPath(module, dense, settings.chunk_rows, settings.reduce, settings.accumulate_dtype)
    if name == "jacobian" and dense is not None:
        return JacobianPath(module, dense, settings.chunk_rows, settings.reduce)
    if name == "gram" and dense is not None:
        return GramPath(module, dense, settings.chunk_rows)
    if name == "autodiff":
        return AutodiffPath(module, settings.chunk_rows, settings.reduce, settings.accumulate_dtype, settings.compile)
    return AutodiffGramPath(module, settings.chunk_rows)


def is_primal(name: str) -> bool:
    """Whether a path forms J^T J, which scaling, geodesic acceleration and evidence need."""
    return name in _PRIMAL


def _parameter_count(module: nn.Module, problem: Problem) -> int:
    """The number of parameters of one network, P."""
    return sum(parameter.numel() for parameter in module.parameters()) // (problem.members or 1)


def _jtj_bytes(n_parameters: int, problem: Problem) -> int:
    return (problem.members or 1) * n_parameters**2 * problem.y.element_size()


def _check_size(name: str, module: nn.Module, problem: Problem) -> None:
    n_parameters, networks = _parameter_count(module, problem), f"{problem.members or 1} network(s)"
    size = _jtj_bytes(n_parameters, problem)
    if size > LARGEST_JTJ:
        raise InputError(
            f"J^T J of {n_parameters:,} parameters takes {size:,} bytes for {networks}, more than {LARGEST_JTJ:,};\n"
            "pass solver=dual with few rows at once, or train with MiniBatchLM (optimizer=lm_minibatch)."
        )
    size = size // n_parameters * problem.n_rows * problem.n_outputs
    if name == "jacobian" and size > LARGEST_JTJ:
        raise InputError(
            f"J of {problem.n_rows:,} rows takes {size:,} bytes for {networks}, more than {LARGEST_JTJ:,}; "
            "pass solver=packed."
        )


def _holds_jacobian(dense: Dense, problem: Problem, settings: Settings) -> bool:
    """Whether J of all rows and members is small enough, and nothing asks for chunks."""
    elements = (problem.members or 1) * dense.n_parameters * problem.n_rows * problem.n_outputs
    return settings.chunk_rows is None and settings.accumulate_dtype is None and elements <= _JACOBIAN_ELEMENTS


def _packed_work(dense: Dense) -> tuple[int, int, int]:
    """Count multiplications and numbers written per row, and operations per chunk, of the packed path."""
    multiplications = written = launches = 0
    matrices: Sequence[tuple[int, int]] = dense.matrices
    folded = dense.activation(dense.n_layers - 1).slope is None
    for layer, (units, inputs) in enumerate(matrices[:-1]):
        multiplications += n_pairs(units) * n_pairs(inputs)
        written += n_pairs(units) + n_pairs(inputs)
        launches += units + inputs
        for above_units, above_inputs in matrices[layer + 1 : -1]:
            multiplications += units * above_units * inputs * above_inputs
            written += units * above_units * dense.n_outputs + inputs * above_inputs
        outputs, last_inputs = matrices[-1]
        distinct = 1 if folded and layer == dense.n_layers - 2 else outputs
        multiplications += distinct * units * inputs * last_inputs
        written += last_inputs * min(distinct * units, inputs)
    outputs, last_inputs = matrices[-1]
    multiplications += (1 if folded else outputs) * last_inputs**2
    return multiplications, written, launches + 20 * dense.n_layers


def _primal_solution(parameters: int) -> float:
    """Time of writing out J^T J and factoring it."""
    return _WRITE * 2 * parameters**2 + _FACTOR * parameters**3 / 6
