"""2s-AGCN and AAGCN: graph convolutions whose graph is learned, and adapts to every clip.

L. Shi, Y. Zhang, J. Cheng and H. Lu, "Two-Stream Adaptive Graph Convolutional Networks for Skeleton-Based Action
Recognition", CVPR 2019, https://arxiv.org/abs/1805.07694 (2s-AGCN), and
"Skeleton-Based Action Recognition with Multi-Stream Adaptive Graph Convolutional Networks", IEEE TIP 29, 2020,
https://arxiv.org/abs/1912.06971 (AAGCN: the given graph is where the learned one begins, tanh, STC attention). The
symbols are those of the first; where text and code of the authors differ, it is the code.

What differs, and where the papers are silent:

- A joint's similarities are divided by their number of summands, as in the authors' code, but not in the papers.
- Graph and subsets are those of the code (see ``models.graph.directed_adjacency``); the given graph belongs to the
  weights, so that an imported checkpoint brings its own.
- The weights W_k of the subsets share one bias, for theirs would only be added up.
- Input norm is over people, joints and channels, as in the code: every seat of a clip has its own scale.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from models.am_stgcn import NonLocal
from models.graph import directed_adjacency
from models.layers import (
    Backbone,
    BackboneConfig,
    Place,
    StreamsRecogniser,
    draw_classifier,
    draw_convolution,
    shortcut,
    temporal_conv,
)
from models.registry import Task, register
from pipeline.layouts import Layout

ADAPTATIONS = ("softmax", "tanh")
GRAPHS = ("given", "learned", "sample")
# So the paper's B begins, next to A; and the norms after graph convolutions, which begin as the ways around them.
NEARLY_ZERO = 1e-6
EXCITATION_REDUCTION = 2
ATTENTION_FRAMES = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class AgcnConfig(BackboneConfig):
    """2s-AGCN's stream by default; AAGCN's is ``graphs=("learned", "sample"), adapt="tanh", attention=True``.

    ``graphs`` are added up, and the paper's ablation leaves them out one by one: "given" is A, "learned" B, which
    begins at nearly zero, or as A where that is not among them, and "sample" C. ``adapt`` says what makes C of
    similarities: "softmax", or "tanh" times a learned weight that begins at zero. ``embedding`` divides the channels in
    which joints are compared. MMAction2's "2s-AGCN" is AAGCN without ``attention``. ``non_local`` lists (layer from 1,
    number of blocks of AM-STGCN's attention after its temporal convolution): ((3, 3),) is table 10 of that paper.
    """

    temporal_kernel: int = 9
    embedding: int = 4
    graphs: tuple[str, ...] = GRAPHS
    adapt: str = "softmax"
    attention: bool = False
    non_local: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        BackboneConfig.__post_init__(self)
        if not self.graphs or not set(self.graphs) <= set(GRAPHS):
            raise ValueError(f"graphs {self.graphs}: expected one or more of {', '.join(GRAPHS)}")
        if self.adapt not in ADAPTATIONS:
            raise ValueError(f"adapt {self.adapt!r}: expected one of {', '.join(ADAPTATIONS)}")
        for layer, count in self.non_local:
            if not 1 <= layer <= len(self.widths) or count < 1:
                raise ValueError(
                    f"non_local {layer, count}: expected a layer from 1 to {len(self.widths)}, and 1 block or more"
                )


class SampleGraph(nn.Module):
    """C_k = softmax(theta_k(x)^T phi_k(x)): how alike joints are in this clip, in the eyes of each subset."""

    def __init__(self, channels: int, narrow: int, *, num_subsets: int, adapt: str) -> None:
        super().__init__()
        self.num_subsets = num_subsets
        self.theta_phi = nn.Conv2d(channels, 2 * num_subsets * narrow, 1)
        self.alpha = nn.Parameter(torch.zeros(1)) if adapt == "tanh" else None

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B P V V"]:
        """Return what joint w takes from joint v, ``C[p, v, w]``."""
        embedded = self.theta_phi(x).unflatten(1, (2 * self.num_subsets, -1)).flatten(2, 3)
        theta, phi = embedded.chunk(2, dim=1)  # [B, P, c*T, V] each
        similarity = theta.transpose(2, 3) @ phi / theta.shape[2]
        C: Tensor = similarity.softmax(dim=2) if self.alpha is None else self.alpha * similarity.tanh()
        return C


class AdaptiveConv(nn.Module):
    """relu(norm(sum_k W_k x (A_k + B_k + C_k)) + x), or fewer of the three graphs."""

    A: Tensor

    def __init__(self, channels: int, out_channels: int, layout: Layout, config: AgcnConfig) -> None:
        super().__init__()
        A = torch.from_numpy(directed_adjacency(layout))  # [P, V, V]
        given, learned, sample = (graph in config.graphs for graph in GRAPHS)
        self.register_buffer("A", A if given else None)
        self.B = nn.Parameter(torch.full_like(A, NEARLY_ZERO) if given else A.clone()) if learned else None
        narrow = out_channels // config.embedding
        self.C = SampleGraph(channels, narrow, num_subsets=len(A), adapt=config.adapt) if sample else None
        self.project = nn.Conv2d(len(A) * channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = shortcut(channels, out_channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C2 T V"]:
        """Gather by each subset's graph, then mix channels: the two commute, and there are never fewer after."""
        B, C, T, V = x.shape
        graphs = [graph for graph in (self.A, self.B, self.C(x) if self.C else None) if graph is not None]
        graph = torch.stack([graph.expand(B, -1, -1, -1) for graph in graphs]).sum(dim=0)  # [B, P, V, V]
        gathered = x.reshape(B, 1, C * T, V) @ graph  # [B, P, C*T, V]
        y = self.norm(self.project(gathered.reshape(B, self.project.in_channels, T, V)))
        return F.relu(y + self.shortcut(x))


class StcAttention(nn.Module):
    """STC of AAGCN: excite joints, then frames, then channels, each by means over the other axes."""

    def __init__(self, channels: int, *, num_joints: int) -> None:
        super().__init__()
        span = num_joints - 1 + num_joints % 2  # the largest odd one
        self.joints = nn.Conv1d(channels, 1, span, padding=span // 2)
        self.frames = nn.Conv1d(channels, 1, ATTENTION_FRAMES, padding=ATTENTION_FRAMES // 2)
        self.squeeze = nn.Linear(channels, channels // EXCITATION_REDUCTION)
        self.excite = nn.Linear(channels // EXCITATION_REDUCTION, channels)

    def forward(self, x: Float32[Tensor, "B C T V"]) -> Float32[Tensor, "B C T V"]:
        """Return x + x * weight, three times."""
        x = x * (1 + torch.sigmoid(self.joints(x.mean(dim=2)))).unsqueeze(2)
        x = x * (1 + torch.sigmoid(self.frames(x.mean(dim=3)))).unsqueeze(3)
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * (1 + weight)[:, :, None, None]


def layers_of(place: Place, layout: Layout, config: AgcnConfig) -> tuple[nn.Module, nn.Module]:
    """Return the spatial and the temporal layer of a block, each with the attention that follows it."""
    width = place.out_channels
    spatial = nn.Sequential(AdaptiveConv(place.channels, width, layout, config))
    if config.attention:
        spatial.append(StcAttention(width, num_joints=len(layout)))
    temporal = temporal_conv(width, width, kernel=config.temporal_kernel, stride=place.stride)
    num_blocks = sum(count for layer, count in config.non_local if layer == place.number + 1)
    return spatial, temporal.extend(NonLocal(width, over_time=True) for _ in range(num_blocks))


@register("agcn", config=AgcnConfig)
class Agcn(StreamsRecogniser):
    """2s-AGCN or AAGCN with one backbone a stream; the paper's two are joint and bone."""

    def __init__(self, task: Task, config: AgcnConfig) -> None:
        def layers(place: Place) -> tuple[nn.Module, nn.Module]:
            return layers_of(place, task.layout, config)

        super().__init__(task, config, lambda: Backbone(task, config, layers, people_apart=True))
        self.apply(initialise)


def initialise(module: nn.Module) -> None:
    """Draw convolutions as He et al. (fan out), as the authors; graph convolutions begin at nearly nothing.

    STC's excitations of frames and channels begin at one half for all. The classifier is drawn narrowly, so that the
    first loss is log K.
    """
    draw_convolution(module)
    if isinstance(module, AdaptiveConv):
        nn.init.constant_(module.norm.weight, NEARLY_ZERO)
    if isinstance(module, StcAttention):
        nn.init.zeros_(module.frames.weight)
        nn.init.zeros_(module.excite.weight)
        nn.init.zeros_(module.excite.bias)
    if isinstance(module, Backbone):
        draw_classifier(module.classify)
