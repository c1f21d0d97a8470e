"""Training on drawn faces: it learns, it can be killed, and it refuses what does not fit."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn import write_ferplus

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # tiny networks: a second thread would only wait

from esrface.datasets.augment import Augmentation, augment, plain_view  # noqa: E402
from esrface.datasets.degrade import Degradation  # noqa: E402
from esrface.datasets.ferplus import held_out_images, load_ferplus, pixel_hashes  # noqa: E402
from esrface.emotions import EMOTIONS  # noqa: E402
from esrface.errors import DataError  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.training.config import TrainConfig, load_config  # noqa: E402
from esrface.training.ferplus import (  # noqa: E402
    METRICS,
    build_network,
    held_out_faces,
    train_ferplus,
    training_faces,
)
from esrface.training.loss import ensemble_loss, log_prior, map_similarity, rare_weights  # noqa: E402
from esrface.training.run import members  # noqa: E402
from esrface.training.share import CANDIDATES, choose_share  # noqa: E402
from esrface.training.teacher import WEIGHTS, call_teachers, load_network  # noqa: E402
from esrface.training.trainer import FaceSet, Trainer, learning_rate_share  # noqa: E402

STILL = Augmentation(
    rotation_deg=0, scale_log=0, shift=0, shear=0, contrast=(1, 1), brightness=0, erase_probability=0
)
SHORT = TrainConfig(
    network="tiny", epochs=10, batch=8, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", augmentation=STILL,
)  # fmt: skip


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that train in seconds, known by the names ``tiny`` and ``tiny-limbs``."""

    def tiny() -> NetworkConfig:
        base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
        return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), dropout=0.1)

    def tiny_limbs() -> NetworkConfig:
        shape = tiny()
        limb = (Conv(16, padding=(1, 1)),)
        return replace(shape, name="tiny-limbs", limb=limb, limbs=3, branch=(Conv(16),))

    monkeypatch.setitem(NETWORKS, "tiny", tiny)

    def tiny_views() -> NetworkConfig:
        return replace(tiny_limbs(), name="tiny-views", mirrored=(1,))

    monkeypatch.setitem(NETWORKS, "tiny-limbs", tiny_limbs)
    monkeypatch.setitem(NETWORKS, "tiny-views", tiny_views)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "zip", "train", ["Happy", "Sad", "Surprise"] * 21 + ["NF"], first_seed=100)
    write_ferplus(root, "zip", "valid", ["Happy", "Sad", "Surprise"] * 6, first_seed=500)
    return root


def curve(run: Path) -> list[dict[str, str]]:
    with (run / METRICS).open(newline="") as file:
        return [
            {k: v for k, v in row.items() if k not in ("seconds", "images_per_s")}
            for row in csv.DictReader(file)
        ]


def test_it_learns_and_a_killed_run_goes_on_as_if_nothing_had_happened(data: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    config = replace(SHORT, mixup=0.2, degradation=Degradation(blur_probability=0.2, noise_probability=0.2))
    train_ferplus(data, whole, config)

    def kill(epoch: int, done: int, _total: int) -> None:
        if epoch == 2 and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ferplus(data, torn, config, progress=kill)
    assert len(curve(torn)) == 1
    assert not (torn / WEIGHTS).exists()
    train_ferplus(data, torn, config, resume=True)
    assert curve(torn) == curve(whole)
    assert (torn / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    losses = [float(row["loss"]) for row in curve(whole)]
    assert losses[-1] < 0.5 * losses[0]
    assert float(curve(whole)[-1]["accuracy_mirror"]) > 0.8
    assert not list(tmp_path.rglob("*.part"))


def test_a_finished_run_is_not_trained_again_where_its_checkpoint_is_gone(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_ferplus(data, run, replace(SHORT, epochs=1))
    (run / "checkpoint.pt").unlink()
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert train_ferplus(data, run, replace(SHORT, epochs=1), resume=True) == run / WEIGHTS
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_finished_run_can_teach_and_give_its_base(data: Path, tmp_path: Path) -> None:
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    train_ferplus(data, teacher, replace(SHORT, epochs=6))
    taught = replace(SHORT, epochs=1, init=str(teacher), teachers=(str(teacher),), teacher_share=1.0)
    train_ferplus(data, student, taught)
    base = load_network(teacher, load_config(teacher / "config.yaml")).base.state_dict()
    moved = load_network(student, load_config(student / "config.yaml")).base.state_dict()
    weights = "0.conv.weight"
    assert not torch.equal(moved[weights], base[weights])
    assert (moved[weights] - base[weights]).abs().max() < 0.1  # one short epoch away, not a new start
    alone = tmp_path / "alone"
    train_ferplus(data, alone, replace(taught, teachers=()))
    assert curve(alone)[0]["loss"] != curve(student)[0]["loss"]
    with pytest.raises(DataError, match=r"nowhere.config\.yaml: No such file"):
        train_ferplus(data, tmp_path / "lost", replace(SHORT, teachers=(str(tmp_path / "nowhere"),)))


def test_branches_go_on_from_a_run_of_the_same_network_only(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_ferplus(data, run, replace(SHORT, epochs=1))
    earlier = load_network(run, load_config(run / "config.yaml")).state_dict()
    faces = training_faces(data)
    config = replace(SHORT, init=str(run), init_branches=True, seed=2)
    grown = build_network(config, faces).state_dict()
    assert all(torch.equal(grown[name], tensor) for name, tensor in earlier.items())
    anew = build_network(replace(config, init_branches=False), faces).state_dict()
    name = "branches.0.classifier.weight"
    assert not torch.equal(anew[name], earlier[name])
    with pytest.raises(DataError, match="its network is tiny, and only branches of such a one"):
        build_network(replace(config, network="esr9-small"), faces)
    with pytest.raises(DataError, match="init is None"):
        build_network(replace(config, init=None), faces)


def test_limbs_of_several_runs_go_on_as_one_network_on_the_mean_of_their_bases(
    data: Path, tmp_path: Path
) -> None:
    runs = [tmp_path / name for name in ("one", "other")]
    for seed, run in enumerate(runs):
        train_ferplus(data, run, replace(SHORT, network="tiny-limbs", epochs=1, seed=seed))
    one, other = (load_network(run, load_config(run / "config.yaml")).state_dict() for run in runs)
    # A network of the same layers may look at the picture in another way.
    config = replace(SHORT, network="tiny-views", init=f"{runs[0]}+{runs[1]}", init_branches=True, seed=2)
    with pytest.raises(DataError, match=r"init names several runs .* set init_branches in a recipe"):
        build_network(replace(config, init_branches=False), training_faces(data))
    grown = build_network(config, training_faces(data)).state_dict()
    for name, tensor in grown.items():
        part, number = name.split(".")[:2]
        if part == "base":
            if tensor.is_floating_point():
                torch.testing.assert_close(tensor, (one[name] + other[name]) / 2)
            continue
        limb = int(number) if part == "limbs" else int(number) // 3
        assert torch.equal(tensor, (one, other, one)[limb][name]), name
    with pytest.raises(DataError, match="init names 4 runs, of which at most 3 can go on as one"):
        build_network(replace(config, init="+".join(map(str, runs * 2))), training_faces(data))
    with pytest.raises(DataError, match="its network is tiny-limbs, and only branches of such a one"):
        build_network(replace(config, network="tiny"), training_faces(data))


def test_where_nothing_but_branches_is_apart_each_comes_from_the_next_run(data: Path, tmp_path: Path) -> None:
    runs = [tmp_path / name for name in ("one", "other")]
    for seed, run in enumerate(runs):
        train_ferplus(data, run, replace(SHORT, epochs=1, seed=seed))
    one, other = (load_network(run, load_config(run / "config.yaml")).state_dict() for run in runs)
    config = replace(SHORT, init=f"{runs[0]}+{runs[1]}", init_branches=True)
    grown = build_network(config, training_faces(data)).state_dict()
    torch.testing.assert_close(
        grown["base.0.conv.weight"], (one["base.0.conv.weight"] + other["base.0.conv.weight"]) / 2
    )
    for number in range(9):
        name = f"branches.{number}.classifier.weight"
        assert torch.equal(grown[name], (one, other)[number % 2][name])


def test_a_start_whose_name_holds_a_plus_is_one_start(tmp_path: Path) -> None:
    archive = tmp_path / "c++" / "features.tgz"
    assert members(str(archive)) == [f"{tmp_path}/c", "", "/features.tgz"]
    archive.parent.mkdir()
    archive.touch()
    assert members(str(archive)) == [str(archive)]


def first_views(data: Path, config: TrainConfig) -> torch.Tensor:
    """What a teacher sees of the first batch, (N, 1, S, S) in 0-255."""
    seen: list[torch.Tensor] = []

    def teacher(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels.clone())
        return torch.full((len(pixels), len(EMOTIONS)), 1 / len(EMOTIONS))

    faces = training_faces(data)
    trainer = Trainer(build_network(config, faces), faces, config, torch.device("cpu"), [teacher])
    next(trainer.epochs())
    return seen[0]


def test_teachers_see_faces_before_they_become_worse_pictures_but_mixtures_as_they_are(data: Path) -> None:
    plain = first_views(data, SHORT)
    noisy = replace(SHORT, degradation=Degradation(noise_probability=1.0, noise_deviation=(0.2, 0.3)))
    assert torch.equal(first_views(data, noisy), plain)
    mixed, other = first_views(data, replace(SHORT, mixup=1.0)), plain.roll(1, 0)
    # Each mixture is its own face and a share of up to a half of another one.
    share = ((mixed - plain) * (other - plain)).sum((1, 2, 3)) / (other - plain).square().sum((1, 2, 3))
    assert (share > 0).all()
    assert (share <= 0.5).all()
    assert share.std() > 0.05
    assert torch.allclose(mixed, plain.lerp(other, share.view(-1, 1, 1, 1)), atol=1e-2)


def pictures_of_each_epoch(data: Path, config: TrainConfig) -> list[torch.Tensor]:
    """What the network sees first in every epoch, (N, C, S, S)."""
    faces = training_faces(data)
    trainer = Trainer(build_network(config, faces), faces, config, torch.device("cpu"))
    seen: list[torch.Tensor] = []
    trainer.network.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    steps = len(faces) // config.batch
    list(trainer.epochs())
    return seen[::steps]


def test_pictures_grow_over_the_schedule_and_become_worse_at_its_end(data: Path) -> None:
    growing = replace(SHORT, epochs=7, early_sizes=(32, 40))
    plain = pictures_of_each_epoch(data, growing)
    assert [x.shape[-1] for x in plain] == [32, 32, 32, 40, 40, 48, 48]
    noisy = replace(growing, degradation=Degradation(noise_probability=1.0, noise_deviation=(0.2, 0.3)))
    late = pictures_of_each_epoch(data, replace(noisy, degrade_from=0.7))
    assert [torch.equal(a, b) for a, b in zip(plain, late, strict=True)] == [True] * 5 + [False] * 2
    assert not torch.equal(pictures_of_each_epoch(data, noisy)[0], plain[0])


def test_a_run_goes_on_at_the_size_where_it_was_killed(data: Path, tmp_path: Path) -> None:
    worse = Degradation(blur_probability=0.5, noise_probability=0.5)
    config = replace(SHORT, epochs=3, early_sizes=(32, 40), degradation=worse, degrade_from=0.5)
    train_ferplus(data, tmp_path / "whole", config)

    def kill(epoch: int, done: int, _total: int) -> None:
        if epoch == 3 and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_ferplus(data, tmp_path / "torn", config, progress=kill)
    train_ferplus(data, tmp_path / "torn", config, resume=True)
    assert curve(tmp_path / "torn") == curve(tmp_path / "whole")


@pytest.mark.parametrize("side", [-1, 0, 16])
def test_a_size_that_the_network_cannot_take_is_refused(data: Path, tmp_path: Path, side: int) -> None:
    with pytest.raises(DataError, match=f"early_sizes: the network takes no pictures of side {side}"):
        train_ferplus(data, tmp_path / "run", replace(SHORT, early_sizes=(48, side)))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name", [METRICS, WEIGHTS, "model.onnx", "card.json", "checkpoint.pt", "report.html"]
)
def test_a_run_replaces_nobodys_files(data: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    for resume in (False, True):
        with pytest.raises(DataError, match=f"a run would replace the {name} there; choose another --out"):
            train_ferplus(data, tmp_path, SHORT, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_limbs_start_where_they_are_told_and_each_has_its_teacher(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = NETWORKS["tiny"]()
    tree = replace(whole, name="tree", base=whole.base[:2], limb=whole.base[2:], limbs=3)
    monkeypatch.setitem(NETWORKS, "tree", lambda: tree)
    first, second = tmp_path / "first", tmp_path / "second"
    for run, seed in ((first, 1), (second, 2)):
        train_ferplus(data, run, replace(SHORT, epochs=1, seed=seed))
    starts = (str(first), str(second), str(first))
    still = replace(SHORT, network="tree", init=str(second), limb_init=starts, epochs=1, lr=0.0)
    taught = replace(still, teachers=(str(first), "votes"), teacher_share=1.0)
    grown = build_network(taught, training_faces(data))
    sources = {run: load_network(Path(run), load_config(Path(run) / "config.yaml")) for run in starts}
    name = "conv.weight"
    assert torch.equal(grown.base[0].conv.weight, sources[str(second)].base[0].conv.weight)
    for limb, run in zip(grown.limbs, starts, strict=True):
        assert torch.equal(limb[0].state_dict()[name], sources[run].base[2].state_dict()[name])
    train_ferplus(data, tmp_path / "tree", taught)
    train_ferplus(data, tmp_path / "untaught", still)
    losses = [float(curve(tmp_path / run)[0]["loss"]) for run in ("tree", "untaught")]
    assert losses[0] != losses[1]
    with pytest.raises(DataError, match="2 starts for 3 limbs"):
        build_network(replace(still, limb_init=starts[:2]), training_faces(data))
    with pytest.raises(DataError, match="not those that this network begins with"):
        build_network(replace(still, network="esr9-small", limb_init=()), training_faces(data))


def test_a_run_that_is_there_is_not_overwritten_nor_resumed_with_another_configuration(
    data: Path, tmp_path: Path
) -> None:
    once = replace(SHORT, epochs=1)
    train_ferplus(data, tmp_path / "run", once)
    with pytest.raises(DataError, match="--resume"):
        train_ferplus(data, tmp_path / "run", once)
    with pytest.raises(DataError, match=r"another configuration \(batch 8 != 4\)"):
        train_ferplus(data, tmp_path / "run", replace(once, batch=4), resume=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(DataError, match="not a checkpoint"):
        train_ferplus(data, tmp_path / "run", once, resume=True)


def test_a_hostile_checkpoint_is_not_unpickled(data: Path, tmp_path: Path) -> None:
    once = replace(SHORT, epochs=1)
    train_ferplus(data, tmp_path / "run", once)
    torch.save({"epoch": Path("/")}, tmp_path / "run" / "checkpoint.pt")  # an object, not data
    with pytest.raises(DataError, match="not a checkpoint"):
        train_ferplus(data, tmp_path / "run", once, resume=True)


def test_copies_of_validation_images_and_images_without_label_are_left_out(tmp_path: Path) -> None:
    write_ferplus(tmp_path, "microsoft", "train", ["Happy"] * 5 + ["unknown"], first_seed=10)
    write_ferplus(tmp_path, "microsoft", "valid", ["Happy"] * 3, first_seed=12)
    faces = training_faces(tmp_path)
    assert len(faces) == 2
    train = load_ferplus(tmp_path, "train")
    np.testing.assert_array_equal(faces.pixels.numpy(), train.pixels[:2])


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"epoch 1, step \d+: lower --lr"):
        train_ferplus(data, tmp_path / "run", replace(SHORT, lr=1e30, clip_norm=1e30))
    # Nothing was learnt that could be gone on with, so the place is free for another try.
    assert not (tmp_path / "run").exists()
    train_ferplus(data, tmp_path / "run", replace(SHORT, epochs=1))


def test_every_branch_needs_a_strength(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 advocate strengths for 9 branches"):
        train_ferplus(data, tmp_path / "run", replace(SHORT, advocates=(0.0, 0.5)))


def test_configuration_survives_its_file(tmp_path: Path) -> None:
    config = replace(SHORT, init="x.tgz", advocates=(0.0,) * 9)
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    (tmp_path / "config.yaml").write_text("- a list")
    with pytest.raises(DataError, match="expected settings by name, got list"):
        load_config(tmp_path / "config.yaml")


def test_loss_counts_each_branch_on_its_own_bag_with_its_own_prior() -> None:
    logits = torch.zeros(2, 2, len(EMOTIONS))
    targets = torch.eye(len(EMOTIONS))[:2]
    kept = torch.tensor([[True, True], [False, True]])
    adjustment = torch.zeros(2, len(EMOTIONS))
    adjustment[1, 0] = np.log(2)
    # Branch 1 sees image 0 only, evenly: log 8. Branch 2 sees p = (2/9, 1/9, …) on both.
    expected = (np.log(8) + (np.log(9 / 2) + np.log(9)) / 2) / 2
    assert ensemble_loss(logits, targets[:, None], kept, adjustment).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_a_share_of_the_loss_is_the_ensembles_own() -> None:
    logits = torch.zeros(1, 2, len(EMOTIONS))
    logits[0, 0, 0] = np.log(7)  # p of the right answer: 7/14 and 1/8, on the mean 5/16.
    targets, kept = torch.eye(len(EMOTIONS))[:1, None], torch.ones(1, 2, dtype=torch.bool)
    alone, together = (np.log(2) + np.log(8)) / 2, np.log(16 / 5)
    for share in (0.0, 0.25, 1.0):
        loss = ensemble_loss(logits, targets, kept, torch.zeros(2, len(EMOTIONS)), joint=share)
        assert loss.item() == pytest.approx((1 - share) * alone + share * together, rel=1e-6)


def test_branches_are_alike_by_where_they_look_not_by_what_they_see() -> None:
    left, right = torch.zeros(2, 1, len(EMOTIONS), 2, 2)
    left[0, 0, :, 0], right[0, 0, :, 1] = 1, 1
    for pair, alike in (
        ((left, left), 1),
        ((left, right), -1),
        ((left, 3 * left + 5), 1),
        ((left, -right), 1),
    ):
        assert map_similarity(torch.stack(pair, dim=1)).item() == pytest.approx(alike, abs=1e-5)
    three = torch.stack([left, left, right], dim=1)
    assert map_similarity(three).item() == pytest.approx((1 - 1 - 1) / 3, abs=1e-5)
    maps = torch.randn(5, 4, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    centred = (maps - maps.mean((-2, -1), keepdim=True)).flatten(2)
    cosine = torch.nn.functional.cosine_similarity(centred[:, :, None], centred[:, None], dim=-1)
    off = cosine[:, ~torch.eye(4, dtype=torch.bool)]
    assert map_similarity(maps).item() == pytest.approx(off.mean().item(), abs=1e-6)


def test_a_penalty_keeps_branches_apart(data: Path, tmp_path: Path) -> None:
    alike = []
    for weight in (0.0, 3.0):
        config = replace(SHORT, apart=weight)
        train_ferplus(data, tmp_path / str(weight), config)
        network = load_network(tmp_path / str(weight), config)
        faces = plain_view(training_faces(data).pixels, 48, config.input_mean, config.input_std)
        with torch.no_grad():
            alike.append(map_similarity(network(faces).class_maps).item())
        assert float(curve(tmp_path / str(weight))[-1]["accuracy_mirror"]) > 0.8
    assert alike[1] < alike[0] - 0.1


def test_rare_emotions_are_drawn_more_often(data: Path) -> None:
    targets = torch.eye(len(EMOTIONS))[torch.tensor([0] * 400 + [1] * 100 + [2])]
    weights = rare_weights(targets)
    assert weights[[0, 400, 500]].tolist() == pytest.approx([1, 2, 4])
    faces = FaceSet(torch.zeros(501, 48, 48, dtype=torch.uint8), targets)
    network = build_network(SHORT, training_faces(data))
    seen: list[int] = []
    for rare in (False, True):
        trainer = Trainer(network, faces, replace(SHORT, epochs=1, rare=rare), torch.device("cpu"))
        order = trainer._order(1)
        assert len(order) == 501
        seen.append(int((order >= 400).sum()))
    assert seen[0] == 101
    assert 140 < seen[1] < 200  # 501 * 204 / 604 = 169


def test_rare_emotions_are_drawn_more_often_from_a_share_of_the_schedule_on(data: Path) -> None:
    faces = training_faces(data)
    deferred = replace(SHORT, epochs=3, rare=True, rare_from=0.66)
    plain, rare, late = (
        Trainer(build_network(SHORT, faces), faces, config, torch.device("cpu"))
        for config in (SHORT, replace(SHORT, rare=True), deferred)
    )
    assert not torch.equal(plain._order(1), rare._order(1))
    for late.done, like in ((0, plain), (1, plain), (2, rare)):
        assert torch.equal(late._order(1), like._order(1))


def test_learning_rate_rises_then_falls_to_nothing() -> None:
    shares = [learning_rate_share(step, 10, 110) for step in range(111)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[10] == pytest.approx(1.0)
    assert shares[60] == pytest.approx(0.5)
    assert shares[110] == pytest.approx(0.0)
    assert np.argmax(shares) in (9, 10)


def test_augmentation_of_no_strength_is_the_face_or_its_mirror_image() -> None:
    pixels = torch.randint(
        0, 256, (40, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    views = augment(pixels, 96, STILL, 127.5, 64.0, torch.Generator().manual_seed(1))
    plain = plain_view(pixels, 96, 127.5, 64.0)
    same = [torch.allclose(view, face, atol=1e-3) for view, face in zip(views, plain, strict=True)]
    mirrored = [
        torch.allclose(view, face.flip(-1), atol=1e-3) for view, face in zip(views, plain, strict=True)
    ]
    assert all(a != b for a, b in zip(same, mirrored, strict=True))
    assert 8 < sum(same) < 32


def test_augmentation_is_random_by_its_generator_only_and_stays_in_range() -> None:
    pixels = torch.randint(0, 256, (64, 48, 48), dtype=torch.uint8)
    one, two, other = (
        augment(pixels, 60, Augmentation(), 0.0, 1.0, torch.Generator().manual_seed(seed))
        for seed in (3, 3, 4)
    )
    assert torch.equal(one, two)
    assert not torch.allclose(one, other)
    assert one.shape == (64, 1, 60, 60)
    assert one.min() >= 0
    assert one.max() <= 255


def test_runs_that_teach_together_say_the_mean_of_what_each_says(data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second+more"
    for run, seed in ((first, 1), (second, 2)):
        train_ferplus(data, run, replace(SHORT, epochs=2, seed=seed))
    (tmp_path / "other").symlink_to(second)
    faces = training_faces(data)
    views = faces.pixels[:5, None].float()
    entries = (str(first), "votes", str(second), f"{first}+{tmp_path / 'other'}")
    config = replace(SHORT, teachers=entries)
    one, votes, other, both = call_teachers(config, log_prior(faces.targets), torch.device("cpu"))
    assert votes is None
    assert not torch.allclose(one(views), other(views))
    assert torch.allclose(both(views), (one(views) + other(views)) / 2)
    assert torch.allclose(both(views).sum(dim=1), torch.ones(5))
    turned = views.flip(-1)
    assert torch.allclose(both(turned), both(views), atol=1e-5)  # teachers look at both sides
    with pytest.raises(DataError, match=r"lost.config\.yaml: No such file"):
        call_teachers(
            replace(config, teachers=(f"{first}+{tmp_path / 'lost'}",)),
            log_prior(faces.targets),
            torch.device("cpu"),
        )


def test_images_held_out_are_the_same_in_every_run_and_never_learnt_from(tmp_path: Path) -> None:
    write_ferplus(tmp_path, "zip", "train", ["Happy", "Sad", "Surprise"] * 20, first_seed=100)
    write_ferplus(tmp_path, "zip", "valid", ["Happy", "Sad"], first_seed=500)
    split = load_ferplus(tmp_path, "train")
    twice = np.concatenate([split.pixels, split.pixels[::-1]])
    chosen = held_out_images(twice, 0.3)
    assert (chosen[:60] == chosen[:59:-1]).all()  # copies go the same way
    assert 0.1 < chosen.mean() < 0.5
    assert not (held_out_images(twice, 0.1) & ~chosen).any()  # a smaller share is a part of a larger one
    kept, (held, labels) = training_faces(tmp_path, 0.3), held_out_faces(tmp_path, 0.3)
    assert len(kept) + len(held) == 60
    assert len(labels) == len(held) == chosen[:60].sum()
    assert not np.isin(pixel_hashes(held.pixels), pixel_hashes(kept.pixels.numpy())).any()
    with pytest.raises(DataError, match="no training image was held out"):
        held_out_faces(tmp_path, 0)


def test_the_share_is_the_least_that_costs_no_accuracy() -> None:
    strengths = np.log(np.full((1, 8), 0.99 / 7, dtype=np.float32))
    strengths[0, 7] = np.log(0.01)
    labels = np.repeat([0, 7], [1800, 200])
    # By how much each face looks like the common emotion rather than the rare one, prior aside: none of the
    # common ones is lost once 1 is added, and the more is added, the more rare ones are.
    margin = np.concatenate([np.linspace(-1, 9, 1800), np.linspace(-8, 1.5, 200)])
    logits = np.full((2000, 1, 8), -20, dtype=np.float32)
    logits[:, 0, 0], logits[:, 0, 7] = margin, 0
    reach = float(strengths[0, 0] - strengths[0, 7])
    share = choose_share(logits + strengths, strengths, labels)
    assert share in CANDIDATES
    assert abs(share * reach - 1) < reach / 8


def test_a_share_that_makes_no_difference_is_the_least() -> None:
    sure = 50 * np.eye(8, dtype=np.float32)[:, None]
    assert choose_share(sure, np.zeros((1, 8), np.float32), np.arange(8)) == CANDIDATES[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_learns_too_and_its_run_can_teach_on_the_cpu(data: Path, tmp_path: Path) -> None:
    worse = Degradation(blur_probability=0.2, contrast_probability=0.2, noise_probability=0.2)
    config = replace(SHORT, mixup=0.2, degradation=worse)
    train_ferplus(data, tmp_path / "run", config, device="cuda")
    assert float(curve(tmp_path / "run")[-1]["accuracy_mirror"]) > 0.8
    taught = replace(config, epochs=2, teachers=(str(tmp_path / "run"),))
    train_ferplus(data, tmp_path / "taught", taught, device="cuda")
    train_ferplus(data, tmp_path / "taught on the CPU", taught)
    with pytest.raises(DataError, match="lower --lr"):
        train_ferplus(data, tmp_path / "lost", replace(config, lr=1e30, clip_norm=1e30), device="cuda")
