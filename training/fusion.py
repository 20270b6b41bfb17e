"""Find out how much each stream of a recogniser, or each member of an ensemble, should count.

Only on examples that no member was trained on, and never on a test set: weights fitted to what they are measured on
look better than they are.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from models.ensemble import Ensemble, FusedRecogniser, ensemble_of
from models.registry import Recogniser
from pipeline.recognise import calibrate
from pipeline.values import F32
from training.evaluate import fit_temperature

I64 = NDArray[np.int64]

# How far from the least negative log-likelihood weights may be, in nats an example, and how long to look for them.
TOLERANCE = 1e-6
MOST_STEPS = 20_000
# A member that counts for less than this is not worth the time that it takes.
LEAST_WEIGHT = 1e-3
# An example that a member rules out altogether must not decide alone.
LEAST_SCORE = 1e-12


def fit_ensemble(
    models: Sequence[Recogniser],
    batches: Iterable[Float32[F32, "B T M V C"]],
    truth: Int64[I64, " N"],
    *,
    is_weighed: bool = True,
) -> Ensemble:
    """Return trained recognisers as one: each calibrated, then weighed, on held-out windows; the useless are left out.

    ``batches`` are the windows' features, N in all; ``truth`` are places in the logits. Those that are not weighed all
    count alike.
    """
    answers = member_logits(ensemble_of(models), batches)
    temperatures = [fit_temperature(logits, truth) for logits in answers]
    if not is_weighed:
        return ensemble_of(models, temperatures=temperatures)
    scores = [calibrate(logits, temperature) for logits, temperature in zip(answers, temperatures, strict=True)]
    return ensemble_of(models, fit_weights(scores, truth), temperatures)


def fit_streams(
    model: FusedRecogniser, batches: Iterable[Float32[F32, "B T M V C"]], truth: Int64[I64, " N"]
) -> tuple[float, ...]:
    """Return the weights for a trained recogniser's streams; ``model.weigh`` takes them."""
    return fit_weights([calibrate(logits, 1.0) for logits in member_logits(model, batches)], truth)


@torch.no_grad()
def member_logits(model: FusedRecogniser, batches: Iterable[Float32[F32, "B T M V C"]]) -> Float32[F32, "members N K"]:
    """Return what each stream or member says of all windows."""
    answers: F32 = np.concatenate([model.member_logits(torch.from_numpy(batch)).numpy() for batch in batches], axis=1)
    return answers


def fused(scores: Sequence[Float32[F32, "N K"]], weights: Sequence[float]) -> Float32[F32, "N K"]:
    """Return the weighted sum of the members' probabilities."""
    summed: F32 = np.einsum("s,snk->nk", np.array(weights, np.float32), np.stack(scores))
    return summed


def fit_weights(scores: Sequence[Float32[F32, "N K"]], truth: Int64[I64, " N"]) -> tuple[float, ...]:
    """Return the weights, which sum to 1, with which fused probabilities have the least negative log-likelihood.

    The members are components of a mixture: each step of expectation maximisation (Dempster et al. 1977) makes it
    better, and as the loss is convex in the weights, there is one best place to end. The loss is above that by at most
    the logarithm of the largest gain, which says when to stop. Without examples all count alike.
    """
    likelihoods = np.array([one[np.arange(len(truth)), truth] for one in scores], np.float64)  # [members, N]
    likelihoods = np.maximum(likelihoods, LEAST_SCORE)
    weights = np.full(len(scores), 1 / len(scores))
    for _ in range(MOST_STEPS if len(truth) else 0):
        gain = (likelihoods / (weights @ likelihoods)).mean(axis=1)
        if gain.max() <= 1 + TOLERANCE:
            break
        weights *= gain
    weights[weights < LEAST_WEIGHT] = 0
    return tuple((weights / weights.sum()).tolist())
