"""FER+: layouts, label rules, and what is said when something is missing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from drawn import write_ferplus
from esrface.datasets.ferplus import (
    SPLIT_FOLDERS,
    has_split,
    load_ferplus,
    majority_labels,
    pixel_hashes,
    soft_labels,
)
from esrface.emotions import EMOTIONS
from esrface.errors import DataError


def votes(*rows: list[int]) -> np.ndarray:
    return np.array(rows, dtype=np.int16)


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], "Neutral"),
        ([0, 0, 10, 0, 0, 0, 0, 0, 0, 0], "Surprise"),
        ([0, 0, 0, 10, 0, 0, 0, 0, 0, 0], "Sad"),
        ([0, 0, 0, 0, 10, 0, 0, 0, 0, 0], "Anger"),
        ([0, 0, 0, 0, 0, 10, 0, 0, 0, 0], "Disgust"),
        ([0, 0, 0, 0, 0, 0, 10, 0, 0, 0], "Fear"),
        ([0, 0, 0, 0, 0, 0, 0, 10, 0, 0], "Contempt"),
        ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),  # half is no majority
        ([6, 4, 0, 0, 0, 0, 0, 0, 0, 0], "Neutral"),
        ([4, 1, 1, 1, 1, 1, 1, 0, 0, 0], "Neutral"),  # single votes are noise
        ([4, 0, 0, 0, 0, 0, 0, 0, 4, 2], None),  # unknown and NF count in the half
        ([6, 0, 0, 0, 0, 0, 0, 0, 2, 2], "Neutral"),
        ([0, 0, 0, 0, 0, 0, 0, 0, 9, 1], None),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
    ],
)
def test_majority_rule(row: list[int], label: str | None) -> None:
    expected = -1 if label is None else EMOTIONS.index(label)
    assert majority_labels(votes(row)).tolist() == [expected]


def test_soft_labels_are_the_shares_of_the_votes_that_count() -> None:
    soft = soft_labels(
        votes(
            [3, 0, 0, 6, 1, 0, 0, 0, 0, 0],  # the single vote goes
            [2, 0, 0, 0, 0, 0, 0, 0, 3, 0],  # unknown leads: left out
            [3, 0, 0, 0, 0, 0, 0, 0, 3, 0],  # a tie with unknown stays
            [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],  # nothing remains
        )
    )
    expected = np.zeros((4, 8), np.float32)
    expected[0, [EMOTIONS.index("Neutral"), EMOTIONS.index("Sad")]] = 1 / 3, 2 / 3
    expected[2, EMOTIONS.index("Neutral")] = 1
    np.testing.assert_allclose(soft, expected, rtol=1e-6)


@pytest.mark.parametrize("layout", ["original", "microsoft", "zip", "folder itself"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_layout_gives_the_same_split(tmp_path: Path, layout: str, split: str) -> None:
    itself = layout == "folder itself"
    names = write_ferplus(tmp_path, "microsoft" if itself else layout, split, ["Happy", "Disgust", "NF"])
    data = tmp_path / SPLIT_FOLDERS[split] if itself else tmp_path
    loaded = load_ferplus(data, split)
    assert loaded.names == names
    assert loaded.pixels.shape == (3, 48, 48)
    assert majority_labels(loaded.votes).tolist() == [1, 5, -1]
    other = {"valid": "train"}.get(split, "valid")
    with pytest.raises(DataError, match=f"no FER\\+ {other} split here"):
        load_ferplus(data, other)
    assert [name for name in SPLIT_FOLDERS if has_split(data, name)] == [split]


def test_a_listed_picture_that_is_missing_is_an_error(tmp_path: Path) -> None:
    names = write_ferplus(tmp_path, "microsoft", "valid", ["Happy", "Sad", "Fear"])
    for name in names[1:]:
        (tmp_path / "FER2013Valid" / name).unlink()
    with pytest.raises(DataError, match=f"2 listed pictures are missing, the first is {names[1]}"):
        load_ferplus(tmp_path, "valid")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("fer0000000.png,box,1,2,3\n", "line 1 has no ten vote counts"),
        ("fer0000000.png,box,a,0,0,0,0,0,0,0,0,0\n", "line 1 has no ten vote counts"),
        ("fer0000000.png,box,inf,0,0,0,0,0,0,0,0,0\n", "line 1 has no ten vote counts"),
        ("fer0000000.png,box,99999,0,0,0,0,0,0,0,0,0\n", "line 1 has no ten vote counts"),
        ("fer0000000.png,box,-10,0,0,0,0,0,0,0,0,0\n", "line 1 has no ten vote counts"),
        ("fer\0.png,box,10,0,0,0,0,0,0,0,0,0\n", "1 listed picture is missing"),
        ("f\xe4r.png,box,10,0,0,0,0,0,0,0,0,0\n", "the label file is no UTF-8 text"),
    ],
)
def test_a_malformed_label_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    write_ferplus(tmp_path, "microsoft", "valid", ["Happy"])
    (tmp_path / "FER2013Valid" / "label.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        load_ferplus(tmp_path, "valid")


def test_a_label_file_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    write_ferplus(tmp_path, "microsoft", "valid", ["Happy", "Sad"])
    labels = tmp_path / "FER2013Valid" / "label.csv"
    labels.write_bytes(b"\xef\xbb\xbf" + labels.read_bytes())
    assert load_ferplus(tmp_path, "valid").names == ["fer0000000.png", "fer0000001.png"]


def test_a_file_that_is_no_picture_and_one_of_another_size_are_named(tmp_path: Path) -> None:
    names = write_ferplus(tmp_path, "microsoft", "valid", ["Happy"])
    picture = tmp_path / "FER2013Valid" / names[0]
    picture.write_bytes(b"no picture")
    with pytest.raises(DataError, match=f"{names[0]} is not a readable picture"):
        load_ferplus(tmp_path, "valid")


def test_a_broken_zip_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "FER2013Valid.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(DataError, match="not a readable zip"):
        load_ferplus(tmp_path, "valid")


def test_hashes_are_equal_for_exact_copies_only() -> None:
    pixels = np.zeros((3, 48, 48), np.uint8)
    pixels[2, 5, 5] = 1
    hashes = pixel_hashes(pixels)
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.skipif("ESRFACE_FERPLUS" not in os.environ, reason="needs ESRFACE_FERPLUS: a folder with FER+")
def test_real_validation_split_has_the_published_counts() -> None:
    split = load_ferplus(Path(os.environ["ESRFACE_FERPLUS"]), "valid")
    labels = majority_labels(split.votes)
    assert len(split) == 3_579
    assert np.bincount(labels[labels >= 0]).tolist() == [1180, 862, 348, 411, 60, 25, 289, 16]
