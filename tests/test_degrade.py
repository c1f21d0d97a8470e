"""Worse pictures and mixtures of training faces."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from esrface.datasets.degrade import Degradation, degrade  # noqa: E402
from esrface.training.config import TrainConfig, load_config  # noqa: E402

MEAN, STD = 127.5, 64.0


def faces(count: int = 200, side: int = 48) -> torch.Tensor:
    """Checked squares of 8 pixels with their own contrast: (N, 1, S, S) normalised."""
    squares = (torch.arange(side) // 8) % 2
    checked = (squares[:, None] ^ squares[None, :]).float() * 2 - 1
    contrast = torch.linspace(40, 100, count).view(-1, 1, 1, 1)
    return checked.expand(count, 1, side, side) * contrast / STD


def worse(settings: Degradation, seed: int = 1) -> torch.Tensor:
    return degrade(faces(), settings, MEAN, STD, torch.Generator().manual_seed(seed))


def changed(x: torch.Tensor) -> torch.Tensor:
    return (x != faces()).flatten(1).any(dim=1)


def edges(x: torch.Tensor) -> torch.Tensor:
    return (x[..., 1:] - x[..., :-1]).abs().flatten(1).amax(dim=1)


def test_nothing_happens_unless_asked() -> None:
    state = torch.Generator().manual_seed(1)
    before = state.get_state()
    assert torch.equal(degrade(faces(), Degradation(), MEAN, STD, state), faces())
    # So recipes without degradation draw the same numbers as ever.
    assert torch.equal(state.get_state(), before)


@pytest.mark.parametrize("kind", ["blur", "contrast", "noise"])
def test_about_the_asked_share_of_faces_becomes_worse(kind: str) -> None:
    share = changed(worse(Degradation(**{f"{kind}_probability": 0.3}))).float().mean()
    assert 0.2 < share < 0.4


def test_blur_softens_edges_and_keeps_the_mean_grey() -> None:
    x = worse(Degradation(blur_probability=1.0, blur_sigma=(0.02, 0.03)))
    assert (edges(x) < 0.7 * edges(faces())).all()
    assert x.mean(dim=(1, 2, 3)) == pytest.approx(faces().mean(dim=(1, 2, 3)), abs=0.05)
    assert x.shape == faces().shape


def test_stronger_blur_softens_more() -> None:
    mild = worse(Degradation(blur_probability=1.0, blur_sigma=(0.01, 0.01)))
    strong = worse(Degradation(blur_probability=1.0, blur_sigma=(0.05, 0.05)))
    assert (edges(strong) < edges(mild)).all()


def test_contrast_keeps_the_asked_share_about_the_mean() -> None:
    x = worse(Degradation(contrast_probability=1.0, contrast_left=(0.1, 0.4)))
    left = x.std(dim=(1, 2, 3)) / faces().std(dim=(1, 2, 3))
    assert left.min() >= 0.099
    assert left.max() <= 0.401
    assert left.std() > 0.03


def test_noise_has_the_asked_strength_and_stays_within_the_range_of_pixels() -> None:
    grey = torch.zeros(400, 1, 48, 48)
    settings = Degradation(noise_probability=1.0, noise_deviation=(0.05, 0.05))
    x = degrade(grey, settings, MEAN, STD, torch.Generator().manual_seed(2)) * STD / 255
    deviation = x.std(dim=(1, 2, 3))
    # Grains of two pixels, made by enlarging, are softer than single ones: half of the faces each.
    assert deviation.max() == pytest.approx(0.05, rel=0.1)
    assert (deviation > 0.045).float().mean() == pytest.approx(0.5, abs=0.15)
    assert deviation.min() > 0.02
    strong = worse(Degradation(noise_probability=1.0, noise_deviation=(0.5, 0.5))) * STD + MEAN
    assert strong.min() >= -1e-3
    assert strong.max() <= 255.001


def test_the_generator_decides_alone() -> None:
    settings = Degradation(blur_probability=0.5, contrast_probability=0.5, noise_probability=0.5)
    assert torch.equal(worse(settings, 3), worse(settings, 3))
    assert not torch.equal(worse(settings, 3), worse(settings, 4))


def test_configurations_remember_degradation_and_older_ones_have_none(tmp_path: Path) -> None:
    config = TrainConfig(mixup=0.25, degradation=Degradation(noise_probability=0.2, blur_sigma=(0.01, 0.02)))
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    text = (tmp_path / "config.yaml").read_text()
    older = text[: text.index("degradation:")].replace("mixup: 0.25\n", "")
    (tmp_path / "config.yaml").write_text(older)
    assert load_config(tmp_path / "config.yaml") == TrainConfig()
