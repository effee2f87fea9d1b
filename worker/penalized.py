"""A penalized fit of the full model: where its sampler starts, and how much the data say about what.

Penalized iteratively reweighted least squares (Bates et al. 2015, lme4) over sparse normal equations, with sds and the
family's parameters improved by moments between two steps. Only the speed of sampling depends on any of it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from model.family import Family
from model.frame.design import Float
from worker.rows import Rows

_STEPS = 25
_TOLERANCE = 1e-3
_VAGUE = 10.0
"""Standard deviation, in units of the response's own, that holds coefficients which the data leave free."""
_SMALLEST_SHARE = 0.02
"""Smallest sd, in units of the response's own: nearer to zero nothing changes any more."""
_LEAST_SHARE = 0.1
"""Smallest sigma, in units of the response's own, where there are as many coefficients as rows."""


@dataclass(frozen=True)
class PenalizedFit:
    """The mode of coefficients and deviations at rough sds, and the gaussian response that has the same curvature."""

    population: Float  # (coef,), of the columns that were given
    population_root: Float  # (coef, coef), lower root of their covariance, the deviations integrated out
    sds: tuple[Float, ...]  # per factor (coef,)
    parameters: dict[str, float]
    weight: Float
    """Working weights (row,): precisions of the working response; of sigma = 1 where the family has a sigma."""
    response: Float
    """Working response (row,), the offset included."""
    scale: float
    """The size of what the linear predictor explains."""

    @property
    def precision(self) -> float:
        """What the weights are multiplied by: 1 / sigma^2 where there is a sigma."""
        return self.parameters["sigma"] ** -2.0 if "sigma" in self.parameters else 1.0


def penalized_fit(family: Family, rows: Rows, x: Float) -> PenalizedFit:
    """Fit coefficients of `x` (row, coef), whose columns are of about unit size, and all deviations."""
    p = x.shape[1]
    mean = _first_mean(family, rows)
    eta = family.link_of(mean)
    scale = float(np.std(eta - rows.offset)) if family.link == "identity" else 1.0
    scale = scale or 1.0
    parameters = _first_parameters(family, rows, scale)
    sds = [np.full(z.shape[1], 0.5 * scale) for z in rows.z]
    columns = sparse.hstack([sparse.csr_array(x), *_columns(rows)]).tocsr()
    center = float(np.average(eta - rows.offset, weights=rows.weight))
    solution = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        weight, response = _working(family, rows, eta, parameters)
        precision = parameters["sigma"] ** -2.0 if "sigma" in parameters else 1.0
        penalty = np.concatenate(
            [np.full(p, (_VAGUE * (scale + abs(center))) ** -2.0)]
            + [np.repeat(sd**-2.0, levels) for sd, levels in zip(sds, rows.levels, strict=True)]
        )
        weighted = columns.multiply(weight[:, None] * precision).tocsr()
        normal = (columns.T @ weighted + sparse.diags_array(penalty)).tocsc()
        solver = splu(normal, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        before, solution = solution, solver.solve(weighted.T @ (response - rows.offset))
        eta = rows.offset + columns @ solution
        if family.link != "identity":
            # Where the data are separated the mode is far out, and its working weights would be nothing.
            eta = np.clip(eta, rows.offset + center - 8.0, rows.offset + center + 8.0)
        information = normal.diagonal() - penalty
        sds = _improved_sds(rows, sds, solution[p:], information[p:], scale)
        parameters = _improved_parameters(family, rows, eta, parameters, p + _used(information, penalty, p))
        if "sigma" in parameters and p >= len(rows.y):
            # The coefficients alone explain every row; how little they leave says nothing.
            parameters["sigma"] = max(parameters["sigma"], _LEAST_SHARE * scale)
        if np.max(np.abs(solution - before)) < _TOLERANCE * scale:
            break
    weight, response = _working(family, rows, eta, parameters)
    covariance = solver.solve(np.eye(columns.shape[1], p))[:p] if p else np.zeros((0, 0))
    return PenalizedFit(
        population=solution[:p],
        population_root=np.linalg.cholesky(0.5 * (covariance + covariance.T)) if p else covariance,
        sds=tuple(sds),
        parameters=parameters,
        weight=weight,
        response=response,
        scale=scale,
    )


def _columns(rows: Rows) -> list[sparse.csr_array]:
    """Each factor's Z, all levels of its first coefficient before all of its second."""
    number = np.arange(len(rows.y))
    return [
        sparse.csr_array((z[:, j], (number, index)), shape=(len(rows.y), levels))
        for z, index, levels in zip(rows.z, rows.index, rows.levels, strict=True)
        for j in range(z.shape[1])
    ]


def _first_mean(family: Family, rows: Rows) -> Float:
    if family.probability:
        return np.asarray((rows.y + 0.5) / (rows.trials + 1.0))
    if family.link == "log":
        return np.maximum(rows.y, 0.3 * float(np.average(np.abs(rows.y), weights=rows.weight)))
    return rows.y


def _first_parameters(family: Family, rows: Rows, scale: float) -> dict[str, float]:
    sigma = 0.5 * (scale if family.link == "identity" else float(np.std(rows.y)) or 1.0)
    first = {"sigma": sigma, "nu": 5.0, "shape": 3.0}
    known = family.name == "gaussian" and rows.standard_error is not None
    return {} if known else {name: first[name] for name in family.parameters}


def _working(family: Family, rows: Rows, eta: Float, parameters: dict[str, float]) -> tuple[Float, Float]:
    """Weights and response (row,) of the least squares that has the likelihood's score and expected curvature."""
    mean, slope = family.inverse_link(eta), np.maximum(family.slope(eta), 1e-12)
    observed = rows.y / np.maximum(rows.trials, 1e-12) if family.probability else rows.y
    weight = rows.weight * (rows.trials if family.probability else 1.0)
    unit = {name: np.array(value) for name, value in parameters.items()} | {"sigma": np.array(1.0)}
    if family.name == "student":
        nu, z = parameters["nu"], (observed - mean) / parameters["sigma"]
        weight = weight * (nu + 1.0) / (nu + z**2)
    elif rows.standard_error is not None:
        weight = weight * slope**2 / rows.standard_error**2
    else:
        weight = weight * slope**2 / np.maximum(family.variance(mean, unit), 1e-12)
    return weight, eta + (observed - mean) / slope


def _improved_sds(rows: Rows, sds: list[Float], u: Float, information: Float, scale: float) -> list[Float]:
    """A step of expectation and maximization, each level's variance taken by itself."""
    improved, start = [], 0
    for sd, levels in zip(sds, rows.levels, strict=True):
        part = slice(start, start + levels * len(sd))
        own = u[part].reshape(len(sd), levels)
        variance = 1.0 / (information[part].reshape(len(sd), levels) + sd[:, None] ** -2.0)
        improved.append(np.maximum(np.sqrt(np.mean(own**2 + variance, axis=1)), _SMALLEST_SHARE * scale))
        start += levels * len(sd)
    return improved


def _used(information: Float, penalty: Float, p: int) -> float:
    """How many degrees of freedom the deviations use."""
    return float(np.sum(information[p:] / (information[p:] + penalty[p:])))


def _improved_parameters(
    family: Family, rows: Rows, eta: Float, parameters: dict[str, float], used: float
) -> dict[str, float]:
    if not parameters:
        return {}
    mean = family.inverse_link(eta)
    squares, count = rows.weight * (rows.y - mean) ** 2, float(rows.weight.sum())
    left = max(count - used, 0.2 * count)
    if family.name == "negbinomial":
        excess = float(np.sum(squares - rows.weight * mean)) * count / left
        most = 100.0
        shape = float(rows.weight @ mean**2) / excess if excess > 0 else most
        return {"shape": float(np.clip(shape, 0.1, most))}
    if family.name == "student":
        nu, z = parameters["nu"], (rows.y - mean) / parameters["sigma"]
        squares = squares * (nu + 1.0) / (nu + z**2)
    sigma = float(np.sqrt(np.sum(squares) / left)) or parameters["sigma"]
    return parameters | {"sigma": max(sigma, 1e-3 * parameters["sigma"])}
