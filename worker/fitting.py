"""From a plan to a posterior: picks the sampler, times its phases, and reports what was done and why.

It knows neither the queue nor the store; a monitor tells it to stop and hears how far it is.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from model.errors import InvalidModel, Notice
from model.frame.design import Design
from model.frame.table import Table
from model.priors import PriorStatement
from model.results.posterior import Posterior
from model.results.summary import summarize
from model.spec import FitPlan, FitSpec, Method, prepare
from worker import collapsed, collapsed_nuts, interpolated, nuts
from worker.compiled import COMPILED
from worker.forecast import COMPILE_TIMES
from worker.monitor import Cancelled, HandedBack, Monitor, Saved
from worker.padding import CollapsedProblem, collapsed_problem
from worker.samplers.independence import Chains
from worker.samplers.mode import NoMode

DEFAULT_PROB = 0.95
_UNFIT = "the collapsed sampler judged its draws unfit"
_WHOLE = "the whole model was sampled by NUTS"
_THETA = "NUTS walked the hyperparameters, coefficients and group-level effects still integrated out"
_MISSED = 0.3
"""By how much the log of the posterior's mass may fall short of what was met in other coordinates, which is uncertain
itself."""
_NOTHING_LEFT = "no hyperparameter is left to sample, so the draws are independent"
_ALL_CONSTANT = "every parameter is constant, so nothing was sampled"


@dataclass(frozen=True, slots=True)
class FitResult:
    """A finished fit; `timing` in seconds, with compilation apart from sampling."""

    posterior: Posterior
    summary: Mapping[str, Any]
    method: str
    method_reason: str
    warnings: tuple[Notice, ...]
    timing: Mapping[str, float]


@dataclass(slots=True)
class _Stopwatch:
    """Seconds by phase."""

    timing: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("prepare", "compile", "sample", "summarize"), 0.0)
    )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add what happens inside to a phase; time that this thread waits for XLA counts as `compile`."""
        started, compiling = time.perf_counter(), COMPILED.seconds
        yield
        compiled = COMPILED.seconds - compiling
        self.timing["compile"] += compiled
        self.timing[name] += time.perf_counter() - started - compiled


def fit(plan: FitPlan, monitor: Monitor) -> FitResult:
    """Fit a plan; raises Cancelled when the monitor says so, with the draws so far if there are any."""
    watch, loaded = _Stopwatch(), COMPILED.loaded
    monitor.report("preparing")
    with watch.phase("prepare"):
        design = plan.design()
    monitor.expect(plan.method, plan.cost)
    with COMPILED.announced(lambda: monitor.report("compiling")):
        posterior, reason = _sample(plan, design, monitor, watch)
    if watch.timing["compile"] and COMPILED.loaded == loaded and posterior.method == plan.method:
        COMPILE_TIMES.record(plan.method, watch.timing["compile"])
    monitor.report("summarizing", 1.0, posterior.chains * posterior.draws)
    with watch.phase("summarize"):
        summary = summarize(posterior, DEFAULT_PROB)
    warnings = tuple(Notice(**{**row, "parameters": tuple(row["parameters"])}) for row in summary["warnings"])
    result = FitResult(posterior, summary, posterior.method, reason, warnings, watch.timing)
    if posterior.draws < plan.sampler.draws:
        raise Cancelled(result)
    return result


def _sample(plan: FitPlan, design: Design, monitor: Monitor, watch: _Stopwatch) -> tuple[Posterior, str]:
    if plan.method == "collapsed":
        posterior, reason = _sample_collapsed(plan, design, monitor, watch)
        if posterior is not None:
            return posterior, reason
        _let_others_go_first(monitor)
        monitor.expect("nuts", plan.seconds_of("nuts"))
    else:
        reason = plan.method_reason
    posterior = nuts.fit(plan, design, monitor, watch.phase)
    return posterior, f"{reason}; {_ALL_CONSTANT}" if plan.all_constant else reason


class _Walked(NamedTuple):
    """What the independence sampler made of a collapsed problem."""

    posterior: Posterior | None
    unfit: str
    """Why there is none."""
    chains: Chains | None
    """Its chains where they were found unfit; None where there are none."""
    log_evidence: float = -np.inf


def _sample_collapsed(
    plan: FitPlan, design: Design, monitor: Monitor, watch: _Stopwatch
) -> tuple[Posterior | None, str]:
    """The posterior of a collapsed model and why it was sampled so, or None and why the whole model must be."""
    with watch.phase("prepare"):
        problem = collapsed_problem(plan, design)
    with watch.phase("sample"):
        walked = _walk(problem, plan, design, monitor)
        if walked.posterior is None and problem.centered:
            # Deviations that may vanish at zero of a covariate are easier where the user has them; but there the
            # sampler may miss what it met around the data.
            other = _walk(collapsed_problem(plan, design, centered=False), plan, design, monitor)
            if other.posterior is not None and other.log_evidence > walked.log_evidence - _MISSED:
                walked = other
        if walked.posterior is not None:
            return walked.posterior, _reason(problem, plan)
        if walked.chains is None:
            return None, f"{walked.unfit}; {_WHOLE}"
        _let_others_go_first(monitor)
        monitor.expect("nuts", plan.seconds_of("collapsed"))
        evaluate = collapsed.executable(problem.shape, problem.data)
        try:
            posterior = collapsed_nuts.fit(problem, walked.chains, evaluate, plan, design, monitor)
        except InvalidModel:
            return None, f"{walked.unfit}; {_WHOLE}"
        return posterior, f"{walked.unfit}; {_THETA}"


def _walk(problem: CollapsedProblem, plan: FitPlan, design: Design, monitor: Monitor) -> _Walked:
    """Sample by the independence sampler, between few exact eliminations where each is dear."""
    if problem.wide or interpolated.is_worth_it(problem):
        walked = _interpolate(problem, plan, design, monitor)
        if walked.posterior is not None or problem.wide:
            return walked
    evaluate = collapsed.executable(problem.shape, problem.data)
    monitor.report("sampling", 0.0)
    try:
        chains = collapsed.sample(problem, evaluate, plan, monitor)
    except NoMode as error:
        return _Walked(None, f"{_UNFIT} ({error})", None)
    if not chains.trustworthy:
        return _Walked(None, _judgment(chains), chains, chains.log_evidence)
    posterior = collapsed.posterior(
        problem, chains.drawn, plan, design, collapsed.statistics(problem, chains)
    )
    return _Walked(posterior, "", None, chains.log_evidence)


def _interpolate(problem: CollapsedProblem, plan: FitPlan, design: Design, monitor: Monitor) -> _Walked:
    """Sample by few exact eliminations; no chains that NUTS could go on from."""
    try:
        found = interpolated.sample(problem, plan, monitor)
    except (NoMode, interpolated.SurrogateFailed) as error:
        return _Walked(None, f"{_UNFIT} ({error})", None)
    if not found.chains.trustworthy:
        return _Walked(None, _judgment(found.chains), None, found.chains.log_evidence)
    told = {
        **collapsed.statistics(problem, found.chains),
        "surrogate_error": found.error,
        "eliminations": found.eliminations,
    }
    posterior = collapsed.posterior(problem, found.chains.drawn, plan, design, told, found.dense)
    return _Walked(posterior, "", None, found.chains.log_evidence)


def _reason(problem: CollapsedProblem, plan: FitPlan) -> str:
    """Why a collapsed fit was sampled as it was."""
    if plan.all_constant:
        return f"{plan.method_reason}; {_ALL_CONSTANT}"
    return plan.method_reason if problem.active.any() else f"{plan.method_reason}; {_NOTHING_LEFT}"


def _let_others_go_first(monitor: Monitor) -> None:
    """Hand the fit back where others wait: what follows may take a thousand times what they do.

    It then begins anew, with the same seed, and comes to the same judgment.
    """
    if monitor.defers():
        raise HandedBack


def _judgment(chains: Chains) -> str:
    return (
        f"{_UNFIT} (Pareto k-hat {chains.pareto_k:.2f}, acceptance {chains.acceptance:.2f}, "
        f"effective share {chains.effective_share:.2f})"
    )


class _Silent:
    """The monitor of a fit that nobody waits for."""

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Nobody listens."""

    def expect(self, method: Method, seconds: float) -> None:
        """Nobody waits."""

    def cancelled(self) -> bool:
        """Nobody stops it."""
        return False

    def leaving(self) -> bool:
        """The process stays."""
        return False

    def defers(self) -> bool:
        """Nobody waits."""
        return False

    def save(self, progress: Saved) -> None:
        """Nothing is kept."""

    def saved(self) -> Saved | None:
        """Nothing was."""
        return None


_COMMON = ("y ~ x + (1 + x | g)", "y ~ 1 + (1 | g)")


def warm_up() -> None:
    """Compile what most fits need, by fitting small data sets: a balanced design and one that is not, which differ in
    shape, with and without a student_t prior on the intercept, as the default is."""
    source = np.random.default_rng(0)
    group, x = np.repeat(np.arange(20), 9), np.tile(np.arange(9.0), 20)
    y = source.standard_normal(20)[group] * (1 + x) + source.standard_normal(180)
    normal = PriorStatement("normal(0, 10)", "Intercept")
    for rows in (slice(None), slice(5, None)):
        table = Table.from_columns({"y": y[rows], "x": x[rows], "g": group[rows]})
        for formula in _COMMON:
            for priors in ((), (normal,)):
                fit(prepare(FitSpec(formula, table, priors=priors)), _Silent())
