"""The chains of a fit by NUTS: warm-up in rounds until they agree, then draws, in calls short enough to be stopped.

Between two calls everything that the rest depends on is at hand, so it can be saved, and resumed bit for bit.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from model.errors import InvalidModel, Issue
from model.frame.design import Float
from model.spec import FitPlan
from worker.compiled import COMPILED
from worker.full_problem import FullProblem
from worker.monitor import Monitor, Saved
from worker.programs import walk as program
from worker.theta_problem import ThetaProblem

_SECONDS = 0.4
"""How long a call may take: about what a progress bar or a cancel may wait."""
_SAVING = 2.0
"""Seconds between two saves, at the least."""
_SAVING_SHARE = 0.05
"""How much of the time saving may take."""
_AGREEMENT = 1.05
"""The largest split r_hat at which a warm-up ends before its bound."""

Arrays = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """How far chains that move side by side have come."""

    state: Any
    warmed: int
    """Transitions of the rounds of warm-up that have ended."""
    adapting: bool
    at: int = 0
    """Transitions of this round of warm-up; once it is over, draws."""
    pieces: tuple[tuple[Arrays, Arrays], ...] = ()
    """Draws and statistics (chain, draw, ...): while adapting, of the round's second half and without deviations."""

    def all(self, which: int) -> Arrays:
        """The draws (0) or the statistics (1), (chain, draw, ...)."""
        first = self.pieces[0][which] if self.pieces else {}
        return {name: np.concatenate([piece[which][name] for piece in self.pieces], axis=1) for name in first}


@dataclass
class Walk:
    """All chains of one fit; groups of `shape.chains` of them move side by side, and several groups in threads."""

    plan: FitPlan
    problem: FullProblem | ThetaProblem
    monitor: Monitor
    initialize: Callable[..., Any] = field(init=False)
    """The executable that starts chains."""
    advance: Callable[..., Any] = field(init=False)
    """The executable that moves them."""
    places: list[Place] = field(init=False)
    """By group."""
    _told: float = 0.0
    _save_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Find the executables of the shape, or compile them, and put all chains where they start, or were saved.

        Raises InvalidModel (`sampling-failed`) where the density has no number at a start.
        """
        shape, settings, data = self.problem.shape, self.settings, self.problem.data
        density = self.problem.log_density
        groups = -(-self.plan.sampler.chains // shape.chains)
        first = (*self._start(0), settings, data)
        self.initialize = COMPILED.get(
            (shape, "initialize"), partial(program.initialize, density, shape), *first
        )
        states = [self.initialize(*self._start(group), settings, data) for group in range(groups)]
        if not all(np.isfinite(state.potential_energy).all() for state in states):
            raise no_numbers()
        example = states[0], np.array(1), settings, data
        self.advance = COMPILED.get((shape, "advance"), partial(program.advance, density, shape), *example)
        begun = [Place(state, warmed=0, adapting=shape.warmup > 0) for state in states]
        saved = self.monitor.saved()
        self.places = (saved and _read(saved, begun)) or begun
        self._save_at = time.monotonic() + _SAVING
        self._report()

    def move(self, group: int) -> None:
        """Move a group of chains until its draws are complete or the monitor says stop."""
        place, count = self.places[group], 1
        settings = self.settings
        while (left := self._length(place) - place.at) > 0 and not self._is_to_stop():
            count = min(count, left)
            began = time.perf_counter()
            state, draws, statistics = self.advance(place.state, np.array(count), settings, self.problem.data)
            skipped = max(0, self._length(place) // 2 - place.at) if place.adapting else 0
            wanted = {name: draws[name] for name in draws if not (place.adapting and name.endswith("/u"))}
            piece = _by_chain(wanted, skipped, count), _by_chain(statistics, skipped, count)
            pieces = (*place.pieces, piece) if skipped < count else place.pieces
            place = replace(place, state=state, at=place.at + count, pieces=pieces)
            if place.adapting and place.at == self._length(place):
                place = self._next_round(place)
            self.places[group] = place
            self._report()
            self._save()
            pace = count / (time.perf_counter() - began)
            count = int(min(program.CHUNK, max(1, min(2 * count, _SECONDS * pace))))

    def save(self) -> None:
        """Save where all chains are; no group may move meanwhile."""
        self.monitor.save(_written(self.places))

    @property
    def complete(self) -> bool:
        """Whether every chain has all its draws."""
        return all(not place.adapting and place.at == self._length(place) for place in self.places)

    @property
    def settings(self) -> dict[str, Any]:
        """What the programs take beside the data."""
        coordinates = self.problem.coordinates
        return {
            "target_accept": np.array(self.plan.sampler.target_accept),
            "variances": coordinates.variances,
            "learned": coordinates.learned,
            "streams": coordinates.streams,
        }

    def _is_to_stop(self) -> bool:
        return self.monitor.cancelled() or self.monitor.leaving()

    def _length(self, place: Place) -> int:
        return self.problem.shape.warmup if place.adapting else self.plan.sampler.draws

    def _next_round(self, place: Place) -> Place:
        """Begin the draws, or where the chains do not agree yet another round of warm-up with what this one learned."""
        warmed = place.warmed + place.at
        if warmed + place.at > self.plan.sampler.warmup or _agree(place.all(0)):
            return Place(place.state, warmed, adapting=False)
        learned = {**self.settings, "variances": _learned(place.state)}
        state = self.initialize(
            np.asarray(place.state.rng_key), np.asarray(place.state.z), learned, self.problem.data
        )
        return Place(state, warmed, adapting=True)

    def _start(self, group: int) -> tuple[Any, Float]:
        """Keys and starting points (chain, coordinate) of a group's chains."""
        side = self.problem.shape.chains
        numbers = range(group * side, (group + 1) * side)
        root = jax.random.PRNGKey(self.plan.seed)
        keys = np.stack([np.asarray(jax.random.fold_in(root, number)) for number in numbers])
        return keys, np.stack([self.problem.start(self.plan.seed, number) for number in numbers])

    def _report(self) -> None:
        sampler, groups = self.plan.sampler, len(self.places)
        with self._lock:
            places = list(self.places)
            done = sum(place.warmed + place.at for place in places)
            left = sum(self._length(place) - place.at + sampler.draws * place.adapting for place in places)
            # Another round of warm-up makes the way longer; what was told is not taken back.
            self._told = max(self._told, done / (done + left))
            drawn = sum(0 if place.adapting else place.at for place in places) * sampler.chains // groups
            divergences = sum(
                int(piece[1]["diverging"].sum())
                for place in places
                if not place.adapting
                for piece in place.pieces
            )
            self.monitor.report("sampling" if drawn else "warmup", self._told, drawn, divergences)

    def _save(self) -> None:
        if time.monotonic() < self._save_at or not self._lock.acquire(blocking=False):
            return
        try:
            began = time.monotonic()
            self.monitor.save(_written(self.places))
            ended = time.monotonic()
            self._save_at = ended + max(_SAVING, (ended - began) / _SAVING_SHARE)
        finally:
            self._lock.release()


def no_numbers() -> InvalidModel:
    """The error of a density that has no finite value where the sampler is."""
    message = (
        "The posterior density has no finite value where the sampler went: the scales of the data, of the"
        " predictors and of the priors do not fit together."
    )
    return InvalidModel(Issue("sampling-failed", message))


def _by_chain(values: Mapping[str, Any], start: int, stop: int) -> Arrays:
    """The used part of a chunk, (chain, draw, ...) from (draw, chain, ...)."""
    used = {name: np.swapaxes(np.asarray(array)[start:stop], 0, 1) for name, array in values.items()}
    # In the order in which they are read back: sums over them are then the same to the last bit.
    return {name: np.ascontiguousarray(array) for name, array in used.items()}


def _agree(draws: Arrays) -> bool:
    """Whether the halves of all chains tell the same of every scalar (Gelman and Rubin 1992)."""
    for values in draws.values():
        half = values.shape[1] // 2
        halves = np.concatenate([values[:, :half], values[:, -half:]]) if half > 1 else values[:, :0]
        within = halves.var(axis=1, ddof=1).mean(axis=0) if half > 1 else np.full(values.shape[2:], np.nan)
        between = halves.mean(axis=1).var(axis=0, ddof=1) if half > 1 else within
        # What is constant agrees; what is not a number does not.
        if not np.all(between <= (_AGREEMENT**2 - 1.0) * within):
            return False
    return True


def _learned(state: Any) -> Float:
    """What a round of warm-up learned of the variances (coordinate,), all its chains together."""
    return np.asarray(np.mean(state.adapt_state.inverse_mass_matrix, axis=0), dtype=np.float64)


def _written(places: list[Place]) -> Saved:
    """All that a resumed fit needs."""
    arrays: Arrays = {}
    for group, place in enumerate(places):
        arrays |= {
            f"{group}/state/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(place.state))
        }
        for which in (0, 1):
            arrays |= {f"{group}/{which}/{name}": values for name, values in place.all(which).items()}
    facts = [{"warmed": place.warmed, "adapting": place.adapting, "at": place.at} for place in places]
    return Saved({"places": facts}, arrays)


def _read(saved: Saved, begun: list[Place]) -> list[Place] | None:
    """The places that were saved; None if another version of the program wrote them."""
    facts = saved.meta.get("places", [])
    if len(facts) != len(begun):
        return None
    places = []
    for group, (fact, place) in enumerate(zip(facts, begun, strict=True)):
        leaves, tree = jax.tree.flatten(place.state)
        states = [saved.arrays.get(f"{group}/state/{i}") for i in range(len(leaves))]
        if any(
            state is None or (state.shape, state.dtype) != (leaf.shape, leaf.dtype)
            for state, leaf in zip(states, leaves, strict=True)
        ):
            return None
        pieces: tuple[Arrays, Arrays] = ({}, {})
        for name, values in saved.arrays.items():
            owner, kind, rest = name.split("/", 2)
            if owner == str(group) and kind in ("0", "1"):
                pieces[int(kind)][rest] = values
        kept = (pieces,) if pieces[0] else ()
        places.append(Place(jax.tree.unflatten(tree, states), **fact, pieces=kept))
    return places
