"""ST-GCN's checkpoints of three implementations give what those give."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.graph import adjacency
from models.registry import build
from pipeline.layouts import LAYOUTS, OPENPOSE18, PENN13
from training.importers.keys import load
from training.importers.registry import importer_for

WIDTHS, STRIDES = (1, 1, 2), (1, 1, 2)


class AuthorsUnit(nn.Module):
    """A unit as the authors' code has it: features of all subsets first, then the neighbours."""

    def __init__(self, channels: int, out_channels: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.gcn = nn.ModuleDict({"conv": nn.Conv2d(channels, 3 * out_channels, 1)})
        norms = nn.BatchNorm2d(out_channels), nn.BatchNorm2d(out_channels)
        conv = nn.Conv2d(out_channels, out_channels, (9, 1), (stride, 1), (4, 0))
        self.tcn = nn.Sequential(norms[0], nn.ReLU(), conv, norms[1], nn.Dropout(0.5))
        self.first = first
        self.residual = nn.Identity()
        if (channels, stride) != (out_channels, 1) and not first:
            way = nn.Conv2d(channels, out_channels, 1, (stride, 1))
            self.residual = nn.Sequential(way, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor, A: Tensor) -> Tensor:
        features = self.gcn["conv"](x).unflatten(1, (3, -1))
        y = self.tcn(torch.einsum("npctv,pvw->nctw", features, A))
        return F.relu(y if self.first else y + self.residual(x))


class AuthorsModel(nn.Module):
    """The authors' network: clips [N, C, T, V, M], a classifier that is a 1x1 convolution."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        channels = [3, *(8 * width for width in WIDTHS)]
        self.register_buffer("A", torch.from_numpy(adjacency(PENN13)) + 0.01 * torch.rand(3, 13, 13))
        self.data_bn = nn.BatchNorm1d(3 * 13)
        self.st_gcn_networks = nn.ModuleList(
            AuthorsUnit(channels[n], channels[n + 1], stride, first=n == 0) for n, stride in enumerate(STRIDES)
        )
        self.edge_importance = nn.ParameterList(torch.rand(3, 13, 13) for _ in STRIDES)
        self.fcn = nn.Conv2d(channels[-1], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        N, C, T, V, M = x.shape
        x = self.data_bn(x.permute(0, 4, 3, 1, 2).reshape(N * M, V * C, T))
        x = x.reshape(N * M, V, C, T).permute(0, 2, 3, 1)
        for unit, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = unit(x, self.A * importance)
        people = x.mean(dim=(2, 3)).unflatten(0, (N, M)).mean(dim=1)
        return self.fcn(people[:, :, None, None]).flatten(1)


def test_the_authors_network_gives_the_same_logits() -> None:
    torch.manual_seed(0)
    theirs = AuthorsModel(num_classes=4)
    theirs(torch.randn(4, 3, 12, 13, 2))  # so that batch norm has statistics
    options = {"base_channels": 8, "widths": WIDTHS, "strides": STRIDES}
    ours = build("stgcn", layout=PENN13, num_classes=4, num_people=2, options=options).eval()
    load(importer_for("st-gcn", "stgcn")(theirs.state_dict()), ours)
    x = torch.randn(2, 3, 12, 13, 2)
    torch.testing.assert_close(ours(x.permute(0, 2, 4, 3, 1)), theirs.eval()(x), atol=1e-5, rtol=1e-5)


def reference(folder: Path) -> dict[str, Tensor]:
    state = torch.load(folder / "state_dict.pt", weights_only=True)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


@pytest.mark.parametrize("source", ["mmaction2", "pyskl"])
@pytest.mark.parametrize("layout", ["ntu25", "openpose18"])
def test_logits_are_those_of_the_reference(shared: Path, layout: str, source: str) -> None:
    folder = shared / "parity" / f"mmaction2_stgcn_{layout.removesuffix('25')}"
    state = reference(folder)
    if source == "pyskl":  # the same but for the classifier's name
        state = {key.replace("head.fc.", "head.fc_cls."): value for key, value in state.items()}
    num_classes = json.loads((folder / "meta.json").read_text())["num_classes"]
    model = build("stgcn", layout=LAYOUTS[layout], num_classes=num_classes, num_people=2).eval()
    load(importer_for(source, "stgcn")(state), model)
    x = torch.from_numpy(np.load(folder / "input.npy")).transpose(1, 2)  # theirs is [N, M, T, V, C]
    with torch.no_grad():
        logits = model(x).numpy()
    np.testing.assert_allclose(logits, np.load(folder / "output.npy"), atol=1e-4)


def test_the_graph_comes_with_the_checkpoint() -> None:
    graph = torch.rand(3, 18, 18)
    state = importer_for("mmaction2", "stgcn")({"backbone.gcn.0.gcn.A": graph})
    assert torch.equal(state["backbones.0.blocks.0.spatial.0.A"], graph)
    assert not torch.equal(graph, torch.from_numpy(adjacency(OPENPOSE18)))
