"""Draws of a density that has no free coordinate: there is one point, and what is drawn given it is exact.

Such draws are independent, and the density at the point is the evidence.
"""

import numpy as np

from model.streams import stream
from worker.samplers.independence import Chains, Density
from worker.samplers.proposal import Proposal


def sample(density: Density, carried: int, chains: int, draws: int, seed: int) -> Chains:
    """Draw `chains` x `draws` times at the only point; the log density there may be anything, NaN included."""
    noise = np.concatenate(
        [stream(seed, "chain", chain).standard_normal((draws, carried)) for chain in range(chains)]
    )
    log_values, drawn = density(np.zeros((len(noise), 0)), noise)()
    return Chains(
        theta=np.zeros((chains, draws, 0)),
        drawn=drawn.reshape(-1, chains, draws),
        acceptance=1.0,
        pareto_k=0.0,
        effective_share=1.0,
        log_evidence=float(log_values[0]),
        evaluations=len(noise),
        proposal=Proposal.symmetric(np.zeros(0), np.zeros((0, 0))),
    )
