"""Further modes of a density, which a proposal around one mode would never meet.

The density is looked at over a net of points; where it is much higher than the proposal would have it, the way up is
followed, and what is found there is proposed too.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from worker.samplers.mode import AHEAD, NoMode, Walls, climb, finite
from worker.samplers.proposal import Proposal

LogDensity = Callable[[Float], Callable[[], Float]]
"""Log density (point,) at points (point, dim), once it is asked for."""
_OVERLOOKED = float(np.log(20.0))
"""How much higher than a proposal a density must be, on the scale of logarithms, to be news."""
_NEGLIGIBLE = float(np.log(1e-4))
"""Mass of a mode, relative to what is known, below which it changes no figure."""
_SUSPECTS = 3
_STEPS = 15
"""That a climb may take beside others; almost all take fewer."""
_NEAR = 3.0
"""Sds of a known mode, along each of its axes, within which a climb ends there."""
_LEAST_SHARE = 0.1
"""Of what is proposed, for any mode: its mass is only known roughly until it has been proposed."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where other modes than the one that was found would be: far and wide, and where one coordinate is another."""

    net: Float
    """Points (point, dim) at which the density is looked at."""
    little: Float
    """Of each coordinate (dim,) that has two sizes at which it may settle, the smaller; NaN for all others."""
    much: Float
    loose: NDArray[np.bool_]
    """Whether a coordinate (dim,) is put to zero where another one is changed."""

    @classmethod
    def nowhere(cls, dim: int) -> "Elsewhere":
        """Look at nothing but what was found."""
        none = np.full(dim, np.nan)
        return cls(np.zeros((0, dim)), none, none, np.zeros(dim, dtype=bool))

    def starts(self, mode: Float) -> Float:
        """Points (start, dim) like a mode (dim,), but with one coordinate at its other size."""
        found = []
        for i in np.flatnonzero(np.isfinite(self.little)):
            start = np.where(self.loose, 0.0, mode)
            start[i] = self.much[i] if mode[i] < 0.5 * (self.little[i] + self.much[i]) else self.little[i]
            found.append(start)
        return np.reshape(found, (-1, len(mode)))


class Proposes(Protocol):
    """A distribution that points are drawn from."""

    def log_density(self, points: Float) -> Float:
        """Log density (point,) at points (point, dim)."""
        ...


class Mode(NamedTuple):
    """A normal distribution around a summit, and roughly the log of the integral of the density there."""

    proposal: Proposal
    log_mass: float


def around_mode(mode: Float, curvature: Float) -> Proposal:
    """A normal distribution around a mode (dim,); raises NoMode where its curvature (dim, dim) is of no use."""
    try:
        return Proposal.symmetric(mode, np.asarray(np.linalg.inv(curvature), dtype=np.float64))
    except np.linalg.LinAlgError as error:
        raise NoMode("the curvature at the mode cannot be inverted") from error


def overlooked(
    log_density: LogDensity,
    elsewhere: Elsewhere,
    values: Float,
    known: Proposal,
    proposal: Proposes,
    log_evidence: float,
    walls: Walls,
) -> tuple[Mode, ...]:
    """Modes of some mass that are not in a proposal, where the density has the integral exp(log_evidence).

    `known` describes the mode that was found, `values` (point,) are the log density over the net. Climbs begin at the
    `starts` and where the density is much higher than the proposal would have it; those that come near the mode that is
    known are given up.
    """
    starts = [*elsewhere.starts(known.center)]
    if len(elsewhere.net):
        excess = values - log_evidence - proposal.log_density(elsewhere.net)
        suspects = np.flatnonzero(excess > _OVERLOOKED)
        starts += [*elsewhere.net[suspects[np.argsort(-values[suspects])][:_SUSPECTS]]]
    found = list[Proposal]()
    for around in _climbed(log_density, starts, walls, known):
        if not any(_near(around.center, other) for other in (known, *found)):
            found.append(around)
    if not found:
        return ()
    at = np.array([around.center for around in found])
    heights = finite(log_density(at)())
    log_masses = heights - [float(around.log_density(around.center[None])[0]) for around in found]
    news = (heights - log_evidence - proposal.log_density(at) > _OVERLOOKED) & (
        log_masses > log_evidence + _NEGLIGIBLE
    )
    return tuple(Mode(around, mass) for around, mass, new in zip(found, log_masses, news, strict=True) if new)


def _climbed(
    log_density: LogDensity, starts: Sequence[Float], walls: Walls, known: Proposal
) -> list[Proposal]:
    """What is found from several starts (dim,), all of whose questions are asked together."""
    climbs = [climb(start, walls, AHEAD) for start in starts]
    asked = [(climbing, next(climbing)) for climbing in climbs]
    found = list[Proposal]()
    for _ in range(_STEPS):
        if not asked:
            break
        answers = finite(log_density(np.concatenate([points for _, points in asked]))())
        ends = np.cumsum([len(points) for _, points in asked])[:-1]
        going = []
        for (climbing, _), answer in zip(asked, np.split(answers, ends), strict=True):
            try:
                points = climbing.send(answer)
                if not _near(points[1], known):
                    going.append((climbing, points))
            except StopIteration as end:
                with suppress(NoMode):
                    found.append(around_mode(*end.value))
            except NoMode:
                continue
        asked = going
    return found


def _near(point: Float, mode: Proposal) -> bool:
    return bool(np.all(np.abs(np.linalg.solve(mode.root, point - mode.center)) < _NEAR))


@dataclass(frozen=True, slots=True)
class Several:
    """The proposals of several modes, each with its share."""

    proposals: tuple[Proposal, ...]
    shares: Float  # (mode,)

    @classmethod
    def of(cls, proposals: tuple[Proposal, ...], log_masses: Float) -> "Several":
        """Shares by mass, but none so small that a mode is hardly met."""
        shares = np.maximum(np.exp(log_masses - log_masses.max()), _LEAST_SHARE)
        return cls(proposals, shares / shares.sum())

    @property
    def root(self) -> Float:
        """Root of the scatter of the whole (dim, dim)."""
        centers = np.array([proposal.center for proposal in self.proposals])
        away = centers - self.shares @ centers
        within = sum(
            share * proposal.root @ proposal.root.T
            for share, proposal in zip(self.shares, self.proposals, strict=True)
        )
        scatter = within + (self.shares[:, None] * away).T @ away
        return np.asarray(np.linalg.cholesky(scatter), dtype=np.float64)

    def draw(self, count: int, sources: Sequence[np.random.Generator]) -> tuple[Float, Callable[[], Float]]:
        """Draw points (source, dim, point), `count` of each source; what is given beside them computes their log
        densities (source, point)."""
        d = len(self.proposals[0].center)
        points = np.empty((len(sources), d, count))
        for own, source in zip(points, sources, strict=True):
            mode = source.choice(len(self.shares), count, p=self.shares)
            for number, proposal in enumerate(self.proposals):
                chosen = mode == number
                own[:, chosen] = proposal.draw(int(chosen.sum()), [source])[0][0]
        flat = np.swapaxes(points, 1, 2).reshape(-1, d)
        return points, lambda: self.log_density(flat).reshape(-1, count)

    def log_density(self, points: Float) -> Float:
        """Log density (point,) at points (point, dim)."""
        logs = np.stack([proposal.log_density(points) for proposal in self.proposals])
        logs += np.log(self.shares)[:, None]
        highest = logs.max(axis=0)
        return np.asarray(highest + np.log(np.exp(logs - highest).sum(axis=0)))
