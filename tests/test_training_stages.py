"""The stages of every protocol: what learns in each, at what rate, and what stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn import drawn_face
from drawn_protocols import still, tiny_wild

torch = pytest.importorskip("torch")
pytest.importorskip("yaml")
torch.set_num_threads(1)

from esrface.datasets.jitter import Jitter, jittered, unchanged  # noqa: E402
from esrface.datasets.pools import FacePool  # noqa: E402
from esrface.datasets.resampling import capped_sample, quadrants  # noqa: E402
from esrface.emotions import EMOTIONS  # noqa: E402
from esrface.errors import DataError, InputError, ModelError  # noqa: E402
from esrface.evaluation.paired import paired_t_test, two_sided_p  # noqa: E402
from esrface.networks.config import NetworkConfig, esr_lab, lab_ensemble, lab_single  # noqa: E402
from esrface.networks.esr import ESR  # noqa: E402
from esrface.training.distributed import ALONE  # noqa: E402
from esrface.training.protocols.ckplus import ckplus_stages, learners  # noqa: E402
from esrface.training.protocols.config import (  # noqa: E402
    VARIANTS,
    AffectNetContinuousConfig,
    AffectNetDiscreteConfig,
    CkPlusConfig,
    FerPlusPaperConfig,
    ProtocolConfig,
    variant_shape,
)
from esrface.training.protocols.curves import (  # noqa: E402
    COLORS,
    DASH,
    GAP,
    LEFT,
    RIGHT,
    WIDTH,
    Panel,
    draw_curves,
)
from esrface.training.protocols.staged import StagedTrainer, as_input, take_weights  # noqa: E402
from esrface.training.protocols.stages import Stage, growth, make_optimizer, set_modes, set_rates  # noqa: E402
from esrface.training.protocols.tasks import Affect, Emotions  # noqa: E402
from esrface.training.recipes import load_recipe, override, save_recipe  # noqa: E402

RECIPES = Path(__file__).parent.parent / "docs" / "recipes"

BASE, BRANCH, AFFECT = 16, 18, 2
"""Tensors with a gradient in the published base, in a branch, and in its layer for affect."""
LAB = {0: 0, 1: 4, 2: 8, 3: 12, 4: 16}
"""In the base of ESR-4, by level; the whole path has 20 and a classifier of 2."""


def learning(network: ESR) -> int:
    return sum(parameter.requires_grad for parameter in network.parameters())


def rates_of(stage: Stage, momentum: float, network: ESR) -> list[tuple[str, float]]:
    optimizer = make_optimizer(network, stage, momentum)
    assert {group["momentum"] for group in optimizer.param_groups} == {momentum}
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters() if p.requires_grad)
    return [(group["name"], group["lr"]) for group in optimizer.param_groups]


def grown(count: int, new: float, trained: float, suffix: str = "") -> list[tuple[str, float]]:
    return [(f"branch {k}{suffix}", trained) for k in range(1, count)] + [(f"branch {count}{suffix}", new)]


@pytest.mark.parametrize(
    ("config", "trained", "epochs", "schedule"),
    [
        (AffectNetDiscreteConfig(), 0.01, (50, 20), (0.5, 10)),
        (FerPlusPaperConfig(), 0.02, (100, 60), (0.75, 10)),
    ],
    ids=["affectnet-discrete", "ferplus-paper"],
)
def test_a_new_branch_learns_fast_and_the_rest_slowly(
    config: ProtocolConfig, trained: float, epochs: tuple[int, int], schedule: tuple[float, int]
) -> None:
    stages = growth(config.branches, config.pace)
    assert [stage.branches for stage in stages] == list(range(1, 10))
    assert [stage.epochs for stage in stages] == [epochs[0]] + [epochs[1]] * 8
    for stage in stages:
        network = ESR(replace(config.shape, branches=stage.branches))
        base = 0.1 if stage.number == 1 else trained
        assert rates_of(stage, 0.9, network) == [("base", base), *grown(stage.branches, 0.1, trained)]
        assert learning(network) == BASE + BRANCH * stage.branches == len(list(network.parameters()))
        decay, every = schedule
        after = stage.lr(stage.rates[-1], 2 * every), stage.lr(stage.rates[-1], every - 1)
        assert after == (pytest.approx(0.1 * decay**2), 0.1)
    assert (config.batch, config.cap) == (32, 5000)


def test_valence_and_arousal_train_one_layer_of_each_branch() -> None:
    config = AffectNetContinuousConfig()
    stages = growth(config.branches, config.pace, layers="affect")
    assert [(stage.branches, stage.epochs) for stage in stages] == [(k, 2) for k in range(1, 10)]
    for stage in stages[::4]:
        network = ESR(replace(config.shape, branches=stage.branches))
        expected = grown(stage.branches, 0.01, 0.001, ", affect layer")
        assert rates_of(stage, 0.9, network) == expected
        assert learning(network) == AFFECT * stage.branches
        assert len(list(network.parameters())) - learning(network) == BASE + BRANCH * stage.branches
        assert stage.lr(stage.rates[-1], 1) == 0.01


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize(("strategy", "trained"), [("frozen", 0.0), ("varied", 0.02), ("fixed", 0.1)])
def test_three_ways_of_growing_on_ckplus(level: int, strategy: str, trained: float) -> None:
    stages = ckplus_stages(f"level{level}-{strategy}", CkPlusConfig().pace)
    assert [(stage.branches, stage.epochs) for stage in stages] == [
        (1, 2000),
        (2, 1000),
        (3, 1000),
        (4, 1000),
    ]
    for stage in stages:
        network = ESR(replace(esr_lab(level), branches=stage.branches))
        slow = [("base", trained), *grown(stage.branches, 0.1, trained)]
        full = [("base", 0.1), ("branch 1", 0.1)]
        expected = full if stage.number == 1 else [pair for pair in slow if pair[1] > 0]
        assert rates_of(stage, 0.9, network) == expected
        whole = LAB[level] + (22 - LAB[level]) * stage.branches
        frozen = LAB[level] + (22 - LAB[level]) * (stage.branches - 1)
        assert learning(network) == whole - (frozen if strategy == "frozen" and stage.number > 1 else 0)
        assert stage.lr(stage.rates[-1], 250) == 0.05
        assert learners(f"level{level}-{strategy}", stage) == (stage.branches,)


def test_what_ckplus_compares_with() -> None:
    pace = CkPlusConfig().pace
    (single,) = ckplus_stages("single", pace)
    network = ESR(lab_single())
    assert rates_of(single, 0.9, network) == [("base", 0.1), ("branch 1", 0.1)]
    assert (learning(network), single.epochs, learners("single", single)) == (22, 2000, (0,))

    ensemble = ckplus_stages("ensemble", pace)
    for stage in ensemble:
        network = ESR(replace(lab_ensemble(), branches=stage.branches))
        assert rates_of(stage, 0.9, network) == [(f"branch {stage.branches}", 0.1)]
        assert learning(network) == 22
    assert [stage.branches for stage in ensemble] == [1, 2, 3, 4]

    (together,) = ckplus_stages("level3-interleaved", pace)
    network = ESR(esr_lab(3))
    assert rates_of(together, 0.9, network) == [("base", 0.1), *grown(4, 0.1, 0.1)]
    assert (together.epochs, together.order) == (5000, "in turn")
    assert learners("level3-interleaved", together) == (1, 2, 3, 4)
    assert len(VARIANTS) == 18
    assert {variant_shape(variant).input_size for variant in VARIANTS} == {96}


def test_what_is_frozen_answers_as_it_did_down_to_its_batch_norms() -> None:
    pace = replace(CkPlusConfig().pace, trained_lr=0.0)
    stage = growth(2, pace)[1]
    network = ESR(replace(tiny_wild(), branches=2, affect=False))
    optimizer = make_optimizer(network, stage, 0.9)
    set_rates(optimizer, stage, 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    set_modes(network, stage)
    network(torch.rand(4, 3, 32, 32)).logits.square().sum().backward()
    optimizer.step()
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("branches.1.")}
    set_modes(network, stage, batch_norm=False)
    assert not any(m.training for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_samples_are_fresh_capped_and_without_repetition() -> None:
    groups = np.array([0] * 50 + [1] * 8 + [-1] * 5 + [3] * 20)
    one, again, other = (capped_sample(groups, 10, seed) for seed in (1, 1, 2))
    assert np.bincount(groups[one], minlength=4).tolist() == [10, 8, 0, 10]
    assert len(set(one.tolist())) == len(one)
    np.testing.assert_array_equal(one, again)
    assert len(np.intersect1d(one, other)) < len(one)
    assert len(capped_sample(np.array([-1, -1]), 10, 1)) == 0


def test_quadrants_of_affect() -> None:
    affect = np.array(
        [[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5], [0, 0], [np.nan, 0], [0.1, np.nan]]
    )
    assert quadrants(affect).tolist() == [0, 1, 2, 3, 0, -1, -1]


@pytest.mark.parametrize("shape", [(5, 48, 48), (5, 48, 48, 3)])
def test_no_jitter_is_the_face_and_full_jitter_is_random_by_its_generator_only(
    shape: tuple[int, ...],
) -> None:
    random = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
    plain = unchanged(pixels, 96)
    assert plain.shape == (5, 3 if len(shape) == 4 else 1, 96, 96)
    # At the border resampling mixes in the black outside.
    kept = jittered(pixels, 96, still(), random)[..., 1:-1, 1:-1]
    torch.testing.assert_close(kept, plain[..., 1:-1, 1:-1], atol=1e-2, rtol=0)
    mirrored = jittered(pixels, 96, replace(still(), mirror=1.0), random)[..., 1:-1, 1:-1]
    torch.testing.assert_close(mirrored, plain.flip(-1)[..., 1:-1, 1:-1], atol=1e-2, rtol=0)
    brighter = jittered(pixels, 48, replace(still(), brightness=0.5), random)
    factors = brighter.flatten(1).sum(1) / unchanged(pixels, 48).flatten(1).sum(1)
    assert 0.5 <= factors.min() < factors.max() <= 1.5
    one, two, other = (jittered(pixels, 96, Jitter(), torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.allclose(one, other)
    assert one.min() >= 0
    assert one.max() <= 255.01


def faces(count: int, first: int = 0) -> FacePool:
    labels = np.arange(count) % 3
    names = [EMOTIONS[(1, 3, 6)[label]] for label in labels]
    pixels = np.stack([drawn_face(name, first + seed) for seed, name in enumerate(names)])
    return FacePool.of(pixels, labels.astype(np.int64))


def test_pools_in_memory_and_streamed_are_the_same(tmp_path: Path) -> None:
    whole = faces(30)
    streamed = FacePool(whole.targets, whole.groups, whole.fetch, in_memory=False)
    chosen = np.arange(3, 27, 2)
    batches = [np.array([0, 5, 2]), np.array([7]), np.array([11, 1])]
    pools = [
        whole.subset(chosen),
        streamed.subset(chosen, threads=2),
        streamed.subset(chosen, threads=2, memory=1),
    ]
    assert [pool.in_memory for pool in pools] == [True, True, False]
    seen = [list(pool.batches(batches, threads=2)) for pool in pools]
    for other in seen[1:]:
        for (pixels, targets), (expected, labels) in zip(other, seen[0], strict=True):
            np.testing.assert_array_equal(pixels, expected)
            np.testing.assert_array_equal(targets, labels)
    with pytest.raises(DataError, match="no face is left"):
        whole.subset(np.array([], np.int64))


def trainer_of(
    shape: NetworkConfig,
    stages: Sequence[Stage],
    pools: Callable[[Stage], list[FacePool]],
    **settings: object,
) -> StagedTrainer:
    config = replace(ProtocolConfig(batch=8, augmentation=still(), validate_every=1), **settings)
    return StagedTrainer(shape, stages, Emotions(), pools, faces(12, 500), config)


def test_each_stage_begins_with_the_best_of_the_one_before() -> None:
    shape = replace(tiny_wild(), affect=False)
    # A rate at which epochs get worse as well as better; then what was trained is frozen, to be looked at.
    pace = replace(ProtocolConfig().pace, epochs=8, later_epochs=1, lr=0.3, trained_lr=0.0, decay=1.0)
    trainer = trainer_of(shape, growth(2, pace), lambda stage: [faces(30)])
    best: dict[str, torch.Tensor] = {}
    last: dict[str, torch.Tensor] = {}
    scores = []
    for epoch in trainer.epochs():
        if epoch.stage.number == 2:
            break
        assert epoch.validation is not None
        scores.append(epoch.validation.score)
        last = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
        best = last if epoch.is_best else best
    assert scores[-1] < max(scores), "the last epoch must not be the best one, or this test tells nothing"
    now = trainer.network.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in best.items())
    assert not all(torch.equal(now[name], tensor) for name, tensor in last.items())


def test_figures_in_training_are_those_of_the_images_that_are_learnt_from() -> None:
    """At no rate to speak of and with faces as they are, training sees what a look at the same faces sees."""
    shape = replace(tiny_wild(), affect=False)
    pace = replace(ProtocolConfig().pace, epochs=1, later_epochs=1, lr=1e-12, trained_lr=1e-12)
    learnt, other = faces(30), faces(18, 200)
    still = {"freeze_batch_norm": True, "seed": 4}
    for epoch in (trainer := trainer_of(shape, growth(3, pace), lambda stage: [learnt], **still)).epochs():
        seen = trainer.judge(trainer.network.eval(), learnt)
        assert len(epoch.training.branches) == epoch.stage.branches
        told = (epoch.training.ensemble, *epoch.training.branches)
        for figures, expected in zip(told, (seen.ensemble, *seen.branches), strict=True):
            assert figures == pytest.approx(expected, abs=1e-2)  # sampling faces blackens their border
    assert {figures["loss"] for figures in told} != {told[0]["loss"]}

    (stage,) = ckplus_stages("level3-interleaved", replace(pace, later_epochs=0))
    stage = replace(stage, branches=2, rates=stage.rates[:3])
    pools = [learnt, other]
    trainer = trainer_of(shape, [stage], lambda stage: pools, **still)
    (epoch,) = trainer.epochs()
    assert epoch.training.ensemble == {}, "no face was seen by all"
    for number, pool in enumerate(pools):
        alone = trainer.judge(trainer.network, pool).branches[number]
        assert epoch.training.branches[number] == pytest.approx(alone, abs=1e-2)


def test_branches_in_turn_learn_from_their_own_images_only() -> None:
    shape = replace(tiny_wild(), affect=False, branches=2)
    pace = replace(ProtocolConfig().pace, epochs=1, later_epochs=0, lr=0.05)
    (stage,) = (replace(s, epochs=1) for s in ckplus_stages("level3-interleaved", pace))
    stage = replace(stage, branches=2, rates=stage.rates[:3])

    def outcome(second: FacePool) -> dict[str, torch.Tensor]:
        trainer = trainer_of(shape, [stage], lambda stage: [faces(8), second])
        list(trainer.epochs())
        return trainer.network.state_dict()

    one, other = outcome(faces(8, 100)), outcome(faces(8, 200))
    # One batch each, branch 1 first: it cannot know what branch 2 will see.
    same = {name for name in one if torch.equal(one[name], other[name])}
    assert {name for name in one if name.startswith("branches.0.")} <= same
    # A bias before a batch norm moves by rounding only.
    assert not any(name.startswith(("branches.1.features.0.conv.w", "base.0.conv.w")) for name in same)


def test_losses_of_branches_are_summed_and_affect_is_a_root_mean_square() -> None:
    network = ESR(tiny_wild()).eval()
    output = network(torch.rand(6, 3, 32, 32))
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    losses = Emotions().loss(output, labels, ALONE)
    assert losses.shape == (3,)
    assert losses[1].item() == pytest.approx(
        torch.nn.functional.cross_entropy(output.logits[:, 1], labels).item()
    )
    wanted = torch.rand(6, 2) * 2 - 1
    affect = output.affect.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(
        Affect().loss(output._replace(affect=affect), wanted, ALONE).sum(), affect
    )
    again = affect.detach().clone().requires_grad_()
    root = (again - wanted[:, None]).square().mean(0).sqrt().sum(1)
    (expected,) = torch.autograd.grad(root.sum(), again)
    torch.testing.assert_close(Affect().loss(output, wanted, ALONE), root)
    torch.testing.assert_close(gradient, expected)


def test_paired_t_test_against_known_values() -> None:
    # Student's sleep data (1908): t = -4.0621, p = 0.002833 with 9 degrees of freedom.
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    test = paired_t_test(one, other)
    assert (test.t, test.p, test.pairs) == (
        pytest.approx(-4.0621, abs=1e-4),
        pytest.approx(0.002833, abs=1e-6),
        10,
    )
    assert test.difference == pytest.approx(-1.58)
    assert two_sided_p(2.262157, 9) == pytest.approx(0.05, abs=1e-6)
    assert two_sided_p(0.0, 9) == pytest.approx(1.0)
    assert np.isnan(paired_t_test([1, 2, 3], [2, 3, 4]).p)
    with pytest.raises(ValueError, match="two or more pairs"):
        paired_t_test([1.0], [2.0])


KINDS = {
    "affectnet-discrete": AffectNetDiscreteConfig,
    "affectnet-continuous": AffectNetContinuousConfig,
    "ferplus-paper": FerPlusPaperConfig,
    "ckplus": CkPlusConfig,
}


@pytest.mark.parametrize("path", sorted((RECIPES / "paper").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_are_the_published_settings(path: Path) -> None:
    kind = next(kind for name, kind in KINDS.items() if path.stem.startswith(name))
    recipe = load_recipe(path, kind)
    start = recipe.init if kind is not CkPlusConfig else None
    rows = {"variants": recipe.variants} if isinstance(recipe, CkPlusConfig) else {}
    assert recipe == replace(kind(init=start), **rows)


def test_there_is_a_recipe_for_every_published_row() -> None:
    stems = {path.stem for path in (RECIPES / "paper").glob("*.yaml")}
    assert stems >= {"affectnet-discrete", "affectnet-continuous", "ferplus-paper", "ckplus-table"}
    assert {f"ckplus-{row}" for row in ("single", "ensemble", "level3", "level4")} <= stems
    table = load_recipe(RECIPES / "paper" / "ckplus-table.yaml", CkPlusConfig)
    assert set(table.variants) == {"single", "ensemble", "level3-varied", "level4-varied"}


def test_settings_survive_their_file_and_wrong_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    config = CkPlusConfig(variants=("single", "level2-fixed"), trials=(3,), lr=0.05)
    save_recipe(config, path)
    assert load_recipe(path, CkPlusConfig) == config
    changed = override(config, ["augmentation.scale=[1, 1.5]", "lr=1e-3", "precision=bf16"])
    assert (changed.augmentation.scale, changed.lr, changed.precision) == ((1.0, 1.5), 0.001, "bf16")
    for text, reason in (
        ("lrr: 1", "unknown setting 'lrr': did you mean 'lr'"),
        ("lr: fast", "lr: expected a number, got 'fast'"),
        ("batch: 3.5", "batch: expected a whole number, got 3.5"),
        ("augmentation: {scale: [1]}", "scale: expected a list of 2"),
        ("- 1", "expected settings by name"),
        ("a: [", "not a YAML file"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=reason):
            load_recipe(path, CkPlusConfig)
    with pytest.raises(DataError, match="NAME=VALUE"):
        override(config, ["augmentation.blur=3"])
    with pytest.raises(InputError, match="unknown variant 'level9-fixed'"):
        override(config, ["variants=[level9-fixed]"])


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match="do not fit"):
        take_weights(ESR(tiny_wild()), ESR(esr_lab(3)))


@pytest.mark.parametrize(
    ("assignment", "wanted"),
    [
        ("epochs=0", "epochs: expected at least 1, got 0"),
        ("validate_every=0", "validate_every: expected at least 1"),
        ("decay_every=0", "decay_every: expected at least 1"),
        ("seed=-5", "seed: expected at least 0"),
        ("lr=.nan", "lr: expected a number above 0, got nan"),
        ("lr=0", "lr: expected a number above 0"),
        ("momentum=-1", "momentum: expected a number from 0 to below 1"),
        ("input_std=0", "input_std: expected a number above 0"),
        ("precision=fp99", "unknown precision 'fp99': did you mean 'fp32'"),
        ("augmentation.scale=[2, 1]", r"augmentation.scale: expected two numbers above 0 in order"),
        ("augmentation.mirror=.nan", "augmentation.mirror: expected a number from 0 to 1"),
        ("neutral=third", "unknown neutral frame 'third'"),
        ("trials=[12]", "trials: CK+ has those from 0 to 9"),
        ("variants=[]", "name at least one variant"),
    ],
)
def test_settings_out_of_range_are_named(assignment: str, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted.replace("+", r"\+")):
        override(CkPlusConfig(), [assignment])


def test_a_network_without_colours_sees_coloured_faces_grey() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
    given = unchanged(torch.from_numpy(pixels), 48)
    seen = as_input(given, 1, ProtocolConfig(input_std=1.0))
    expected = np.stack([cv2.cvtColor(face, cv2.COLOR_RGB2GRAY) for face in pixels])
    assert seen.shape == (4, 1, 48, 48)
    assert np.abs(seen[:, 0].numpy() - expected).max() <= 0.51


def test_curves_of_training_are_dashed_and_those_of_validation_solid() -> None:
    flat, rising = [(1.0, 0.2), (60.0, 0.2)], [(1.0, 0.8), (60.0, 0.8)]
    picture = draw_curves([Panel("accuracy", {"branch 1": flat}, {"branch 1": rising})], "Stage 1")
    colour = np.array(COLORS[0])
    inked = (np.asarray(picture)[:, LEFT + 20 : WIDTH - RIGHT - 20] == colour).all(axis=2)
    shares = sorted(share for share in inked.mean(axis=1) if share > 0.2)
    assert len(shares) == 3, "a thin line and one that is twice as thick"
    assert shares[0] == pytest.approx(DASH / (DASH + GAP), abs=0.1)
    assert shares[1:] == [1.0, 1.0]
