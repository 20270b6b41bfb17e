"""Fusion of probabilities, in one recogniser and among several, and that all of it fits into one exported file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from models.ensemble import Ensemble, ensemble_of, fuse, mixing_weights, speakers, votes_for_winner
from models.registry import Recogniser, build
from pipeline.layouts import LAYOUTS
from pipeline.onnx import OnnxModel
from pipeline.recognise import INPUT, OUTPUTS
from training.export import TOLERANCES, export_onnx

Options = Mapping[str, object]

PENN13 = LAYOUTS["penn13"]
TWO = ("joint", "bone")
FOUR = (*TWO, "joint_motion", "bone_motion")
GRAPH: Options = {"base_channels": 8, "widths": (1, 2), "strides": (1, 2)}
WINDOWS: Options = {**GRAPH, "gcn_scales": 2, "g3d_scales": 1, "windows": (3,)}
# What is exported: each layer of each stream takes seconds, and how deep networks are exported is tested elsewhere.
ONE_BLOCK: Options = {"widths": (1,), "strides": (2,)}
SMALL: Mapping[str, Options] = {
    "stfnet": {**GRAPH, "mcf_blocks": (1,)},
    "stgcn": GRAPH,
    "agcn": GRAPH,
    "ctrgcn": GRAPH,
    "msg3d": WINDOWS,
    "amanet": WINDOWS,
    "posec3d": {"base_channels": 4, "size": 16, "blocks": (1, 1), "temporal_strides": (1, 2), "inflate": (False, True)},
}


def small(name: str, **options: object) -> Recogniser:
    """Build a recogniser whose batch norm has statistics and whose classes are apart."""
    torch.manual_seed(len(name))
    model = build(name, layout=PENN13, num_classes=4, num_people=2, options={**SMALL[name], **options})
    for key, parameter in model.named_parameters():
        if key.endswith("classify.weight"):
            torch.nn.init.normal_(parameter, std=0.5)
    model(random_clips(8))
    return model.eval()


def random_clips(num_clips: int, num_frames: int = 12) -> torch.Tensor:
    return torch.randn(num_clips, num_frames, 2, 13, 3, generator=torch.Generator().manual_seed(1))


def mixed() -> Ensemble:
    graphs = [small("stfnet", **ONE_BLOCK, mcf_blocks=(0,)), small("ctrgcn", **ONE_BLOCK)]
    members = [*graphs, small("posec3d", volumes="limb")]
    return ensemble_of(members, (0.35, 0.2, 0.45), (1.2, 0.8, 1.0))


def test_the_fused_probability_is_the_weighted_mean_of_the_members() -> None:
    logits = torch.randn(3, 6, 5)
    expected = torch.einsum("s,snk->nk", torch.tensor([0.2, 0.3, 0.5]), logits.softmax(dim=2))
    torch.testing.assert_close(fuse(logits, mixing_weights((2.0, 3.0, 5.0), 3)).softmax(dim=1), expected)
    torch.testing.assert_close(fuse(logits, mixing_weights((), 3)).exp(), logits.softmax(dim=2).mean(dim=0))


def test_one_member_is_left_as_it_is() -> None:
    logits = torch.randn(1, 6, 5)
    assert torch.equal(fuse(logits, mixing_weights((), 1)), logits[0])


def test_what_all_members_rule_out_keeps_its_gradient() -> None:
    logits = torch.tensor([[[200.0, 0.0, 0.0]], [[300.0, 0.0, -200.0]]], requires_grad=True)
    out = fuse(logits, torch.tensor([0.5, 0.5]))
    assert out.isfinite().all()
    (slope,) = torch.autograd.grad(out[0, 1], logits)
    assert slope[0, 0].tolist() == pytest.approx([-1, 1, 0])


def test_a_member_without_weight_is_not_heard() -> None:
    logits = torch.randn(2, 6, 5, requires_grad=True)
    out = fuse(logits, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(out, logits[0].log_softmax(dim=1))
    (slope,) = torch.autograd.grad(out[:, 0].sum(), logits)
    assert slope.isfinite().all()
    assert not slope[1].any()


def test_a_share_of_the_winner_is_a_share_of_its_gradient() -> None:
    logits, weights = torch.randn(3, 6, 5, requires_grad=True), torch.tensor([0.5, 0.3, 0.2])
    out = fuse(logits, weights)
    (slope,) = torch.autograd.grad(out.amax(dim=1).sum(), logits)
    winner = out.argmax(dim=1).expand(3, 6).unsqueeze(2)
    (slopes,) = torch.autograd.grad(logits.log_softmax(dim=2).gather(2, winner).sum(), logits)
    torch.testing.assert_close(slope, votes_for_winner(logits, weights).softmax(dim=0).unsqueeze(2) * slopes)


def test_members_are_calibrated_before_they_are_fused() -> None:
    ensemble, clips = mixed(), random_clips(5)
    said = [member(clips) / temperature for member, temperature in zip(ensemble.members, (1.2, 0.8, 1.0), strict=True)]
    expected = sum(weight * logits.softmax(dim=1) for weight, logits in zip((0.35, 0.2, 0.45), said, strict=True))
    torch.testing.assert_close(ensemble(clips).softmax(dim=1), expected)


def test_an_ensemble_is_explained_by_those_with_half_of_the_weight_as_they_vote_for_the_winner() -> None:
    ensemble, clips = mixed(), random_clips(5)
    logits, frames, joints = ensemble.explain(clips)
    torch.testing.assert_close(logits, ensemble(clips))
    assert not any(output.requires_grad for output in (logits, frames, joints))
    for shares in (frames, joints):
        assert shares.min() >= 0
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(5))
    graph, _, volumes = ensemble.members
    votes = votes_for_winner(ensemble.member_logits(clips), ensemble.weights)[[0, 2]].exp()
    shown = [member.explain(clips)[1] for member in (graph, volumes)]
    expected = (votes[0, :, None] * shown[0] + votes[1, :, None] * shown[1]) / votes.sum(dim=0)[:, None]
    torch.testing.assert_close(frames, expected)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((1.0,), (0,)),
        ((1.0, 1.0), (0,)),
        ((1.0, 3.0), (1,)),
        ((1.0, 1.0, 1.0), (0, 1)),
        ((2.0, 3.0, 4.0), (1, 2)),
        ((1.0,) * 6, (0, 1, 2)),
    ],
    ids=str,
)
def test_the_fewest_with_half_of_the_weight_speak_for_all(
    weights: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    assert speakers(mixing_weights(weights, len(weights))) == expected


def test_who_speaks_for_an_ensemble_changes_with_its_weights() -> None:
    ensemble = mixed()
    ensemble.weigh((1.0, 8.0, 1.0))
    assert ensemble.speakers == (1,)
    clips = random_clips(5)
    torch.testing.assert_close(ensemble.explain(clips)[1:], ensemble.members[1].explain(clips)[1:])


def test_nobody_to_recognise_gives_no_logits() -> None:
    assert mixed()(random_clips(0)).shape == (0, 4)


def test_a_member_without_weight_is_left_out() -> None:
    members = [small("stgcn"), small("agcn"), small("ctrgcn")]
    ensemble = ensemble_of(members, (3.0, 0.0, 1.0), (1.0, 2.0, 3.0))
    assert list(ensemble.members) == [members[0], members[2]]
    assert ensemble.weights.tolist() == [0.75, 0.25]
    assert ensemble.temperatures.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("weights", "temperatures", "complaint"),
    [
        ((0.5,), (), "expected none, or one for each of 2 members"),
        ((1.0, -0.5), (), "0 or more, not all 0"),
        ((0.0, 0.0), (), "0 or more, not all 0"),
        ((1.0, float("nan")), (), "0 or more, not all 0"),
        ((), (1.0,), "expected none, or one above 0 for each member"),
        ((), (1.0, 0.0), "expected none, or one above 0 for each member"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    weights: tuple[float, ...], temperatures: tuple[float, ...], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        ensemble_of([small("stgcn"), small("agcn")], weights, temperatures)


def test_an_ensemble_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="each of 0 members"):
        ensemble_of([])


@pytest.mark.parametrize("name", ["stfnet", "stgcn", "agcn", "ctrgcn", "msg3d", "amanet"])
def test_the_streams_of_every_recogniser_have_weights(name: str) -> None:
    model, clips = small(name, streams=TWO, weights=(3.0, 1.0)), random_clips(3)
    joint, bone = model.member_logits(clips).softmax(dim=2)
    torch.testing.assert_close(model(clips).softmax(dim=1), 0.75 * joint + 0.25 * bone)
    model.weigh((1.0, 1.0))
    torch.testing.assert_close(model(clips).softmax(dim=1), (joint + bone) / 2)
    assert "weights" not in model.state_dict()
    with pytest.raises(ValueError, match="expected none, or one for each of 2 members"):
        small(name, streams=TWO, weights=(1.0, 2.0, 3.0))


def assert_one_file_says_it_all(model: Recogniser, folder: Path) -> None:
    """Export, and compare with torch for numbers of clips and frames that the export itself does not try."""
    path = folder / "model.onnx"
    export_onnx(model, path, num_frames=12, num_people=2, num_joints=13, num_channels=3)
    assert [each.name for each in folder.iterdir()] == ["model.onnx"]
    exported = OnnxModel(path, threads=1)
    for num_clips, num_frames in ((3, 7), (2, 30)):
        clips = random_clips(num_clips, num_frames)
        answers = exported.run({INPUT: clips.numpy()})
        for name, expected in zip(OUTPUTS, model.explain(clips), strict=True):
            np.testing.assert_allclose(answers[name], expected.numpy(), atol=TOLERANCES[name])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "streams"),
    [("stgcn", TWO), ("stfnet", FOUR)],
    ids=lambda option: option if isinstance(option, str) else f"{len(option)}s",
)
def test_streams_are_one_file(name: str, streams: tuple[str, ...], tmp_path: Path) -> None:
    weights = (1.0, 0.0, 3.0, 4.0)[: len(streams)]  # one that counts for nothing, which fitting may well find
    assert_one_file_says_it_all(small(name, streams=streams, weights=weights, **ONE_BLOCK), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_ensemble_of_different_architectures_is_one_file(tmp_path: Path) -> None:
    assert_one_file_says_it_all(mixed(), tmp_path)
