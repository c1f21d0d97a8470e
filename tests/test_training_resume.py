"""Runs that are gone on with, refused or taken away: what may stand in --out, and what a recipe may say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drawn import write_ferplus
from drawn_protocols import tiny_wild, write_prepared_affectnet, write_prepared_ckplus
from drawn_sets import write_folder

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)  # tiny networks: a second thread would only wait

from esrface.cli import main  # noqa: E402
from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.datasets.ckplus import load_ckplus  # noqa: E402
from esrface.datasets.folder import refuse_among_pictures  # noqa: E402
from esrface.errors import DataError, InputError, OutputError  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.training import folder  # noqa: E402
from esrface.training.config import TrainConfig, load_config  # noqa: E402
from esrface.training.folder import FolderConfig, from_nothing, train_folder  # noqa: E402
from esrface.training.protocols.affectnet import discrete_plan  # noqa: E402
from esrface.training.protocols.ckplus import fingerprint  # noqa: E402
from esrface.training.protocols.config import (  # noqa: E402
    AffectNetDiscreteConfig,
    CkPlusConfig,
    FerPlusPaperConfig,
)
from esrface.training.protocols.ferplus_paper import ferplus_plan  # noqa: E402
from esrface.training.protocols.run import Training, train_plan  # noqa: E402
from esrface.training.protocols.trials import train_ckplus  # noqa: E402
from esrface.training.run import CONFIG, run_folder  # noqa: E402
from esrface.training.trainer import Epoch, Trainer  # noqa: E402

SHORT = FolderConfig(
    init=None, network="tiny", epochs=2, batch=4, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", augmentation=Augmentation(erase_probability=0),
)  # fmt: skip
PAPER = FerPlusPaperConfig(network="tiny-wild", branches=1, epochs=1, batch=8, cap=6, validate_every=1)


def tiny() -> NetworkConfig:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), dropout=0.1)


@pytest.fixture(scope="module", autouse=True)
def tiny_networks() -> Iterator[None]:
    """Networks that train in seconds, known by the names ``tiny`` and ``tiny-wild``."""
    NETWORKS["tiny"] = tiny  # type: ignore[index]
    NETWORKS["tiny-wild"] = tiny_wild  # type: ignore[index]
    yield
    del NETWORKS["tiny"], NETWORKS["tiny-wild"]  # type: ignore[attr-defined]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    counts = {"train": {"happy": 6, "sad": 6, "surprise": 6}, "valid": {"happy": 3, "sad": 3, "surprise": 3}}
    return write_folder(tmp_path / "pictures", counts)


def forget_pictures(run: Path) -> None:
    """Make a checkpoint one of the versions that did not keep what they were taught with."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    del state["pictures"]
    torch.save(state, run / "checkpoint.pt")


def fewer(data: Path) -> None:
    for place in ("happy", "sad", "surprise"):
        for index in (4, 5):
            (data / "train" / place / f"{index:03}.png").unlink()


def relabelled(data: Path) -> None:
    (data / "train" / "happy").rename(data / "train" / "x")
    (data / "train" / "sad").rename(data / "train" / "happy")
    (data / "train" / "x").rename(data / "train" / "sad")


def exchanged(data: Path) -> None:
    one, other = data / "train" / "happy" / "000.png", data / "valid" / "happy" / "000.png"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            fewer,
            "18 training and 9 validation pictures then, 12 training and 9 validation pictures now",
        ),
        (relabelled, "still 18 training and 9 validation pictures"),
        (exchanged, "still 18 training and 9 validation pictures"),
    ],
)
def test_a_run_is_not_gone_on_with_on_other_pictures(
    data: Path, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    run = tmp_path / "run"
    train_folder(data, run, SHORT)
    change(data)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(DataError) as caught:
        train_folder(data, run, SHORT, resume=True)
    assert str(caught.value) == (
        f"{run}: cannot resume: the pictures have changed since the run began ({said}); choose another --out"
    )
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    forget_pictures(run)
    assert train_folder(data, run, SHORT, resume=True).epochs == 2


def test_pictures_that_are_called_or_read_otherwise_are_the_same(data: Path, tmp_path: Path) -> None:
    train_folder(data, tmp_path / "run", SHORT)
    (data / "train" / "happy" / "000.png").rename(data / "train" / "happy" / "zebra.png")
    (data / "valid" / "sad").rename(data / "valid" / "Sadness")
    (data / "train" / "sad" / "unusable.png").write_bytes(b"torn")
    assert train_folder(data, tmp_path / "run", SHORT, resume=True).epochs == 2


def test_protocols_are_not_gone_on_with_on_other_pictures(tmp_path: Path) -> None:
    for split, seed in (("train", 100), ("valid", 500)):
        write_ferplus(tmp_path, "original", split, ["Happy", "Sad", "Surprise"] * 4, first_seed=seed)
    run = tmp_path / "run"
    train_plan(ferplus_plan(tmp_path, PAPER), run, PAPER, Training())
    train_plan(ferplus_plan(tmp_path, PAPER), run, PAPER, Training(resume=True))
    write_ferplus(tmp_path, "original", "train", ["Sad", "Happy", "Surprise"] * 4, first_seed=100)
    with pytest.raises(DataError, match=r"pictures have changed .* \(still 12 training and 12 validation"):
        train_plan(ferplus_plan(tmp_path, PAPER), run, PAPER, Training(resume=True))
    forget_pictures(run)
    train_plan(ferplus_plan(tmp_path, PAPER), run, PAPER, Training(resume=True))


def test_what_a_run_came_to_is_not_replaced_where_its_checkpoint_is_gone(data: Path, tmp_path: Path) -> None:
    mine, paper = tmp_path / "mine", tmp_path / "paper"
    train_folder(data, mine, SHORT)
    for split, seed in (("train", 100), ("valid", 500)):
        write_ferplus(tmp_path, "original", split, ["Happy", "Sad", "Surprise"] * 4, first_seed=seed)
    train_plan(ferplus_plan(tmp_path, PAPER), paper, PAPER, Training())
    for run, again in (
        (mine, lambda: train_folder(data, mine, SHORT, resume=True)),
        (paper, lambda: train_plan(ferplus_plan(tmp_path, PAPER), paper, PAPER, Training(resume=True))),
    ):
        (run / "checkpoint.pt").unlink()
        before = {path.name: path.read_bytes() for path in run.rglob("*.*") if path.is_file()}
        with pytest.raises(DataError) as caught:
            again()
        assert str(caught.value) == (
            f"{run}: a finished run without its checkpoint.pt cannot be gone on with; choose another --out"
        )
        assert {path.name: path.read_bytes() for path in run.rglob("*.*") if path.is_file()} == before


def test_affectnet_is_known_by_its_names(tmp_path: Path) -> None:
    config = AffectNetDiscreteConfig(network="tiny-wild", branches=1)
    plans = []
    for count in (2, 3):
        data = write_prepared_affectnet(tmp_path / str(count), {"training": count, "validation": 1})
        plans += [discrete_plan(data, config), discrete_plan(data, config)]
    marks = [plan.pictures for plan in plans]
    assert marks[0] == marks[1]
    assert marks[0] != marks[2]


def test_finished_trials_are_not_counted_with_other_pictures(tmp_path: Path) -> None:
    data, run = write_prepared_ckplus(tmp_path / "ckplus"), tmp_path / "run"
    config = CkPlusConfig(variants=("single",), trials=(0,), epochs=1, batch=12)
    train_ckplus(data, run, config, Training())
    train_ckplus(data, run, config, Training(resume=True))
    before = fingerprint(load_ckplus(data))
    for path in (data / "Emotion").rglob("*.txt"):
        path.write_text("   1.0000000e+00\n")
    assert fingerprint(load_ckplus(data)) != before
    with pytest.raises(DataError, match="the pictures have changed since the run began"):
        train_ckplus(data, run, config, Training(resume=True))


@pytest.mark.parametrize(
    "name", ["model.onnx", "card.json", "table.md", "results.csv", "metrics.csv", "networks", "curves"]
)
@pytest.mark.parametrize("resume", [False, True])
def test_protocols_replace_nothing_of_somebody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, resume: bool
) -> None:
    theirs = tmp_path / "out" / name
    theirs.mkdir(parents=True) if "." not in name else theirs.parent.mkdir()
    if "." in name:
        theirs.write_text("precious")
    for words in (
        ["ckplus"],
        ["affectnet-discrete"],
        ["affectnet-continuous", "--init", "x"],
        ["ferplus-paper", "--init", "none"],
    ):
        command = ["train", *words, "--data", "nowhere", "--out", str(tmp_path / "out"), "--threads", "1"]
        assert main([*command, *(["--resume"] if resume else [])]) == 2
        said = capsys.readouterr().err
        assert f"a run would replace the {name} there; choose another --out" in said
        assert said.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert theirs.is_dir() or theirs.read_text() == "precious"


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (b"batch: many\n", "recipe.yaml: batch: expected a whole number, got 'many'"),
        (b"\xff\xfe\x00bad", "recipe.yaml: not a YAML file"),
        (b"init: 2024-13-45\n", "recipe.yaml: not a YAML file"),
        (b"- a list\n", "recipe.yaml: expected settings by name, got list"),
        (b"epoch: 5\n", "recipe.yaml: unknown setting 'epoch': did you mean 'epochs'?"),
        (b"augmentation: {shfit: 0}\n", "augmentation: unknown setting 'shfit': did you mean 'shift'?"),
        (b"optimizer: adam\n", "recipe.yaml: unknown optimizer 'adam': did you mean 'adamw'?"),
        (b"precision: bf61\n", "recipe.yaml: unknown precision 'bf61': did you mean 'bf16'?"),
        (b"lr: .nan\n", "recipe.yaml: lr: expected a number of at least 0, got nan"),
        (b"batch: 1\n", "recipe.yaml: batch: expected at least 2, got 1"),
        (b"epochs: -1\n", "recipe.yaml: epochs: expected at least 0, got -1"),
        (b"seed: 4294967296\n", "recipe.yaml: seed: expected from 0 to 4294967295, got 4294967296"),
        (b"keep: 0\n", "recipe.yaml: keep: expected a number above 0, at most 1, got 0.0"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: bytes, said: str
) -> None:
    (tmp_path / "recipe.yaml").write_bytes(recipe)
    for kind in ("folder", "ferplus"):
        words = ["--data", "nowhere", "--out", "run", "--recipe", str(tmp_path / "recipe.yaml")]
        assert main(["train", kind, *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_recipe_may_say_a_part_and_numbers_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("lr: 1e-4\nepochs: 5\naugmentation:\n  contrast: [1, 1]\n")
    said = load_config(path, FolderConfig)
    still = replace(Augmentation(), contrast=(1.0, 1.0))
    assert said == FolderConfig(lr=1e-4, epochs=5, augmentation=still)
    assert load_config(path) == TrainConfig(lr=1e-4, epochs=5, augmentation=still)
    assert load_config(path, FolderConfig, lambda _: from_nothing()).network == "esr9-small"


def test_recipes_of_this_project_are_read() -> None:
    recipes = sorted((Path(__file__).parent.parent / "docs" / "recipes").glob("*.yaml"))
    assert recipes
    for path in recipes:
        assert load_config(path).network.startswith("esr9-")


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"patience": 0}, "patience"), ({"init": None, "epochs": 0}, "nothing to learn"), ({"lr": -1.0}, "lr")],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        FolderConfig(**settings)  # type: ignore[arg-type]


def test_what_a_recipe_leaves_out_depends_on_the_start(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[FolderConfig] = []

    def note(_data: Path, _run: Path, config: FolderConfig, **_how: object) -> None:
        seen.append(config)
        raise DataError("enough")

    monkeypatch.setattr(folder, "train_folder", note)
    (tmp_path / "recipe.yaml").write_text("epochs: 3\n")
    words = ["train", "folder", "--data", str(data), "--recipe", str(tmp_path / "recipe.yaml")]
    assert main([*words, "--init", "none"]) == 2
    assert main(words) == 2
    nothing, tuned = seen
    assert nothing == replace(from_nothing(), epochs=3)
    assert (tuned.init, tuned.lr, tuned.epochs) == (FolderConfig().init, FolderConfig().lr, 3)


@pytest.mark.parametrize("place", ["valid/mine", "train/happy/mine", "train", "validation/mine", "TEST/mine"])
def test_a_run_among_the_pictures_is_refused_before_they_are_read(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    before = sorted(data.rglob("*"))
    words = ["--data", str(data), "--out", str(data / place), "--init", "none", "--threads", "1"]
    assert main(["train", "folder", *words]) == 2
    said = capsys.readouterr().err
    assert "--out lies among the pictures and would count as a class: choose another place" in said
    assert said.count("\n") == 1
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize("place", ["valid/report", "val/report", "train/report", "elsewhere/report"])
def test_a_report_in_any_split_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (data / "valid").rename(data / "val")
    (data / "train").rename(tmp_path / "elsewhere")
    (data / "train").symlink_to(tmp_path / "elsewhere")
    out = tmp_path / place if place.startswith("elsewhere") else data / place
    assert main(["evaluate", "folder", "--data", str(data), "--out", str(out), "--split", "valid"]) == 2
    assert "--out lies among the pictures" in capsys.readouterr().err
    assert not out.exists()


def test_other_places_are_free(data: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,label,split\n")
    for out in (data, data / "report", data / "mine" / "train", tmp_path / "train", tmp_path / "valid" / "a"):
        refuse_among_pictures(out, data)
    refuse_among_pictures(tmp_path / "train" / "a", tmp_path / "table.csv")


def test_a_loss_that_is_no_number_leaves_the_place_free(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    for run in (tmp_path / "runs" / "new", tmp_path / "notes"):
        with pytest.raises(DataError, match=r"in epoch 1, step \d+: lower --lr$"):
            train_folder(data, run, replace(SHORT, lr=1e30, clip_norm=1e30))
    assert not (tmp_path / "runs").exists()
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]
    train_folder(data, tmp_path / "notes", SHORT)
    # What was begun before, and cannot go on, stays.
    for name in ("checkpoint.pt", "weights.safetensors"):
        (tmp_path / "notes" / name).unlink()
    with pytest.raises(KeyboardInterrupt):
        train_folder(data, tmp_path / "notes", SHORT, resume=True, report=stop)
    assert (tmp_path / "notes" / CONFIG).exists()


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_with_a_checkpoint_stays_whatever_happens(data: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_folder(data, tmp_path / "run", SHORT, report=stop)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        CONFIG, "metrics.csv", "checkpoint.pt",
    }  # fmt: skip


def test_settings_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*config\.yaml"):
        SHORT.save(tmp_path / "file" / CONFIG)
    with pytest.raises(OutputError), run_folder(tmp_path / "file" / "run", SHORT, resume=False):
        raise AssertionError("never begun")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["x\ny", "\x1b[31m"])
def test_an_odd_name_stays_on_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = tmp_path / name
    out.mkdir()
    shown = repr(str(out))[1:-1]
    (out / "model.onnx").touch()
    words = ["train", "folder", "--data", str(data), "--out", str(out), "--init", "none", "--threads", "1"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        f"esrface: {shown}: a run would replace the model.onnx there; choose another --out\n"
    )
    (out / "model.onnx").unlink()
    from_nothing().save(out / CONFIG)
    for more, said in (([], "a run is already there"), (["--resume"], "cannot resume with another")):
        assert main([*words, "--batch", "5", *more]) == 2
        error = capsys.readouterr().err
        assert f"{shown}: {said}" in error
        assert error.count("\n") == 1


def test_another_kind_of_run_is_not_gone_on_with(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CONFIG).write_text("later_epochs: 3\n")
    with pytest.raises(DataError, match=r"no run that can be gone on with here .*'later_epochs'"):
        train_folder(data, tmp_path / "run", SHORT, resume=True)


def test_a_loss_that_is_lost_later_says_that_another_place_is_needed(data: Path, tmp_path: Path) -> None:
    trainer: list[Trainer] = []

    def spoil(epoch: Epoch, *_: object) -> None:
        for weights in trainer[0].network.parameters():
            weights.data.fill_(float("nan"))

    with pytest.MonkeyPatch.context() as patch:
        usual = Trainer.state
        patch.setattr(Trainer, "state", lambda self: (trainer.append(self), usual(self))[1])
        with pytest.raises(DataError, match=r"in epoch 2, step 1: lower --lr and choose another --out$"):
            train_folder(data, tmp_path / "run", SHORT, report=spoil)
    assert (tmp_path / "run" / "checkpoint.pt").exists()
