"""A fit by the collapsed method: sums, one compiled density, the independence sampler, and the posterior they
give."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from model.centering import in_users_coordinates, users_deviations
from model.errors import InvalidModel, Issue
from model.frame.design import Design, Float
from model.results.effects import CollapsedEffects, Effects, StoredEffects
from model.results.posterior import FactorPosterior, Posterior
from model.spec import FitPlan
from worker.batch import Drawn, batches, read, rows
from worker.chains import no_numbers
from worker.compiled import COMPILED, handed_over
from worker.elsewhere import elsewhere
from worker.monitor import Cancelled, Monitor
from worker.padding import CollapsedProblem
from worker.programs import collapsed as program
from worker.samplers import fixed, independence
from worker.shape import CollapsedShape

_CHEAP = 512
"""Elementwise operations of an evaluation that is over before its answer has been looked at."""
_PILOT_POINTS = 2200
"""About as many evaluations as the search for the mode and the rounds take."""


def executable(shape: CollapsedShape, data: program.Data) -> Callable[..., Any]:
    """Find the executable of a shape, or compile it for data of that shape."""
    theta, noise = np.zeros((shape.dimension, shape.batch)), np.zeros((shape.carried, shape.batch))
    evaluate = partial(program.evaluate, shape)
    found: Callable[..., Any] = COMPILED.get((shape, "evaluate"), evaluate, theta, noise, np.array(1), data)
    return found


def sample(
    problem: CollapsedProblem, evaluate: Callable[..., Any], plan: FitPlan, monitor: Monitor
) -> independence.Chains:
    """Walk the hyperparameters; raises Cancelled as soon as the monitor says so, between two calls of the program.

    Where none is left to walk the draws are independent. Raises InvalidModel (`sampling-failed`) where the density has
    no number then.
    """
    density = _Density(problem, evaluate, plan, monitor)
    if not problem.active.any():
        return draw_exactly(density, problem, plan)
    start, lower, upper = (array[problem.active] for array in (problem.start, problem.lower, problem.upper))
    return independence.sample(
        density,
        start,
        (lower, upper),
        len(problem.carried),
        plan.sampler.chains,
        plan.sampler.draws,
        plan.seed,
        most_proposals_per_draw(problem.shape),
        elsewhere(problem, climbing=problem.centered),
    )


def draw_exactly(
    density: independence.Density, problem: CollapsedProblem, plan: FitPlan
) -> independence.Chains:
    """Draw where no hyperparameter is free; raises InvalidModel (`sampling-failed`) where the density has no number."""
    sampler = plan.sampler
    chains = fixed.sample(density, len(problem.carried), sampler.chains, sampler.draws, plan.seed)
    if not (np.isfinite(chains.log_evidence) and np.isfinite(chains.drawn).all()):
        raise no_numbers()
    return chains


class _Density:
    """A problem's density as a sampler asks for it: by its program, batch after batch."""

    def __init__(
        self, problem: CollapsedProblem, evaluate: Callable[..., Any], plan: FitPlan, monitor: Monitor
    ) -> None:
        self._problem, self._evaluate, self._monitor = problem, evaluate, monitor
        self._data, self._rows = handed_over(problem.data), rows(problem)
        self._draws = plan.sampler.chains * plan.sampler.draws
        self._expected = self._draws * most_proposals_per_draw(problem.shape) + _PILOT_POINTS
        self._done = 0
        self._unasked = way_without_residual(problem)

    def __call__(self, points: Float, noise: Float) -> independence.Awaited:
        """Begin an evaluation; the first one raises InvalidModel where the density has no end."""
        way, self._unasked = self._unasked, self._unasked[:0]
        if not len(way):
            return self._begun(points, noise)
        # Asked with the first points: a call of its own would take as long as theirs.
        count, beside = len(way), np.zeros((len(way), noise.shape[1]))
        values, drawn = self._begun(np.concatenate([way, points]), np.concatenate([beside, noise]))()
        if explains_all(values[:count], self._log_density, self._problem):
            raise perfect_fit()
        return lambda: (values[count:], drawn[:, count:])

    def _begun(self, points: Float, noise: Float) -> independence.Awaited:
        shape = self._problem.shape
        if len(points) >= self._draws:
            # These are the draws themselves: all there is to do, if they turn out well.
            self._expected = self._done + len(points)
        values, drawn = list[Float](), list[Float]()
        awaited = list[tuple[int, Any, Any]]()

        def read() -> None:
            for count, log_density, found in awaited:
                values.append(np.asarray(log_density)[:count])
                drawn.append(np.asarray(found)[:, :count])
            awaited.clear()

        def finished() -> tuple[Float, Float]:
            read()
            every = _joined(drawn)
            return _joined(values), every if len(self._rows) == len(every) else every[self._rows]

        for batch, part in batches(self._problem, points, shape.batch):
            read()
            if self._monitor.cancelled():
                raise Cancelled
            count = part.stop - part.start
            normal = np.zeros((shape.carried, shape.batch))
            normal[self._problem.carried, :count] = noise[part].T
            awaited.append((count, *self._evaluate(batch, normal, np.array(count), self._data)))
            self._done += count
            fraction = min(1.0, self._done / self._expected)
            self._monitor.report("sampling", fraction, int(fraction * self._draws))
        return finished

    def _log_density(self, points: Float) -> Float:
        return self._begun(points, np.zeros((len(points), len(self._problem.carried))))()[0]


def _joined(parts: list[Float]) -> Float:
    return parts[0] if len(parts) == 1 else np.asarray(np.concatenate(parts, axis=-1))


_TOO_MUCH = 20.0
"""Log density that a vanishing residual sd may gain: where group-level effects can take its place it gains little."""

_STEPS = 10
"""Of sigma on its way to next to nothing."""

_ENDS = 0.0, 1.0 - 1.0 / _STEPS, 1.0
"""Where on that way the density is looked at first."""


def way_without_residual(problem: CollapsedProblem, steps: tuple[float, ...] = _ENDS) -> Float:
    """Points (step, dim) on the way from the start to where sigma is next to nothing; none where it is known."""
    start, end = problem.start[problem.active], problem.without_residual[problem.active]
    known = not problem.active[problem.shape.sds]
    return np.asarray(start + np.array(() if known else steps)[:, None] * (end - start))


def explains_all(values: Float, log_density: Callable[[Float], Float], problem: CollapsedProblem) -> bool:
    """Whether the density grows without end as sigma goes to zero; `values` are its logarithms on the way there."""
    if not len(values):
        return False
    if np.isfinite(values[0]) and not np.isfinite(values[-1]):
        # Rounding may leave no density there, whether or not anything is left unexplained: how far is there one?
        values = log_density(way_without_residual(problem, tuple(np.linspace(0.0, 1.0, _STEPS + 1))))
        values = values[: np.argmin(np.isfinite(values))]
        if len(values) == 1:
            return True
    *before, last = values[[0, -2, -1]]
    # Priors may make the start a bad one; still the last step says where it goes.
    return bool(last > before[-1] and last - min(before) >= _TOO_MUCH)


def perfect_fit() -> InvalidModel:
    """What is wrong with a model that `explains_all`."""
    message = "The model explains the response exactly, or so nearly that no residual sd can be estimated."
    return InvalidModel(Issue("perfect-fit", message, "/formula"))


def most_proposals_per_draw(shape: CollapsedShape) -> int:
    """How many proposals a draw may be worth: more where an evaluation costs a microsecond than where it costs
    many."""
    size = shape.operations
    return 4 if size <= _CHEAP else 2 if size <= 8 * _CHEAP else 1


def posterior(
    problem: CollapsedProblem,
    drawn: Float,
    plan: FitPlan,
    design: Design,
    statistics: Mapping[str, float | int | None],
    dense: Float | None = None,
) -> Posterior:
    """Read what was `drawn` (drawn, chain, draw) in the user's units; `dense` (chain, draw, dense) are the internal
    deviations of all factors but the first, where they were not drawn with it."""
    parts = read(problem, drawn)
    dense = np.moveaxis(parts.dense, 0, -1) if dense is None else dense
    known_error = design.standard_error is not None
    factors = _factors(problem, plan, parts, dense)
    return Posterior(
        encoding=plan.encoding,
        family=plan.family,
        method="collapsed",
        seed=plan.seed,
        population=_population(problem, parts, design),
        parameters={} if known_error else {"sigma": parts.scalars[problem.shape.sds]},
        factors={factor.name: factors[factor.name] for factor in design.factors},
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False, bias=True).reshape(design.x.shape[1], design.x.shape[1]),
        statistics=statistics,
    )


def statistics(problem: CollapsedProblem, chains: independence.Chains) -> dict[str, float | int | None]:
    """What a posterior keeps of what the sampler says."""
    return {
        "acceptance": chains.acceptance,
        "pareto_k": chains.pareto_k,
        "divergences": 0,
        "evaluations": chains.evaluations,
        "log_marginal_likelihood": _evidence(problem, chains),
        "minor_modes": chains.minor_modes,
    }


def _factors(
    problem: CollapsedProblem, plan: FitPlan, drawn: Drawn, dense: Float
) -> dict[str, FactorPosterior]:
    """Each factor's posterior; `dense` (chain, draw, ...) are the internal deviations of all but the first."""
    at = problem.coordinates
    z_maps = dict(zip((f.name for f in plan.encoding.factors), at.z_maps, strict=True))
    found: dict[str, FactorPosterior] = {}
    sd_start = level_start = 0
    for number, factor in enumerate(problem.factors):
        k, levels = len(factor.coefficients), len(factor.levels)
        order = [i for block in factor.blocks for i in block]
        back = np.argsort(order)
        z_map = z_maps[factor.name]
        sd = drawn.scalars[[sd_start + i for i in back]]
        sd, root = in_users_coordinates(sd, drawn.root(number, order), z_map / np.diagonal(z_map))
        sd_start += k
        effects: Effects
        if number == 0:
            others = tuple(z_maps[f.name] for f in problem.factors[1:])
            moments = problem.moments
            effects = CollapsedEffects(
                factor.name,
                factor.levels,
                moments.a,
                moments.b,
                coordinates=at,
                z_map=z_map,
                other_maps=others,
                seed=plan.seed,
            )
        else:
            internal = dense[:, :, level_start : level_start + k * levels].reshape(
                *dense.shape[:2], k, levels
            )
            level_start += k * levels
            by_coef = users_deviations(np.moveaxis(internal[:, :, back], 2, 0), at.scale * z_map)
            effects = StoredEffects(np.ascontiguousarray(np.moveaxis(by_coef, 0, -1)))
        moment = factor.z.T @ factor.z / len(factor.index)
        found[factor.name] = FactorPosterior(
            np.moveaxis(sd, 0, -1), np.moveaxis(root, (0, 1), (2, 3)), moment, effects
        )
    return found


def _population(problem: CollapsedProblem, drawn: Drawn, design: Design) -> Float:
    """Coefficients of the raw columns (chain, draw, coef) from the internal ones that were drawn and those that were
    kept."""
    at, shape = problem.coordinates, problem.shape
    kept = drawn.scalars[shape.sds + 1 + shape.mixed :]
    standardized = np.empty((design.x.shape[1], *kept.shape[1:]))
    columns = list(problem.integrated)
    others = [i for i in range(design.x.shape[1]) if i not in columns]
    internal = drawn.coefficients
    if problem.basis is not None:
        internal = np.tensordot(problem.basis, internal, 1)
    standardized[columns] = at.ols[columns, None, None] + at.scale * internal
    standardized[others] = kept[: len(others)] * at.scales[others, None, None]
    return np.moveaxis(np.tensordot(at.to_raw, standardized, 1), 0, -1)


def _evidence(problem: CollapsedProblem, chains: independence.Chains) -> float | None:
    value = chains.log_evidence + problem.log_evidence_offset
    return value if problem.proper and np.isfinite(value) else None
