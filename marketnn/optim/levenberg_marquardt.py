"""Levenberg-Marquardt: the step -(J^T J + mu I)^-1 J^T e (paper A, eq. 2.7), with mu decided by trial.

J^T J is not normalised. A trial counts when its factorisation succeeds and its loss is finite and lower; otherwise mu
rises and only the factorisation is repeated, and only for the members whose trial was rejected. The host waits once per
trial, for the numbers that decide it; everything else stays where the module's parameters live.

Shapes: n rows, m outputs, P parameters of one network, R members, R' of them still trying.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from marketnn.errors import InputError, unknown_name
from marketnn.optim.checks import is_number, shown
from marketnn.optim.damping import FIRST_GROWTH, LARGEST, RULES, SMALLEST
from marketnn.optim.evidence import effective_parameters, updated_strength
from marketnn.optim.parquet_rows import ParquetRows, parquet_problem
from marketnn.optim.paths.linearisation import Path, Primal
from marketnn.optim.paths.solver import Settings, build_path, choose_solver, is_primal
from marketnn.optim.problem import (
    Problem,
    active_members,
    fitting_problem,
    flat_parameters,
    member_count,
    not_finite,
    version,
)
from marketnn.optim.processes import Reduce, reduction
from marketnn.optim.trials import Objective, Outcome, search

_SCALINGS = ("identity", "column")
_FIRST_SHARE = 1e-3
_SLOW_STEP = 0.01  # relative decrease of the loss from which on evidence estimates the noise


@dataclass(frozen=True)
class StepReport:
    """What one step did; tensors () or (R,) on the host, NaN, 0 and ``False`` for members that were not active.

    Attributes:
        outcomes: what it did to each network, from which the tensors are made when they are asked for.
        single: whether they have no leading R.
        effective_parameters: with evidence, how many parameters the data determine; otherwise ``None``.
    """

    outcomes: tuple[Outcome, ...]
    single: bool
    effective_parameters: Tensor | None = None

    @property
    def loss(self) -> Tensor:
        """MSE before the step."""
        return self._tensor([outcome.loss for outcome in self.outcomes])

    @property
    def new_loss(self) -> Tensor:
        """MSE after it; ``loss`` when every trial was rejected, below it otherwise (without evidence)."""
        return self._tensor([outcome.new_loss for outcome in self.outcomes])

    @property
    def damping(self) -> Tensor:
        """mu of the accepted trial; when none was accepted, the raised mu that the next trial would use."""
        return self._tensor([outcome.used_damping for outcome in self.outcomes])

    @property
    def gain_ratio(self) -> Tensor:
        """Actual over predicted decrease of the last trial, 0 where that is not finite."""
        return self._tensor([outcome.gain_ratio for outcome in self.outcomes])

    @property
    def tries(self) -> Tensor:
        """Trials, each one factorisation."""
        return self._tensor([outcome.tries for outcome in self.outcomes], torch.int64)

    @property
    def accepted(self) -> Tensor:
        """Whether the parameters changed."""
        return self._tensor([outcome.accepted for outcome in self.outcomes], torch.bool)

    @property
    def gradient_norm(self) -> Tensor:
        """Euclidean norm of the gradient of ``loss`` (with evidence, of the regularised loss) before the step."""
        return self._tensor([outcome.gradient_norm for outcome in self.outcomes])

    def _tensor(self, column: Sequence[float], dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.tensor(column[0] if self.single else column, dtype=dtype)


class _Prepared:
    """Data that were checked once, and the path to take with them."""

    def __init__(
        self, given: tuple[object, object, object], problem: Problem, path: Path, n_residuals: Tensor | None
    ) -> None:
        self._given = given
        self._versions = [version(tensor) for tensor in given]
        self.problem = problem
        self.path = path
        self.n_residuals = n_residuals
        terms, members = problem.terms, problem.members or 1
        self.terms = [terms] * members if isinstance(terms, float) else terms.expand(members).tolist()
        self._chosen: list[int] = []
        self._selected = problem

    def is_for(self, x: object, y: object, weight: object) -> bool:
        """Whether these are the very tensors, unchanged."""
        old_x, old_y, old_weight = self._given
        same = x is old_x and y is old_y and weight is old_weight
        return same and [version(x), version(y), version(weight)] == self._versions

    def problem_of(self, chosen: list[int], numbers: Tensor | None) -> Problem:
        """The problem of the active members, kept until others are active."""
        if numbers is None:
            return self.problem
        if chosen != self._chosen:
            self._chosen, self._selected = chosen, self.problem.select(numbers)
        return self._selected


class LevenbergMarquardt:
    """The optimiser of paper A's LMBP network, for any module that maps rows independently.

    Args:
        module: the network; every one of its parameters is fitted. With an attribute ``members`` (R), R networks.
        damping: mu of the first trial; ``None`` is a thousandth of J^T J's mean diagonal there. When later data have other
            numbers of rows, mu grows and shrinks with them.
        damping_rule: ``nielsen`` (follows the gain ratio) or ``multiplicative`` (0.1 and 10, MathWorks' ``trainlm``).
        solver: how the step is computed, always the same step: ``auto`` takes the path with the least predicted time
            (see ``paths/solver.py``), ``primal`` and ``dual`` the best that factor J^T J or J J^T, ``packed``, ``jacobian``,
            ``gram``, ``autodiff``, ``autodiff_gram`` that very path. The attribute ``path`` says what was taken.
        chunk_rows: rows at a time (primal); ``None`` chooses.
        accumulate_dtype: dtype of the products within a chunk (packed, autodiff), such as ``torch.float32``; the
            gradient, the sum over chunks and the solution keep the parameters' dtype. Where ``auto`` takes another path
            it has no effect.
        scaling: of the damping, ``identity`` or ``column``: mu times the diagonal of J^T J (Marquardt). Networks do
            better with the identity. Primal.
        geodesic: add the geodesic acceleration (Transtrum and Sethna, arXiv:1201.5885). Primal.
        evidence: regularise by the sum of squared parameters with the strength that the evidence favours, re-estimated
            at every step (MacKay 1992; MathWorks' ``trainbr``). A step then lowers the regularised loss. Primal.
        compile: pass the Jacobian of a general module through ``torch.compile``; a dense network's needs none.
        process_group: a ``torch.distributed`` group whose processes hold different rows; all take the same step.

    Raises:
        InputError: a damping outside (0, 1e10], ``chunk_rows`` below 1, an unknown rule, scaling or solver.
    """

    takes_parquet_rows = True

    def __init__(
        self,
        module: nn.Module,
        *,
        damping: float | None = 1e-3,
        damping_rule: str = "nielsen",
        solver: str = "auto",
        chunk_rows: int | None = None,
        accumulate_dtype: torch.dtype | None = None,
        scaling: str = "identity",
        geodesic: bool = False,
        evidence: bool = False,
        compile: bool = False,
        process_group: Any = None,
    ) -> None:
        if damping is not None and not (is_number(damping) and 0 < damping <= LARGEST):
            raise InputError(
                f"damping={shown(damping)} is not possible; pass a number above 0, at most {LARGEST:g}, or None."
            )
        if damping_rule not in RULES:
            raise unknown_name("damping rule", damping_rule, RULES)
        if scaling not in _SCALINGS:
            raise unknown_name("scaling", scaling, _SCALINGS)
        if accumulate_dtype is not None and not isinstance(accumulate_dtype, torch.dtype):
            raise InputError(f"accumulate_dtype={accumulate_dtype!r} is no dtype; pass one, such as torch.float32.")
        self.module = module
        self.damping_rule = damping_rule
        self.scaling = scaling
        self.geodesic = geodesic
        self.evidence = evidence
        if solver == "auto" and (scaling == "column" or geodesic or evidence):
            solver = "primal"
        self._settings = Settings(solver, chunk_rows, accumulate_dtype, compile, reduction(process_group))
        self._single = member_count(module) is None
        first = flat_parameters(module).reshape(member_count(module) or 1, -1)[:, 0]
        first_damping = math.nan if damping is None else damping
        self._outcomes = [Outcome(first_damping, FIRST_GROWTH) for _ in range(len(first))]
        self._prior = torch.zeros_like(first) if evidence else None
        self._effective = torch.full_like(first, math.nan) if evidence else None
        self._learned = [False] * len(first)
        self._terms = [0.0] * len(first)
        self._paths: dict[str, Path] = {}
        self._prepared: _Prepared | None = None
        self._parameters = list(module.parameters())
        self._versions = self._parameter_versions()

    @property
    def path(self) -> str | None:
        """The path that the last step took, ``None`` before the first."""
        return None if self._prepared is None else self._prepared.path.name

    @property
    def reduce(self) -> Reduce | None:
        """What adds up tensors over the processes that share the fit, ``None`` for a single one."""
        return self._settings.reduce

    def step(
        self,
        x: Tensor | ParquetRows,
        y: Tensor | None = None,
        weight: Tensor | None = None,
        *,
        active: Tensor | Sequence[bool] | None = None,
    ) -> StepReport:
        """Move the module's parameters to a lower loss, or leave them; the host waits once per trial.

        Args:
            x: (n, d), or with members also (R, n, d); or ``ParquetRows``, which hold the targets too.
            y: (n, m), or with members also (R, n, m).
            weight: (n,), or with members also (R, n), not negative, multiplies the squared residuals.
            active: (R,) bool, the members to step; the others keep parameters and damping and cost nothing.

        Raises:
            InputError: data that do not fit the module, or a loss that is not finite; the parameters are untouched.
        """
        with torch.no_grad():
            last, prepared = self._prepared, self._prepare(x, y, weight)
            # A state that was loaded is taken to go on with its data, until the loss there says otherwise.
            untouched = (last is None or prepared is last) and self._versions == self._parameter_versions()
            # A damping beyond its limit ends the steps on its own data, not those on others.
            limit = math.inf if prepared is last else LARGEST
            outcomes = [
                Outcome(
                    min(old.damping * _ratio(terms, old_terms), limit),
                    old.growth,
                    old.reached if untouched else math.nan,
                )
                for old, terms, old_terms in zip(self._outcomes, prepared.terms, self._terms, strict=True)
            ]
            members = len(outcomes)
            chosen = active_members(active, members)
            if chosen:
                everyone = prepared.path.read()
                numbers = None if len(chosen) == members else torch.tensor(chosen, device=everyone.device)
                w = everyone if numbers is None else everyone.index_select(0, numbers)
                w = self._lower(prepared, w, [outcomes[r] for r in chosen], chosen, numbers)
                prepared.path.write(w if numbers is None else everyone.index_copy(0, numbers, w))
            self._outcomes, self._terms, self._versions = outcomes, prepared.terms, self._parameter_versions()
        effective = None if self._effective is None else self._shaped(self._effective)
        return StepReport(tuple(outcomes), self._single, effective)

    def _lower(
        self, prepared: _Prepared, w: Tensor, outcomes: list[Outcome], chosen: list[int], members: Tensor | None
    ) -> Tensor:
        """Return the parameters (R', P) after the step of the active members."""
        path, problem = prepared.path, prepared.problem_of(chosen, members)
        found = path.linearise(problem, w)
        if any(math.isnan(outcome.damping) for outcome in outcomes):
            for outcome, size in zip(outcomes, found.mean_diagonal.tolist(), strict=True):
                outcome.damping = min(max(_FIRST_SHARE * size, SMALLEST), LARGEST)
        prior = None
        if self._prior is not None:
            assert isinstance(found, Primal)
            assert self._effective is not None
            assert prepared.n_residuals is not None
            strength = self._prior if members is None else self._prior[members]
            effective = effective_parameters(found.jtj, strength)
            # What a network has not learned yet looks like noise, and would hold its parameters at nothing for good.
            learned = torch.tensor([self._learned[r] for r in chosen]).to(w.device)
            n_residuals = prepared.n_residuals if members is None else prepared.n_residuals[members]
            updated = updated_strength(strength, effective, w, found.sse, n_residuals)
            prior = torch.where(learned, updated, strength)
            self._prior = prior if members is None else self._prior.index_copy(0, members, prior)
            self._effective = effective if members is None else self._effective.index_copy(0, members, effective)
        w = search(
            Objective(path, problem, found, w, prior),
            outcomes,
            [prepared.terms[r] for r in chosen],
            RULES[self.damping_rule],
            scaling=self.scaling,
            geodesic=self.geodesic,
        )
        if not all(math.isfinite(outcome.loss) for outcome in outcomes):
            raise not_finite(problem, found.sse / problem.terms)
        for r, outcome in zip(chosen, outcomes, strict=True):
            slow = not outcome.accepted or outcome.new_loss >= (1 - _SLOW_STEP) * outcome.loss
            self._learned[r] = self._learned[r] or slow
        return w

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next step depends on besides the module's parameters: tensors () or (R,) on the host."""
        columns = {
            "damping": [outcome.damping for outcome in self._outcomes],
            "growth": [outcome.growth for outcome in self._outcomes],
            "loss": [-1.0 if math.isnan(outcome.reached) else outcome.reached for outcome in self._outcomes],
            "terms": self._terms,
            "learned": self._learned,
        }
        state = {name: self._shaped(torch.tensor(column, dtype=torch.float64)) for name, column in columns.items()}
        if self._prior is not None:
            state["prior"] = self._shaped(self._prior.detach().cpu())
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that ``state_dict`` returned.

        Raises:
            InputError: keys or shapes of another optimiser.
        """
        wanted = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        if {name: tuple(value.shape) for name, value in state.items()} != wanted:
            found = ", ".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
            raise InputError(
                f"the state holds {found or 'nothing'}; this optimiser needs {', '.join(wanted)} "
                f"of {wanted['damping']}."
            )
        host = {name: value.reshape(-1).tolist() for name, value in state.items()}
        columns = zip(host["damping"], host["growth"], host["loss"], strict=True)
        self._outcomes = [
            Outcome(damping, growth, new_loss=math.nan if loss < 0 else loss) for damping, growth, loss in columns
        ]
        self._prepared, self._versions = None, self._parameter_versions()
        self._terms = host["terms"]
        self._learned = [bool(flag) for flag in host["learned"]]
        if self._prior is not None:
            self._prior = state["prior"].reshape(-1).to(self._prior, copy=True)

    def _prepare(self, x: Tensor | ParquetRows, y: Tensor | None, weight: Tensor | None) -> _Prepared:
        """Check the data and choose the path, unless these very tensors were the last ones."""
        prepared = self._prepared
        if prepared is None or not prepared.is_for(x, y, weight):
            if isinstance(x, ParquetRows):
                problem: Problem = parquet_problem(self.module, x, y, weight)
            else:
                problem = fitting_problem(self.module, x, y, weight)  # type: ignore[arg-type]
            reduce = self._settings.reduce
            if reduce:
                problem = problem.over_processes(reduce)
            name = choose_solver(self.module, problem, self._settings)
            if (self.scaling == "column" or self.geodesic or self.evidence) and not is_primal(name):
                raise InputError(
                    f"scaling, geodesic and evidence need J^T J, which solver={name} does not form; pass primal."
                )
            if name not in self._paths:
                self._paths[name] = build_path(name, self.module, self._settings)
            n_residuals = self._residual_counts(problem) if self.evidence else None
            fresh = _Prepared((x, y, weight), problem, self._paths[name], n_residuals)
            if 0.0 in fresh.terms:
                raise not_finite(problem, torch.as_tensor(problem.terms))
            prepared = self._prepared = fresh
        return prepared

    def _residual_counts(self, problem: Problem) -> Tensor:
        """Count the residuals (R,) of all processes that have a say in evidence's estimate of the noise."""
        counts = torch.as_tensor(problem.n_residuals, dtype=problem.y.dtype, device=problem.y.device)
        counts = counts.expand(len(self._outcomes)).clone()
        if self._settings.reduce:
            self._settings.reduce([counts])
        return counts

    def _parameter_versions(self) -> list[int]:
        return [version(parameter) for parameter in self._parameters]

    def _shaped(self, column: Tensor) -> Tensor:
        """Give a column (R,) the form of a report: () for a single network."""
        return column[0] if self._single else column


def _ratio(terms: float, old_terms: float) -> float:
    """How much larger J^T J is expected to be than on the last data, 1 where that cannot be said."""
    return terms / old_terms if terms > 0 and old_terms > 0 else 1.0
