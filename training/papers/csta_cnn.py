"""The figures of CSTA-CNN's paper: which of its two attentions help (see ``models.csta_cnn``)."""

from collections.abc import Iterator

from training.papers.registry import Benchmark, Network, Row, register, rows_of

UESTC = (Benchmark("uestc", "cs"), Benchmark("uestc", "cv2"))
NTU60 = (Benchmark("ntu60", "xsub"), Benchmark("ntu60", "xview"))

WHOLE = Network("csta_cnn")
ABLATIONS = (
    (Network("csta_cnn", "without st", {"attention": ()}), (95.1, 78.4, 84.4, 88.9)),
    (Network("csta_cnn", "without s", {"attention": ("temporal",)}), (95.4, 79.9, 84.3, 88.8)),
    (Network("csta_cnn", "without t", {"attention": ("spatial",)}), (95.2, 80.1, 84.2, 89.1)),
)


@register("csta-cnn")
def rows() -> Iterator[Row]:
    """Return the rows of tables 1 to 3."""
    yield from rows_of("1", WHOLE, benchmarks=UESTC, values=(95.6, 81.1))
    yield from rows_of("1", Network("stgcn"), benchmarks=UESTC, values=(71.0, 56.0))
    yield from rows_of("2", WHOLE, benchmarks=NTU60, values=(84.9, 89.9))
    for network, values in ABLATIONS:
        yield from rows_of("3", network, benchmarks=(*UESTC, *NTU60), values=values)
