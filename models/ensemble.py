"""Several recognisers as one: how probabilities are fused, of the streams of a recogniser and of trained recognisers.

The fused probability is a weighted mean of the members' (late fusion of softmax scores, as 2s-AGCN, MS-G3D and AMANet
do; of joints and limbs, as PoseC3D). It is the logarithm of that mean that a fused recogniser returns, so that it is
calibrated, explained and exported as any other.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import cast

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from models.registry import Recogniser

HALF = 0.5 - 1e-6  # thirds and the like do not add up exactly


class FusedRecogniser(Recogniser):
    """The base of recognisers with several members, whose weights are found after training.

    Weights are settings, as those of a config, and no part of the state dict.
    """

    weights: Tensor

    def __init__(self, weights: Sequence[float], num_members: int) -> None:
        super().__init__()
        self.register_buffer("weights", mixing_weights(weights, num_members), persistent=False)

    def weigh(self, weights: Sequence[float]) -> None:
        """Give the members other weights, of any sum; find them on examples held out from training, never on tests."""
        self.weights.copy_(mixing_weights(weights, len(self.weights)))

    def forward(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "N K"]:
        """Return logits; of several members, the log of their weighted mean probability."""
        return fuse(self.member_logits(x), self.weights)

    def member_logits(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "members N K"]:
        """Return what each member says."""
        raise NotImplementedError


class Ensemble(FusedRecogniser):
    """Trained recognisers of any architectures, which see the same features and know the same classes.

    Each member's logits are divided by its temperature before they are fused.
    """

    temperatures: Tensor

    def __init__(
        self, members: Sequence[Recogniser], weights: Sequence[float] = (), temperatures: Sequence[float] = ()
    ) -> None:
        super().__init__(weights, len(members))
        if len(temperatures) not in (0, len(members)) or not all(0 < one < inf for one in temperatures):
            raise ValueError(f"temperatures {tuple(temperatures)}: expected none, or one above 0 for each member")
        self.members = nn.ModuleList(members)
        chosen = torch.tensor(tuple(temperatures) or (1.0,) * len(members))
        self.register_buffer("temperatures", chosen, persistent=False)
        self.speakers = speakers(self.weights)

    def weigh(self, weights: Sequence[float]) -> None:
        """Give the members other weights, and find anew who speaks for all."""
        super().weigh(weights)
        self.speakers = speakers(self.weights)

    def member_logits(self, x: Float32[Tensor, "N T M V C"]) -> Float32[Tensor, "members N K"]:
        """Return what each member says, calibrated."""
        return self._calibrated([member(x) for member in self.members])

    @torch.no_grad()
    def explain(
        self, x: Float32[Tensor, "N T M V C"]
    ) -> tuple[Float32[Tensor, "N K"], Float32[Tensor, "N T"], Float32[Tensor, "N V"]]:
        """Return logits, and how much each frame and each joint speaks for the winning class; both sum to 1.

        An explanation costs as much as one or two more answers, so the ``speakers`` explain for all. Each does it in
        its own way, for not every one has a gradient that can be exported, and counts by its share of what the speakers
        say for the winner: who voted for another has little to say.
        """
        members = cast("Iterable[Recogniser]", self.members)
        answers, explained = [], []
        for place, member in enumerate(members):
            if place in self.speakers:
                answer, *shown = member.explain(x)
                explained.append(shown)
            else:
                answer = member(x)
            answers.append(answer)
        logits = self._calibrated(answers)
        voices = votes_for_winner(logits, self.weights)[list(self.speakers)].softmax(dim=0)
        frames, joints = zip(*explained, strict=True)
        frame_attention = torch.einsum("sn,snt->nt", voices, torch.stack(frames))
        joint_attention = torch.einsum("sn,snv->nv", voices, torch.stack(joints))
        return fuse(logits, self.weights), frame_attention, joint_attention

    def _calibrated(self, answers: Sequence[Tensor]) -> Tensor:
        return torch.stack(tuple(answers)) / self.temperatures[:, None, None]


def ensemble_of(
    models: Sequence[Recogniser], weights: Sequence[float] = (), temperatures: Sequence[float] = ()
) -> Ensemble:
    """Return trained recognisers as one, in evaluation mode, without those of weight 0, which would only cost time.

    Raises:
        ValueError: there are none, or not as many weights or temperatures as models, or some make no sense.

    """
    whole = Ensemble(models, weights, temperatures)
    kept = [place for place, weight in enumerate(whole.weights.tolist()) if weight]
    return Ensemble(
        [models[place] for place in kept], whole.weights[kept].tolist(), whole.temperatures[kept].tolist()
    ).eval()


def mixing_weights(weights: Sequence[float], num_members: int) -> Float32[Tensor, " members"]:
    """Return weights that sum to 1, equal ones if there are none.

    Raises:
        ValueError: they are not one for each member, or one is negative, or all are 0.

    """
    chosen = tuple(weights) or (1.0,) * num_members
    if len(chosen) != num_members or not all(0 <= weight < inf for weight in chosen) or not sum(chosen):
        raise ValueError(
            f"weights {tuple(weights)}: expected none, or one for each of {num_members} members, 0 or more, not all 0"
        )
    return torch.tensor([weight / sum(chosen) for weight in chosen])


def fuse(logits: Float32[Tensor, "members N K"], weights: Float32[Tensor, " members"]) -> Float32[Tensor, "N K"]:
    """Return logits whose softmax is the weighted mean of the members' softmaxes; of a single one, its own.

    In logarithms throughout: a class that all members rule out keeps its gradient, and none is ever 0.
    """
    return torch.logsumexp(_weighed(logits, weights), dim=0) if len(logits) > 1 else logits[0]


def votes_for_winner(
    logits: Float32[Tensor, "members N K"], weights: Float32[Tensor, " members"]
) -> Float32[Tensor, "members N"]:
    """Return the logarithm of what each member adds to the winner's fused probability.

    Their softmax over the members is each one's share of it, and the weight by which the gradient of its
    log-probability makes up the fused one.
    """
    winner = fuse(logits, weights).argmax(dim=1).expand(len(logits), -1).unsqueeze(2)  # [members, N, 1]
    return _weighed(logits, weights).gather(2, winner).squeeze(2)


def speakers(weights: Float32[Tensor, " members"]) -> tuple[int, ...]:
    """Return the fewest members that have half of the weight, the first ones of equals.

    A class that all together give more than 3/4 has more than half of what these give, and so they name it too.
    """
    order = weights.argsort(descending=True, stable=True)
    heard = weights[order].cumsum(dim=0)
    count = 1 + int((heard < HALF).sum())
    return tuple(sorted(order[:count].tolist()))


def _weighed(logits: Tensor, weights: Tensor) -> Tensor:
    """Return the logarithm of each member's part of the fused probabilities."""
    return logits.log_softmax(dim=2) + weights.log()[:, None, None]
