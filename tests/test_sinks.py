"""Every writer of results: formats to the letter, nothing lost, nothing half done, runs that go on."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import PIL.Image
import pytest

from esrface.errors import OutputError
from esrface.results import Box, Face
from esrface.rows import columns
from esrface.sinks import AnnotatedPictures, CsvRows, JsonlRows, OriginalCsv, Picture, RunSettings, Sink
from esrface.sinks.original_csv import original_header
from made_faces import make_face

SETTINGS = RunSettings({"model": "m", "mirror": False, "vote": "mean"})
OTHER = RunSettings({"model": "m", "mirror": True, "vote": "mean"})
ROW_SINKS = [pytest.param(CsvRows, id="csv"), pytest.param(JsonlRows, id="jsonl")]

RowSinkType = Callable[..., CsvRows | JsonlRows]


def frame(name: str, faces: Sequence[Face] = (), *, image: bool = False) -> Picture:
    pixels = np.full((60, 80, 3), 200, dtype=np.uint8) if image else None
    return Picture(name, PurePath(PurePath(name).name), (80, 60), list(faces), pixels)


def write(sink: Sink, *frames: Picture) -> list[str]:
    """Write what the sink wants; returns the sources written."""
    written = []
    with sink:
        for each in frames:
            if sink.wants(each.source, each.place):
                sink.write(each)
                written.append(each.source)
    return written


def two_faces() -> list[Face]:
    return [make_face("Happy"), make_face("Fear", box=Box(1, 2, 30, 40))]


# Rows


def test_csv_is_what_any_reader_expects(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    write(CsvRows(path, SETTINGS, abstain_below=0.8), frame('a,"b"\nc.jpg', two_faces()), frame("empty.jpg"))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert path.read_bytes().startswith((",".join(columns(abstain=True)) + "\n").encode())
    assert [row["source"] for row in rows] == ['a,"b"\nc.jpg', 'a,"b"\nc.jpg', "empty.jpg"]
    assert [row["face"] for row in rows] == ["0", "1", ""]
    assert (rows[0]["x0"], rows[0]["confidence"], rows[0]["abstained"]) == ("10", "0.75", "true")
    assert set(rows[2].values()) == {"empty.jpg", "0", ""}


def test_jsonl_has_one_object_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(JsonlRows(path, SETTINGS, branches=9), frame("ä.jpg", two_faces()), frame("empty.jpg"))
    lines = path.read_text(encoding="ascii").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [list(row) for row in rows] == [list(columns(branches=9))] * 3
    assert rows[0]["source"] == "ä.jpg"
    assert (rows[1]["face"], rows[1]["b1_emotion"], rows[1]["time_s"]) == (1, "Fear", None)
    assert rows[2]["emotion"] is None
    assert ", " not in lines[0]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_names_that_are_no_utf8_are_kept_and_recognised(kind: RowSinkType, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    path = tmp_path / "rows"
    write(kind(path, SETTINGS), frame(name), frame("b.jpg"))
    path.read_text(encoding="utf-8")
    assert write(kind(path, SETTINGS, mode="resume"), frame(name), frame("b.jpg"), frame("c.jpg")) == [
        "b.jpg",
        "c.jpg",
    ]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_the_record_beside_the_file_names_schema_columns_and_settings(
    kind: RowSinkType, tmp_path: Path
) -> None:
    write(kind(tmp_path / "rows", SETTINGS), frame("a.jpg"))
    record = json.loads((tmp_path / "rows.meta.json").read_text(encoding="utf-8"))
    assert record == {"schema_version": 1, "columns": list(columns()), "settings": dict(SETTINGS.values)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows", "rows.meta.json"]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_an_existing_file_is_refused_or_replaced(kind: RowSinkType, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    write(kind(path, SETTINGS), frame("a.jpg", two_faces()))
    before = path.read_bytes()
    with pytest.raises(
        OutputError, match=r"exists already \(--overwrite replaces it, --resume goes on with it\)"
    ):
        write(kind(path, SETTINGS), frame("b.jpg"))
    assert path.read_bytes() == before
    write(kind(path, OTHER, mode="overwrite"), frame("b.jpg"))
    assert b"a.jpg" not in path.read_bytes()
    assert write(kind(path, OTHER, mode="resume"), frame("c.jpg")) == ["c.jpg"]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_a_run_killed_anywhere_goes_on_to_the_same_file(kind: RowSinkType, tmp_path: Path) -> None:
    """Cut a finished file at every 97th byte, as kill -9 may, and resume: the result must not differ."""
    frames = [
        frame("a.jpg", two_faces()),
        frame('new\nline"s.jpg'),
        frame("c.jpg", two_faces() * 2),
        frame("d.jpg"),
    ]
    whole = tmp_path / "whole"
    write(kind(whole, SETTINGS), *frames)
    expected = whole.read_bytes()
    path = tmp_path / "cut"
    write(kind(path, SETTINGS), *frames)
    for length in [*range(0, len(expected), 97), len(expected)]:
        path.write_bytes(expected[:length])
        redone = write(kind(path, SETTINGS, mode="resume"), *frames)
        assert path.read_bytes() == expected, length
        if length == len(expected):
            assert redone == ["d.jpg"], "only the last picture cannot be known to be complete"


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_a_second_run_does_not_go_on_with_what_the_first_is_writing(
    kind: RowSinkType, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    with kind(path, SETTINGS) as first:
        for name in ("a.jpg", "b.jpg"):
            with pytest.raises(OutputError, match="another run is writing it just now"):
                write(kind(path, SETTINGS, mode="resume"), frame(name))
            assert first.wants(name, PurePath(name))
            first.write(frame(name))
    assert write(kind(path, SETTINGS, mode="resume"), *map(frame, ("a.jpg", "b.jpg", "c.jpg")))[-1] == "c.jpg"
    assert [path.read_bytes().count(name) for name in (b"a.jpg", b"b.jpg", b"c.jpg")] == [1, 1, 1]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_resuming_starts_where_there_is_nothing_and_takes_new_pictures(
    kind: RowSinkType, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    assert write(kind(path, SETTINGS, mode="resume"), frame("a.jpg")) == ["a.jpg"]
    assert write(kind(path, SETTINGS, mode="resume"), frame("b.jpg")) == ["b.jpg"]
    write(kind(path, SETTINGS, mode="resume"), frame("a.jpg"), frame("b.jpg"), frame("c.jpg"))
    assert [path.read_bytes().count(name) for name in (b"a.jpg", b"b.jpg", b"c.jpg")] == [1, 1, 1]


@pytest.mark.parametrize("kind", ROW_SINKS)
def test_resuming_refuses_other_settings_and_other_columns(kind: RowSinkType, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    write(kind(path, SETTINGS), frame("a.jpg"))
    before = path.read_bytes()
    with pytest.raises(
        OutputError, match="mirror was false and is true now; use the same options, or --overwrite"
    ):
        write(kind(path, OTHER, mode="resume"), frame("b.jpg"))
    with pytest.raises(OutputError, match="rows: --branches was not given and is now; use the same options"):
        write(kind(path, SETTINGS, mode="resume", branches=9), frame("b.jpg"))
    with pytest.raises(OutputError, match="rows: its columns are others than now"):
        write(kind(path, SETTINGS, mode="resume", emotions=("Neutral", "Happy")), frame("b.jpg"))
    write(kind(tmp_path / "more", SETTINGS, branches=9), frame("a.jpg"))
    with pytest.raises(OutputError, match="more: --branches was given and is not now"):
        write(kind(tmp_path / "more", SETTINGS, mode="resume"), frame("b.jpg"))
    path.with_name("rows.meta.json").unlink()
    with pytest.raises(OutputError, match="the record of its settings is missing"):
        write(kind(path, SETTINGS, mode="resume"), frame("b.jpg"))
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ROW_SINKS)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line_and_leaves_no_record(kind: RowSinkType) -> None:
    with pytest.raises(OutputError, match=r"^cannot write /dev/full: no space left on the device") as caught:
        write(kind(Path("/dev/full"), SETTINGS), frame("a.jpg"))
    assert "\n" not in str(caught.value)
    assert not Path("/dev/full.meta.json").exists()
    with pytest.raises(OutputError, match="cannot resume /dev/full: it is no file"):
        write(kind(Path("/dev/full"), SETTINGS, mode="resume"))


# The original's CSV


def test_the_originals_csv_to_the_letter(tmp_path: Path) -> None:
    small, big = make_face("Fear", box=Box(0, 0, 9, 9)), make_face("Happy", valence=0.5, arousal=1.5)
    with OriginalCsv(tmp_path, SETTINGS, branches=9) as sink:
        for name, faces in (("my.photo.one.jpg", [small, big]), ("nobody.png", [])):
            assert sink.wants(name, PurePath(name))
            sink.write(frame(name, faces))
    header = (
        "Timestamp(sec),Ensemble_Emotion,Ensemble_Arousal,Ensemble_Valence,Branch_0_Emotion,Branch_0_Arousal,"
        "Branch_0_Valence,Branch_1_Emotion,"
    )
    lines = (tmp_path / "my.csv").read_text(encoding="ascii").splitlines()
    assert lines[0].startswith(header)
    assert lines[0].endswith(",Branch_8_Emotion,Branch_8_Arousal,Branch_8_Valence")
    branches = ["Happy,1.0,0.5"] * 7 + ["Neutral,1.0,0.5"] * 2
    assert lines[1:] == ["0.0,Happy,1.0,0.5," + ",".join(branches)]
    assert (tmp_path / "nobody.csv").read_text(encoding="ascii").splitlines()[1:] == ["0.0" + ",None" * 30]
    assert original_header(4).count(",") == 15


def test_the_originals_arousal_is_mapped_per_branch_before_the_mean(tmp_path: Path) -> None:
    face = make_face(arousal=0.2)
    affect = face.expression.branch_affect.copy()
    affect[0, 1] = 9.0  # Clipped to 1 on its own; the mean of the raw values would be 1.18.
    mapped = Face(
        face.box, 0.9, None, type(face.expression)(**{**vars(face.expression), "branch_affect": affect})
    )
    with OriginalCsv(tmp_path, SETTINGS, branches=9) as sink:
        sink.wants("a.jpg", PurePath("a.jpg"))
        sink.write(frame("a.jpg", [mapped]))
    cells = (tmp_path / "a.csv").read_text(encoding="ascii").splitlines()[1].split(",")
    assert float(cells[2]) == pytest.approx((1 + 8 * 0.6) / 9)
    assert (cells[5], cells[8]) == ("1.0", "0.6")


def test_names_that_collide_lose_no_result(tmp_path: Path) -> None:
    places = ["a.jpg", "a.png", "A.jpg", "sub/a.jpg", "a.b.jpg", ".hidden.jpg"]
    with OriginalCsv(tmp_path, SETTINGS, branches=9) as sink:
        for place in places:
            assert sink.wants(place, PurePath(place))
            sink.write(Picture(place, PurePath(place), (9, 9), []))
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv"))
    assert found == [".hidden.jpg.csv", "A.jpg.csv", "a.b.jpg.csv", "a.csv", "a.png.csv", "sub/a.csv"]


# Annotated pictures


def test_annotated_pictures_keep_name_and_format(tmp_path: Path) -> None:
    names = {"a.JPG": "JPEG", "b.png": "PNG", "c.webp": "WEBP", "d.gif": "PNG", "stdin": "PNG"}
    with AnnotatedPictures(tmp_path, SETTINGS) as sink:
        assert sink.needs_image
        for name in names:
            assert sink.wants(name, PurePath(name))
            sink.write(frame(name, [make_face("Anger", box=Box(5, 20, 40, 55))], image=True))
    for name, form in names.items():
        path = tmp_path / (name if name not in ("d.gif", "stdin") else f"{name}.png")
        with PIL.Image.open(path) as picture:
            assert (picture.format, picture.size, picture.mode) == (form, (80, 60), "RGB")
            red = np.asarray(picture)[30, 5].astype(int)
        assert red[0] > red[1] + 40, "the frame is there in the emotion's colour"


def test_a_picture_is_never_written_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (80, 60)).save(path)
    with AnnotatedPictures(tmp_path, SETTINGS, mode="overwrite") as sink:
        with pytest.raises(OutputError, match="it is the picture itself; choose another folder"):
            sink.wants(str(path), PurePath("a.png"))
        assert sink.wants("elsewhere/b.png", PurePath("b.png"))


# Folders


@pytest.fixture(params=["original", "pictures"])
def folder_sink(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def make(folder: Path, settings: RunSettings, mode: str = "refuse") -> Sink:
        if request.param == "original":
            return OriginalCsv(folder, settings, branches=9, mode=mode)
        return AnnotatedPictures(folder, settings, mode=mode)

    return make


def test_folders_refuse_replace_and_resume(folder_sink: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    pictures = [frame(name, image=True) for name in ("a.png", "b.png")]
    assert write(folder_sink(folder, SETTINGS), pictures[0]) == ["a.png"]
    [first] = [path for path in folder.iterdir() if not path.name.startswith(".")]
    first.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"exists already \(--overwrite replaces it, --resume goes on"):
        write(folder_sink(folder, SETTINGS), pictures[0])
    left_over, of_others = folder / "sub" / ".0123456789abcdef.part", folder / "sub" / ".mine.part"
    left_over.parent.mkdir()
    left_over.write_bytes(b"half")
    of_others.write_bytes(b"not ours")
    assert write(folder_sink(folder, SETTINGS, "resume"), *pictures) == ["b.png"]
    assert of_others.exists(), "only what a killed run left behind goes"
    assert not left_over.exists()
    assert first.read_bytes() == b"mine"
    with pytest.raises(OutputError, match="mirror was false and is true now"):
        write(folder_sink(folder, OTHER, "resume"), *pictures)
    assert write(folder_sink(folder, OTHER, "overwrite"), *pictures) == ["a.png", "b.png"]
    assert first.read_bytes() != b"mine"
    assert list(tmp_path.rglob("*.part")) == [of_others]


def test_a_folder_of_mixed_settings_is_not_resumed(folder_sink: Callable[..., Any], tmp_path: Path) -> None:
    write(folder_sink(tmp_path, SETTINGS), frame("a.png", image=True))
    write(folder_sink(tmp_path, OTHER), frame("b.png", image=True))
    for settings in (SETTINGS, OTHER):
        with pytest.raises(OutputError, match="cannot resume"):
            write(folder_sink(tmp_path, settings, "resume"), frame("a.png", image=True))


def test_a_folder_that_cannot_be_made_is_one_line(folder_sink: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"^cannot write .*file/out") as caught:
        write(folder_sink(tmp_path / "file" / "out", SETTINGS))
    assert "\n" not in str(caught.value)
