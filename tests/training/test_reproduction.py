"""A paper's table as networks to train: which rows, by which recipe, with which options."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.registry import default_options
from pipeline.features import FeatureSpec
from training.experiments import Experiment, Result
from training.loop import CHECKPOINT_FILE, build_recogniser
from training.papers import registry as papers
from training.papers.registry import Benchmark, Network, Row, paper_names, rows_of, tables_of
from training.recipe import SequenceRecipe
from training.recipes import registry as recipes
from training.reproduction import (
    BASELINES,
    Line,
    Plan,
    experiments_of,
    plans_of,
    reproduce,
    rows_of_table,
    sequence_recipe,
    split_of,
)
from training.runs import changed

STICKS = SequenceRecipe(
    name="sticks-penn",
    description="Stick figures' own classes",
    architecture="pooling",
    options={"width": 48},
    features=FeatureSpec(layout="penn13", num_frames=12, window_s=2.0),
    data_set="penn_action",
    split="official",
    epochs=2,
    batch_size=8,
    learning_rate=0.01,
    held_out_share=0.0,
)
LITTLE = {"base_channels": 4, "widths": (1, 2), "strides": (1, 2), "mcf_blocks": ()}
OFFICIAL = (Benchmark("penn_action", "-"), Benchmark("penn_action", "-", "top5"))


def sticks_rows() -> Iterator[Row]:
    yield from rows_of("1", Network("pooling", "narrow", {"width": 4}), benchmarks=OFFICIAL, values=(70.0, 90.0))
    yield from rows_of("1", Network("pooling", "wide", {"width": 24}), benchmarks=OFFICIAL[:1], values=(75.0,))
    joint = Network("stfnet", "joint", {**LITTLE, "streams": ("joint",)})
    both = Network("stfnet", "2s", {**LITTLE, "streams": ("joint", "bone")})
    yield from rows_of("2", joint, benchmarks=OFFICIAL[:1], values=(80.0,))
    yield from rows_of("2", both, benchmarks=OFFICIAL[:1], values=(85.5,))


@pytest.fixture(autouse=True)
def sticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a paper about stick figures, with a recipe."""
    paper_names()
    monkeypatch.setitem(papers._PAPERS._entries, "sticks", sticks_rows)
    monkeypatch.setitem(recipes._RECIPES._entries, STICKS.name, lambda: STICKS)
    monkeypatch.setattr("training.reproduction.SPLITS", {"-": "official"})


def plan_of(table: str, **settings: object) -> Plan:
    (plan,) = plans_of("sticks", table, data_set="penn_action", settings=settings)
    return plan


def recipe_of(experiment: Experiment) -> SequenceRecipe:
    recipe = changed(sequence_recipe(experiment.recipe), experiment.changes)
    assert isinstance(recipe, SequenceRecipe)
    return recipe


def test_on_its_own_data_set_a_table_is_trained_by_the_papers_recipe() -> None:
    plan = plan_of("1")
    assert (plan.recipe, plan.settings) == ("sticks-penn", {"split": "official"})
    assert [row.variant for row in plan.rows] == ["narrow", "wide"]
    assert plan.benchmark == OFFICIAL[0]


@pytest.mark.usefixtures("real_splits")
class TestRealTables:
    @pytest.fixture
    def real_splits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("training.reproduction.SPLITS", {"val": "official", "split1": "1", "-": "xsub"})

    @pytest.fixture
    def unchecked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Do not build networks: tests/training/papers builds those of all tables."""
        monkeypatch.setattr("training.reproduction.check", lambda _: None)

    def test_each_split_that_a_table_has_figures_of_is_a_plan_with_its_recipe(self) -> None:
        plans = plans_of("amanet", "1", data_set="ntu120")
        assert [plan.recipe for plan in plans] == ["amanet-ntu120-xsub", "amanet-ntu120-xset"]
        assert [plan.settings["split"] for plan in plans] == ["xsub", "xset"]
        assert [row.value for row in plans[1].rows] == [88.4, 73.2, 84.9, 88.6]

    def test_one_split_can_be_chosen(self) -> None:
        (plan,) = plans_of("amanet", "1", data_set="ntu60", settings={"split": "xview"})
        assert plan.recipe == "amanet-ntu60-xview"
        with pytest.raises(ValueError, match="split: expected one of the table's xsub, xview, got 'xset'"):
            plans_of("amanet", "1", data_set="ntu60", settings={"split": "xset"})

    def test_elsewhere_a_table_is_trained_by_the_data_sets_recipe_and_compared_with_most_of_the_papers_figures(
        self,
    ) -> None:
        (plan,) = plans_of("stf-net", "IV", data_set="nw_ucla", settings={"options": {"base_channels": 16}})
        assert plan.recipe == "nw_ucla"
        assert plan.benchmark == Benchmark("ntu60", "xsub")
        assert len(plan.rows) == 7
        assert "split" not in plan.settings

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize("paper", [name for name in paper_names() if name != "sticks"])
    def test_every_table_can_be_trained_on_every_data_set_of_it(self, paper: str) -> None:
        for table in dict.fromkeys(row.table for row in tables_of(paper)):
            for benchmark in {(row.dataset, row.protocol) for row in rows_of_table(paper, table)}:
                settings = {"split": split_of(Benchmark(*benchmark)), "options": {"base_channels": 8}}
                (plan,) = plans_of(paper, table, data_set=benchmark[0], settings=settings)
                assert (plan.benchmark.dataset, plan.benchmark.protocol) == benchmark

    @pytest.mark.usefixtures("unchecked")
    @pytest.mark.parametrize(("paper", "table"), BASELINES)
    def test_every_baseline_is_a_row_of_the_paper(self, paper: str, table: str) -> None:
        wanted = BASELINES[paper, table]
        data_sets = dict.fromkeys(row.dataset for row in rows_of_table(paper, table))
        firsts = [
            (plan.baseline.architecture, plan.baseline.variant)
            for data_set in data_sets
            for plan in plans_of(paper, table, data_set=data_set, settings={"options": {"base_channels": 8}})
        ]
        assert wanted in firsts

    def test_a_baseline_of_another_table_is_of_the_same_benchmark(self) -> None:
        first, second = plans_of("csta-cnn", "3", data_set="ntu60")
        assert [plan.baseline.value for plan in (first, second)] == [84.9, 89.9]
        assert [len(plan.rows) for plan in (first, second)] == [4, 4]

    def test_streams_are_trained_by_themselves_and_shared_by_rows(self) -> None:
        (plan,) = plans_of("amanet", "8", data_set="ntu60")
        names = {row.variant: [one.name for one in experiments_of(plan, row)] for row in plan.rows[3:]}
        assert names["4s"] == [*names["joint"], *names["bone"], *names["joint-fused"], *names["bone-fused"]]
        assert len(set(names["4s"])) == 4
        fine = recipe_of(experiments_of(plan, plan.rows[-1])[2])
        assert (fine.options["streams"], fine.options["grains"]) == (("joint",), ("fine",))

    def test_a_recipes_shape_is_undone_and_its_width_and_conventions_are_everybodys(self) -> None:
        (plan,) = plans_of("stf-net", "I", data_set="nw_ucla")
        width = sequence_recipe("nw_ucla").options["base_channels"]
        for row in plan.rows:
            for experiment in experiments_of(plan, row):
                options = recipe_of(experiment).options
                assert options["base_channels"] == width
                if row.architecture == "stfnet":
                    assert options["widths"] == default_options("stfnet")["widths"]
        (plan,) = plans_of("amanet", "1", data_set="ntu60", settings={"split": "xsub"})
        conventions = [
            recipe_of(one).options.get("convention") for row in plan.rows for one in experiments_of(plan, row)
        ]
        assert set(conventions) == {"2s-agcn"}


def test_settings_are_for_all_networks_and_a_rows_options_win() -> None:
    plan = plan_of("1", epochs=1, options={"width": 7})
    experiments = [one for row in plan.rows for one in experiments_of(plan, row)]
    assert [recipe_of(one).options["width"] for one in experiments] == [4, 24]
    assert {recipe_of(one).epochs for one in experiments} == {1}


def test_options_are_for_the_networks_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(row for row in sticks_rows() if row.metric == "top1")
    monkeypatch.setattr("training.reproduction.rows_of_table", lambda *_: rows)
    plan = plan_of("1", options={"dropout": 0.3})
    options = [recipe_of(one).options for row in plan.rows for one in experiments_of(plan, row)]
    assert ["dropout" in one for one in options] == [False, False, True, True, True]


def test_a_paper_without_a_recipe_of_its_own_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(recipes._RECIPES._entries, STICKS.name)
    with pytest.raises(ValueError, match="sticks has no recipe for penn_action official: choose one with --recipe"):
        plan_of("1")
    (plan,) = plans_of("sticks", "1", data_set="penn_action", recipe="penn_action")
    assert plan.recipe == "penn_action"


def test_other_settings_are_another_network_and_a_description_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {experiments_of(plan, plan.baseline)[0].name for plan in (plan_of("1"), plan_of("1", epochs=1))}
    monkeypatch.setitem(recipes._RECIPES._entries, STICKS.name, lambda: replace(STICKS, description="Other words"))
    again = plan_of("1")
    names.add(experiments_of(again, again.baseline)[0].name)
    assert len(names) == 2
    assert all(name.startswith("sticks-penn-pooling-") for name in names)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"paper": "stick"}, "unknown paper 'stick': expected one of 3d-starnet"),
        ({"table": "3"}, "unknown table '3' of sticks: expected one of 1, 2"),
        ({"data_set": "my_clips"}, "no recipe for sequences is named 'my_clips': choose one with --recipe, of 2s-agcn"),
        ({"recipe": "everyday"}, "no recipe for sequences is named 'everyday'"),
        ({"settings": {"epoch": 3}}, "SequenceRecipe has no setting epoch"),
        ({"settings": {"options": {"widht": 3}}}, "options: none of pooling has widht"),
        ({"settings": {"options": 3}}, "options: expected settings such as options.base_channels=16, got 3"),
        ({"table": "2", "settings": {"options": {"convention": "other"}}}, "convention 'other': expected one of"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is(asked: dict[str, object], complaint: str) -> None:
    wanted = {"paper": "sticks", "table": "1", "data_set": "penn_action", **asked}
    paper, table = (str(wanted.pop(name)) for name in ("paper", "table"))
    with pytest.raises(ValueError, match=complaint):
        plans_of(paper, table, **wanted)  # type: ignore[arg-type]


def test_a_table_is_trained_judged_and_saved_row_by_row(data: Path, tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    lines = list(reproduce(plan_of("1"), data / "penn_action.npz", seeds=(0, 1), runs=runs, out=out))
    assert [line.row.variant for line in lines] == ["narrow", "wide"]
    for line in lines:
        assert line.result.seeds == (0, 1)
        assert len(line.result.top1) == 2
        assert Result.load(out / f"{line.result.name}.json").top1 == line.result.top1
        assert all((runs / line.result.name / f"seed{seed}" / CHECKPOINT_FILE).exists() for seed in (0, 1))
    assert lines[0].result.parameters < lines[1].result.parameters
    model = build_recogniser(changed(STICKS, {"options": {"width": 4}, "classes": ["squat", "jacks", "golf"]}))
    assert lines[0].result.parameters == sum(value.numel() for value in model.parameters())


def test_streams_are_fused_and_rows_share_them(data: Path, tmp_path: Path) -> None:
    plan = plan_of("2", epochs=1)
    joint, both = reproduce(plan, data / "penn_action.npz", seeds=(0,), runs=tmp_path / "runs", out=tmp_path / "out")
    assert joint.result.members == ()
    assert both.result.members[0] == joint.result.name
    assert len(both.result.members) == 2
    assert both.result.parameters == 2 * joint.result.parameters
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_what_is_there_is_not_trained_again(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(seeds: tuple[int, ...]) -> list[Line]:
        file = data / "penn_action.npz"
        return list(reproduce(plan_of("2", epochs=1), file, seeds=seeds, runs=tmp_path / "runs", out=tmp_path / "out"))

    first = trained((0,))
    with monkeypatch.context() as patch:
        patch.setattr("training.reproduction.carry_out", None)
        patch.setattr("training.reproduction.fuse_results", None)
        again = trained((0,))
    assert [(line.result.name, line.result.top1) for line in again] == [
        (line.result.name, line.result.top1) for line in first
    ]
    more = trained((0, 1))
    assert [line.result.top1[0] for line in more] == [line.result.top1[0] for line in first]
