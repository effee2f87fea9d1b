"""All that determines a fit, checked once: `prepare` turns a request into a plan that a worker can run without
surprises.

A plan's key is a digest of everything that the result depends on, so equal requests are one fit.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

from model import limits
from model.distributions import Kind, parse_distribution
from model.errors import InvalidModel, Issue, Notice
from model.family import Family, check_response, find_family
from model.far_covariates import far_covariates
from model.frame.design import Design
from model.frame.encoding import Encoding, encode, learn
from model.frame.identifiability import Held
from model.frame.table import Table
from model.language.formula import parse
from model.moments import dense_width
from model.priors import PriorStatement, ResolvedPrior, proper_coefficients, resolve
from model.propriety import heavy_tails, improper
from model.unidentified import unidentified_residual

ENGINE = "6"
"""Version of the statistics: a change that alters results makes it another, so no old result answers a new request."""

MAX_DENSE_WIDTH = 1500
"""Coefficients of all factors but the largest that are integrated out together: the cost grows with the cube."""
MAX_CELLS = 20_000_000
"""Pairs of a coefficient of the largest factor with one of the others, whose sums are kept."""

Method = Literal["collapsed", "nuts"]

ASSUMED_COMPILATION: Mapping[Method, float] = {"collapsed": 2.0, "nuts": 12.0}
"""Seconds that a fit of a new shape spends in the compiler, where no worker has measured it yet."""

MAX_CHAINS = 16
MAX_DRAWS = 100_000
MAX_TOTAL_DRAWS = 200_000
MAX_TREE_DEPTH = 15


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """How to sample; `seed` None means one that follows from the rest of the request."""

    method: Literal["auto", "collapsed", "nuts"] = "auto"
    chains: int = 4
    warmup: int = 1000
    draws: int = 1000
    target_accept: float = 0.8
    max_tree_depth: int = 10
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class FitSpec:
    """A request to fit a model, as it was made."""

    formula: str
    table: Table
    family: str = "gaussian"
    link: str | None = None
    priors: tuple[PriorStatement, ...] = ()
    center: bool = True
    missing: Literal["error", "drop"] = "error"
    aliased: Literal["error", "drop"] = "error"
    levels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    sampler: SamplerSettings = SamplerSettings()


@dataclass(frozen=True)
class FitPlan:
    """A checked request: the learnt encoding, every prior resolved, the method chosen."""

    formula: str
    table: Table
    family: Family
    encoding: Encoding
    priors: tuple[ResolvedPrior, ...]
    center: bool
    sampler: SamplerSettings
    seed: int
    method: Method
    method_reason: str
    key: str
    _design: Design | None = field(default=None, init=False, repr=False, compare=False)
    """As `prepare` made it; one that comes from the store, or is another with `replace`, makes its own."""

    @property
    def rows(self) -> int:
        """Number of rows that the fit uses."""
        return self.encoding.rows

    @property
    def dropped_rows(self) -> int:
        """Number of rows left out because of missing values."""
        return len(self.encoding.dropped)

    @property
    def warnings(self) -> tuple[Notice, ...]:
        """What is doubtful about the request before anything is sampled."""
        return self.encoding.warnings

    @cached_property
    def parameters(self) -> int:
        """Number of parameters, group-level effects included."""
        count = len(self.encoding.coefficients) + len(self.family.parameters)
        for factor in self.encoding.factors:
            k = len(factor.coefficients)
            count += k * len(factor.levels) + k + sum(len(b) * (len(b) - 1) // 2 for b in factor.blocks)
        return count

    @cached_property
    def cost(self) -> float:
        """Rough seconds of sampling on one core, without compiling: it orders queues and is no promise."""
        return self.seconds_of(self.method)

    def seconds_of(self, method: Method) -> float:
        """Rough seconds of sampling by a method."""
        total = self.sampler.chains * (self.sampler.draws + self.sampler.warmup)
        size = sum(len(f.levels) * len(f.coefficients) ** 2 for f in self.encoding.factors)
        if method == "collapsed":
            return 0.02 + total * size * 1e-8 + self.rows * 1e-6
        return 2.0 + total * 32 * (self.rows + size) * 2e-8

    @property
    def all_constant(self) -> bool:
        """Whether every parameter is held constant by its prior, and there are no group-level effects either."""
        return _all_constant(self.encoding, self.priors)

    def design(self) -> Design:
        """The arrays of the training data."""
        return encode(self.encoding, self.table) if self._design is None else self._design

    def prior(self, class_: str, coef: str | None = None, group: str | None = None) -> ResolvedPrior:
        """The prior of one parameter."""
        return self._priors[class_, coef, group]

    @cached_property
    def _priors(self) -> Mapping[tuple[str, str | None, str | None], ResolvedPrior]:
        return {(row.class_, row.coef, row.group): row for row in self.priors}

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Plain values and arrays, for storage; `from_parts` is the inverse."""
        table_meta, arrays = self.table.to_parts()
        meta = {
            "formula": self.formula,
            "table": table_meta,
            "family": [self.family.name, self.family.link],
            "encoding": self.encoding.to_json(),
            "priors": [[p.class_, p.coef, p.group, p.prior, p.source] for p in self.priors],
            "center": self.center,
            "sampler": asdict(self.sampler),
            "seed": self.seed,
            "method": self.method,
            "method_reason": self.method_reason,
            "key": self.key,
        }
        return meta, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> "FitPlan":
        """Build a plan from what `to_parts` gave."""
        priors = tuple(
            ResolvedPrior(c, b, g, parse_distribution(text), source)
            for c, b, g, text, source in meta["priors"]
        )
        return cls(
            formula=meta["formula"],
            table=Table.from_parts(meta["table"], arrays),
            family=Family(*meta["family"]),
            encoding=Encoding.from_json(meta["encoding"]),
            priors=priors,
            center=meta["center"],
            sampler=SamplerSettings(**meta["sampler"]),
            seed=meta["seed"],
            method=meta["method"],
            method_reason=meta["method_reason"],
            key=meta["key"],
        )


def prepare(spec: FitSpec, *, cells: int = limits.DESIGN_CELLS) -> FitPlan:
    """Check a request against its data and resolve all that it leaves open.

    Raises InvalidModel with every issue found: in the formula, the family, the data, the priors and the sampler
    settings; and Costly if the design would have more than so many `cells`.
    """
    issues = _check_sampler(spec.sampler)
    formula = _collect(issues, lambda: _parsed(spec.formula))
    family = _collect(issues, lambda: find_family(spec.family, spec.link))
    learnt = None
    if formula is not None:
        learnt = _collect(
            issues,
            lambda: learn(
                formula,
                spec.table,
                levels=spec.levels,
                missing=spec.missing,
                aliased=spec.aliased,
                held=Held(proper_coefficients(spec.priors), spec.center),
                cells=cells,
            ),
        )
    if learnt is None or family is None:
        raise InvalidModel([*issues, *_unreadable(spec)])
    encoding, design = learnt
    unfit = check_response(family, design)
    priors = None if unfit else _collect(issues, lambda: resolve(spec.priors, family, design))
    issues += unfit
    if issues or priors is None:
        raise InvalidModel(issues)
    if not priors:
        message = "The model has no parameters, so there is nothing to fit: add a term to the formula."
        raise InvalidModel(Issue("no-parameters", message, "/formula"))
    if issues := list(improper(design, priors, family)):
        raise InvalidModel(issues)
    doubts = (
        *unidentified_residual(design, family, priors),
        *_nothing_estimated(encoding, priors),
        *heavy_tails(design, priors, family),
        *far_covariates(design, priors, family),
    )
    if doubts:
        encoding = replace(encoding, warnings=(*encoding.warnings, *doubts))
    method, reason = choose_method(spec.sampler.method, family, encoding, design)
    used = spec.table.select([name for name in spec.table.names if name in encoding.kinds])
    facts = _facts(spec, encoding, family, priors, method, used)
    seed = spec.sampler.seed
    if seed is None:
        # 53 bits, so that the number survives a reader that keeps numbers as doubles.
        seed = int.from_bytes(_digest(facts)[:7], "big") >> 3
    plan = FitPlan(
        formula=encoding.formula,
        table=used,
        family=family,
        encoding=encoding,
        priors=priors,
        center=spec.center,
        sampler=spec.sampler,
        seed=seed,
        method=method,
        method_reason=reason,
        # What a failed self-check of the collapsed sampler falls to has settings; no seed depends on them.
        key=_digest({**facts, "sampler": _sampler_facts(spec, method), "seed": str(seed)}).hex(),
    )
    object.__setattr__(plan, "_design", design)
    return plan


_parsed = lru_cache(maxsize=256)(parse)
"""Most formulas come again, with other data."""


def choose_method(
    wanted: Literal["auto", "collapsed", "nuts"], family: Family, encoding: Encoding, design: Design
) -> tuple[Method, str]:
    """The sampler that will run, and why; raises InvalidModel when the one asked for cannot fit the model."""
    obstacle = None
    if family.name != "gaussian" or family.link != "identity":
        obstacle = "only the gaussian family with the identity link can be integrated out"
    elif (width := dense_width(design.factors)) > MAX_DENSE_WIDTH:
        obstacle = (
            f"all grouping factors but the largest have {width} coefficients together; "
            f"up to {MAX_DENSE_WIDTH} are integrated out"
        )
    elif width * max((len(f.levels) * len(f.coefficients) for f in design.factors), default=0) > MAX_CELLS:
        obstacle = "the grouping factors have too many pairs of coefficients to integrate out"
    if wanted == "nuts":
        return "nuts", "asked for"
    if obstacle is None:
        reason = "the model is gaussian: coefficients and group-level effects are integrated out exactly"
        return "collapsed", reason
    if wanted == "collapsed":
        raise InvalidModel(
            Issue(
                "method-not-applicable",
                f"The collapsed sampler does not apply: {obstacle}.",
                "/sampler/method",
            )
        )
    return "nuts", obstacle


def _all_constant(encoding: Encoding, priors: Sequence[ResolvedPrior]) -> bool:
    return not encoding.factors and all(row.distribution.kind is Kind.CONSTANT for row in priors)


def _nothing_estimated(encoding: Encoding, priors: Sequence[ResolvedPrior]) -> Iterator[Notice]:
    if _all_constant(encoding, priors):
        message = (
            "Every parameter is held constant by its prior, so nothing is estimated: all draws are the same."
        )
        yield Notice("nothing_estimated", message, "info")


def _unreadable(spec: FitSpec) -> list[Issue]:
    """What is wrong with the priors as text, where there is no model yet to hold them against."""
    issues: list[Issue] = []
    for number, statement in enumerate(spec.priors):
        try:
            parse_distribution(statement.prior)
        except InvalidModel as error:
            issues += [replace(issue, pointer=f"/priors/{number}/prior") for issue in error.issues]
        if len(issues) >= limits.ISSUES:
            break
    return issues


def _facts(
    spec: FitSpec,
    encoding: Encoding,
    family: Family,
    priors: Sequence[ResolvedPrior],
    method: Method,
    used: Table,
) -> dict[str, Any]:
    sampler = _sampler_facts(spec, method)
    if method == "collapsed":
        sampler = {name: sampler[name] for name in ("method", "chains", "draws", "target_accept")}
    return {
        "engine": ENGINE,
        "formula": encoding.formula,
        "family": [family.name, family.link],
        "priors": [[p.class_, p.coef, p.group, p.prior] for p in priors],
        "center": spec.center,
        "missing": spec.missing,
        "aliased": spec.aliased,
        "levels": {name: [str(level) for level in levels] for name, levels in spec.levels.items()},
        "sampler": sampler,
        "columns": used.digest(),
    }


def _sampler_facts(spec: FitSpec, method: Method) -> dict[str, Any]:
    """The settings of the sampler but for the seed."""
    sampler = asdict(spec.sampler)
    del sampler["seed"]
    return {**sampler, "method": method, "target_accept": float(spec.sampler.target_accept)}


def _digest(facts: dict[str, Any]) -> bytes:
    """SHA-256 of JSON with sorted keys and no spaces, all but ASCII escaped."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).digest()


def _collect(issues: list[Issue], step: Any) -> Any:
    """Run one step of the checks; what it refuses joins the other issues, so that a client sees them all at once."""
    try:
        return step()
    except InvalidModel as error:
        issues += error.issues
        return None


def _check_sampler(sampler: SamplerSettings) -> list[Issue]:
    checks = [
        ("chains", 1 <= sampler.chains <= MAX_CHAINS, f"between 1 and {MAX_CHAINS}"),
        ("draws", 1 <= sampler.draws <= MAX_DRAWS, f"between 1 and {MAX_DRAWS}"),
        ("warmup", 0 <= sampler.warmup <= MAX_DRAWS, f"between 0 and {MAX_DRAWS}"),
        ("target_accept", 0.5 <= sampler.target_accept < 1, "at least 0.5 and below 1"),
        ("max_tree_depth", 1 <= sampler.max_tree_depth <= MAX_TREE_DEPTH, f"between 1 and {MAX_TREE_DEPTH}"),
        ("seed", sampler.seed is None or 0 <= sampler.seed < 2**63, "between 0 and 2^63 - 1"),
    ]
    issues = [
        Issue("invalid-sampler", f"{name} must be {rule}.", f"/sampler/{name}")
        for name, ok, rule in checks
        if not ok
    ]
    if not issues and sampler.chains * sampler.draws > MAX_TOTAL_DRAWS:
        issues.append(
            Issue("limit-exceeded", f"chains x draws must not exceed {MAX_TOTAL_DRAWS}.", "/sampler/draws")
        )
    return issues
