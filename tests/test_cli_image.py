"""``esrface image`` as people and scripts meet it, on a small real model."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from conftest import Run
from drawn import draw, drawn_face
from esrface import Recognizer
from esrface._ordered import ordered_map
from esrface.cli import main

EXAMPLES = Path(__file__).parent.parent / "examples"


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# What is shown


def test_a_table_for_people_goes_to_stderr(
    image: Run, face_picture: NDArray[np.uint8], capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    PIL.Image.fromarray(face_picture).save("photo.png")
    PIL.Image.new("RGB", (200, 200), "white").save("wall.png")
    assert image("photo.png", "wall.png", detector=None) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    [face] = Recognizer(tiny_model)(face_picture)
    lines = shown.err.splitlines()
    assert lines[0].split() == ["Picture", "Emotion", "Confidence", "Agree", "Valence", "Arousal"]
    cells = lines[1].replace("━", "").split()
    votes = face.expression.branch_emotions.count(face.expression.emotion)
    assert cells == [
        "photo.png",
        face.expression.emotion,
        f"{face.expression.confidence * 100:.0f}%",
        f"{votes}/9",
        f"{face.expression.valence:+.2f}",
        f"{face.expression.arousal:+.2f}",
    ]
    assert lines[2].split() == ["wall.png", "no", "face"]
    assert re.fullmatch(r"2 pictures, 1 face, \d+\.\d\d s, tiny with \w+", lines[3])
    assert lines[4] == "valence and arousal are read out of the emotions (circumplex)"
    assert len(lines) == 5


def test_json_is_the_librarys_answer_one_object_a_picture_in_order(
    image: Run, face_picture: NDArray[np.uint8], capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    names = ["z photo.jpg", "wall.png", "ä.png"]
    PIL.Image.fromarray(face_picture).save(names[0], quality=95)
    PIL.Image.new("RGB", (200, 100), "white").save(names[1])
    PIL.Image.fromarray(face_picture[:400]).save(names[2])
    assert image(*names, "--json", detector=None) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.isascii()
    assert ": " not in shown.out
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [one["source"] for one in found] == names
    assert [(one["width"], one["height"]) for one in found] == [(512, 512), (200, 100), (512, 400)]
    assert {(one["schema_version"], one["model"]) for one in found} == {(1, "tiny")}
    recognizer = Recognizer(tiny_model)
    for name, one in zip(names, found, strict=True):
        assert one["faces"] == [face.to_dict() for face in recognizer(name)]
    assert [len(one["faces"]) for one in found] == [1, 0, 1]


def test_options_and_sources_come_in_any_order(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png", "-c.png"):
        draw(Path(name))
    assert image("a.png", "--json", "-i", "b.png", "--max-faces", "1", "--", "-c.png") == 0
    assert [one["source"] for one in records(capsys)] == ["b.png", "a.png", "-c.png"]


def test_folders_patterns_and_stdin(
    image: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("in/b.PNG", "in/a.png", "in/sub/c.png", "in/._a.png", "in/notes.txt"):
        draw(Path(name).with_suffix(".png")).rename(name)
    content = draw(Path("stdin.png")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert image("in", "-", "in/*.png", "--json") == 0
    assert [one["source"] for one in records(capsys)] == [
        "in/a.png",
        "in/b.PNG",
        "in/sub/c.png",
        "-",
        "in/a.png",
    ]


def test_branches_and_abstaining_show(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    assert image("a.png", "--branches", "--abstain-below", "1", "--csv", "rows.csv") == 0
    shown = capsys.readouterr().err
    assert re.search(r"^a\.png +\w+\? ", shown, re.MULTILINE)
    assert re.search(r"^  branches: \d \w+", shown, re.MULTILINE)
    assert "1 face, 1 below 1, " in shown
    with Path("rows.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert row["abstained"] == "true"
    assert row["b9_emotion"]
    assert image("a.png", "--abstain-below", "0", "--json") == 0
    assert records(capsys)[0]["faces"][0]["abstained"] is False


def test_quiet_says_nothing_but_what_failed(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    assert image("a.png", "--quiet", "-g") == 0
    assert capsys.readouterr() == ("", "")
    assert image("a.png", "none.png", "--quiet") == 2
    assert capsys.readouterr().err == "1 failure:\n  cannot read none.png: no such file or folder\n"


def test_sheets_explain_every_picture_and_resume(image: Run) -> None:
    """Faces and no faces alike have their sheets, and a second run finds them done."""
    shutil.copy(EXAMPLES / "astronaut.jpg", "a.jpg")
    PIL.Image.new("RGB", (200, 200), "white").save("blank.png")
    line = ["a.jpg", "blank.png", "--save", "out", "-b", "-g"]
    assert image(*line, detector=None) == 0
    pictures = {path.name: PIL.Image.open(path).size for path in Path("out").glob("*.*g") if path.stem}
    assert set(pictures) == {
        "a.jpg", "a.branches.png", "a.emotions.png", "blank.png", "blank.branches.png", "blank.emotions.png",
    }  # fmt: skip
    assert pictures["a.branches.png"][0] > 1000
    assert pictures["a.emotions.png"][1] > 600
    assert pictures["blank.branches.png"] == pictures["blank.emotions.png"] == (480, 120)
    before = {name: (Path("out") / name).stat().st_mtime_ns for name in pictures}
    assert image(*line, "--resume", detector=None) == 0
    assert {name: (Path("out") / name).stat().st_mtime_ns for name in pictures} == before
    assert image("a.jpg", "--save", "plain", "-b", detector=None) == 0
    assert sorted(path.name for path in Path("plain").glob("a.*")) == ["a.branches.png", "a.jpg"]


# The original's options


def test_the_originals_command_line_works(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("my.photo.png"))
    line = ["-i", "my.photo.png", "-o", "out", "-s", "3", "-np", "-f", "5", "-w", "0", "-b", "-g", "-fd", "3"]
    assert image(*line, detector=None) == 0
    shown = capsys.readouterr().err
    assert shown.count("esrface: -g and -b: pictures are drawn with --save DIR or -d only") == 1
    assert "tiny with haar" in shown
    assert Path("out/my.csv").read_text(encoding="ascii").startswith("Timestamp(sec),Ensemble_Emotion,")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--detector", "dlib"], "esrface image: unknown detector 'dlib': did you mean 'dlib-cnn'? choose"),
        (
            ["-fd", "1", "--detector", "dlib-cnn"],
            "esrface image: -fd 1 means dlib-optimized, but --detector says dlib-cnn: give one",
        ),
        (
            ["-fd", "3", "--detector", "yunet"],
            "esrface image: -fd 3 means haar, but --detector says yunet: give ",
        ),
        (["-c", "--device", "cpu"], "esrface image: -c means --device cuda, but --device says cpu: give one"),
        (
            ["--resume"],
            "esrface image: --resume continues files: name them with --csv, --jsonl, --parquet, --save or -o",
        ),
        (
            ["--csv", "x", "--resume", "--overwrite"],
            "esrface image: --overwrite starts anew and --resume contin",
        ),
        (["--csv", "x", "--jsonl", "x"], "esrface image: two outputs name the same file: give each its own"),
        (["--csv", "x", "--parquet", "x"], "esrface image: two outputs name the same file: give each its "),
        (["-", "-"], "esrface image: - can be given once only: standard input holds one picture"),
        (["--batch-norm", "running"], "esrface: batch_norm is for the original's .pt weights only"),
        (["--device", "gpu"], "esrface: unknown device 'gpu': did you mean 'cuda'? choose from cpu, cuda"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    arguments: list[str], line: str, image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    assert image("a.png", *arguments, detector=None) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(line)
    assert shown.err.count("\n") == 1


# What fails


def test_one_bad_picture_among_good_ones(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    good = draw(Path("a.png"))
    Path("cut.png").write_bytes(good.read_bytes()[:-40])
    Path("empty.jpg").write_bytes(b"")
    draw(Path("b.png"))
    PIL.Image.new("L", (300, 300)).save("large.png")
    arguments = ["a.png", "cut.png", "empty.jpg", "none.png", "b.png", "large.png", "--max-pixels", "50000"]
    assert image(*arguments, "--json", "--csv", "rows.csv") == 2
    shown = capsys.readouterr()
    assert [json.loads(line)["source"] for line in shown.out.splitlines()] == ["a.png", "b.png"]
    lines = shown.err.splitlines()
    assert lines[0] == "4 failures:"
    assert lines[1] == "  cannot read cut.png: it is cut off or damaged"
    assert lines[2] == "  cannot read empty.jpg: it is empty"
    assert lines[3] == "  cannot read none.png: no such file or folder"
    assert lines[4].startswith("  cannot read large.png: 300 x 300 pixels")
    assert len(lines) == 5
    assert Path("rows.csv").read_text(encoding="utf-8").count("\n") == 3


def test_a_lone_failure_is_one_line(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert image("none.jpg") == 2
    assert capsys.readouterr().err == "esrface: cannot read none.jpg: no such file or folder\n"


def test_a_file_that_vanishes_meanwhile_is_one_line(
    image: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        draw(Path(f"in/{number:02}.png"), number)
    Path("in/link.png").symlink_to("gone.png")
    assert image("in", "--quiet") == 2
    assert capsys.readouterr().err.splitlines() == ["1 failure:", "  cannot read in/link.png: no such file"]


def test_a_fault_of_ours_spoils_one_picture_and_not_the_run(
    image: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(Path("a.png"))
    draw(Path("b.png"))
    recognise = Recognizer.__call__

    def stumble(self: Recognizer, pixels: Any, **options: Any) -> Any:
        if len(seen) == 0:
            seen.append(1)
            raise ZeroDivisionError("half\na face")
        return recognise(self, pixels, **options)

    seen: list[int] = []
    monkeypatch.setattr(Recognizer, "__call__", stumble)
    assert image("a.png", "b.png", "--json", "--threads", "1") == 1
    shown = capsys.readouterr()
    assert [json.loads(line)["source"] for line in shown.out.splitlines()] == ["b.png"]
    assert shown.err.splitlines() == [
        "1 failure:",
        "  internal error on a.png: ZeroDivisionError: half a face (--debug shows where)",
    ]
    seen.clear()
    assert image("a.png", "b.png", "--json", "--threads", "1", "--debug") == 1
    assert "in stumble\n" in capsys.readouterr().err


def test_every_picture_of_a_strange_kind_gets_its_answer(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Handled, not refused: 16 bits, CMYK, alpha, a single pixel, an animation (which one line tells)."""
    face = PIL.Image.fromarray(drawn_face("Happy", 1)).convert("RGB")
    PIL.Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) * 257).save("deep.png")
    face.convert("CMYK").save("cmyk.jpg")
    face.convert("RGBA").save("alpha.png")
    PIL.Image.new("RGB", (1, 1)).save("pixel.png")
    face.save("moving.gif", save_all=True, append_images=[PIL.Image.new("RGB", face.size, "red")])
    names = ["deep.png", "cmyk.jpg", "alpha.png", "pixel.png", "moving.gif"]
    assert image(*names, "--json", "--min-face", "10") == 0
    shown = capsys.readouterr()
    assert [len(json.loads(line)["faces"]) for line in shown.out.splitlines()] == [1, 1, 1, 0, 1]
    assert shown.err == "esrface: moving.gif: more than one frame, the first is used\n"


# Files


def test_copies_that_an_earlier_run_drew_are_no_input(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("in/a.png"))
    assert image("in", "--save", "in/marked", "-o", "in/rows") == 0
    draw(Path("in/rows/mine.png"))
    capsys.readouterr()
    assert image("in", "--csv", "again.csv", "--overwrite") == 0
    shown = capsys.readouterr().err
    assert "2 pictures, 2 faces" in shown
    line = (
        f"esrface: {Path('in/marked')} is left out: an earlier run drew its pictures; to read them, name the"
    )
    assert shown.count(line) == 1
    assert image("in/marked", "--csv", "marked.csv") == 0
    shown = capsys.readouterr().err
    assert "1 picture, 1 face" in shown
    assert "left out" not in shown
    # Rows and pictures in one folder, rows first.
    assert image("in/a.png", "-o", "in/both", "--csv", "x.csv") == 0
    assert image("in/a.png", "-o", "in/both", "--save", "in/both", "--resume") == 0
    assert json.loads(Path("in/both/.esrface.json").read_text())["drawn"] is True


def test_an_option_without_its_value_names_the_commands_help(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--csv", "--detector"):
        assert main(["image", "a.png", option]) == 2
        line = f"esrface image: Option '{option}' requires an argument (see 'esrface image --help')\n"
        assert capsys.readouterr().err == line


def test_abstaining_goes_by_the_number_that_is_printed(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("0.png"))
    assert image("0.png", "--json") == 0
    [record] = records(capsys)
    printed = record["faces"][0]["confidence"]
    beside = float(np.nextafter(printed, 1))
    for limit, expected in ((printed, False), (beside, True)):
        assert (
            image("0.png", "--json", "--csv", "rows.csv", "--overwrite", "--abstain-below", repr(limit)) == 0
        )
        [record] = records(capsys)
        face = record["faces"][0]
        assert (face["confidence"], face["abstained"]) == (printed, expected)
        with Path("rows.csv").open(newline="") as file:
            [row] = csv.DictReader(file)
        assert row["abstained"] == str(expected).lower()


def test_all_outputs_of_one_run(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("in/a.png", "in/a.jpg", "in/sub/a.png"):
        draw(Path(name))
    outputs = ["--csv", "rows.csv", "--jsonl", "rows.jsonl", "--save", "in/marked", "-o", "in/csv"]
    for more in ([], ["--overwrite"]):
        assert image("in", *outputs, *more) == 0
        shown = capsys.readouterr().err
        assert shown.splitlines()[-1] == "written: rows.csv, rows.jsonl, in/marked, in/csv"
        assert "3 pictures, 3 faces" in shown, "what was written is not read back"
    files = sorted(path.relative_to("in").as_posix() for path in Path("in").rglob("*") if path.is_file())
    assert [name for name in files if not name.rpartition("/")[2].startswith(".")] == [
        "a.jpg",
        "a.png",
        "csv/a.csv",
        "csv/a.png.csv",
        "csv/sub/a.csv",
        "marked/a.jpg",
        "marked/a.png",
        "marked/sub/a.png",
        "sub/a.png",
    ]
    rows = list(csv.DictReader(io.StringIO(Path("rows.csv").read_text(encoding="utf-8"))))
    assert [row["source"] for row in rows] == ["in/a.jpg", "in/a.png", "in/sub/a.png"]
    lines = Path("rows.jsonl").read_text(encoding="ascii").splitlines()
    assert [json.loads(line)["source"] for line in lines] == [row["source"] for row in rows]


def test_existing_outputs_are_refused(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    draw(Path("b.png"))
    assert image("a.png", "--csv", "rows.csv", "--save", "out") == 0
    capsys.readouterr()
    assert image("a.png", "--csv", "rows.csv") == 2
    ways = "(--overwrite replaces it, --resume goes on with it)"
    assert capsys.readouterr().err == f"esrface: cannot write rows.csv: it exists already {ways}\n"
    assert image("a.png", "b.png", "--save", "out", "--json") == 2
    shown = capsys.readouterr()
    assert [json.loads(line)["source"] for line in shown.out.splitlines()] == ["b.png"]
    assert shown.err.splitlines()[1].startswith("  cannot write out/a.png: it exists already")
    assert Path("out/b.png").exists()


def test_resume_does_what_is_missing_and_refuses_other_settings(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(draw(Path(f"in/{number}.png"), number)) for number in range(5)]
    outputs = ["--csv", "rows.csv", "--save", "out"]
    assert image("in", "--csv", "whole.csv", "--quiet") == 0
    assert image(*names[:3], *outputs) == 0
    capsys.readouterr()
    assert image("in", *outputs, "--resume", "--json") == 0
    assert [one["source"] for one in records(capsys)] == names[2:]
    assert Path("rows.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert sorted(path.name for path in Path("out").glob("*.png")) == [Path(n).name for n in names]
    assert image("in", *outputs, "--resume") == 0
    assert "1 picture, 1 face, 4 pictures done before" in capsys.readouterr().err
    assert image("in", *outputs, "--resume", "--mirror") == 2
    assert capsys.readouterr().err.startswith(
        "esrface: cannot resume rows.csv: mirror was false and is true now;"
    )


def test_parquet_holds_the_same_rows_and_goes_on(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    names = [str(draw(Path(f"in/{number}.png"), number)) for number in range(4)]
    PIL.Image.new("RGB", (2, 2)).save("in/4.png")
    options = ["--branches", "--abstain-below", "0.5"]
    assert image("in", *options, "--jsonl", "rows.jsonl", "--parquet", "whole.parquet") == 0
    assert capsys.readouterr().err.splitlines()[-1] == "written: rows.jsonl, whole.parquet"
    table = pyarrow.parquet.read_table("whole.parquet")
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text(encoding="ascii").splitlines()]
    assert [_float32(row) for row in table.to_pylist()] == [_float32(row) for row in rows]
    assert {(row["frame"], row["time_s"], row["track_id"]) for row in rows} == {(0, None, None)}
    assert json.loads(table.schema.metadata[b"esrface"])["settings"]["abstain_below"] == 0.5
    # After a finished run, and after one that was killed within a row.
    assert image(*names[:3], *options, "--parquet", "finished.parquet") == 0
    assert image(*names[:3], *options, "--jsonl", "killed.parquet.rows.jsonl") == 0
    with Path("killed.parquet.rows.jsonl").open("a", encoding="ascii") as log:
        log.write('{"source":"in/3.p')
    for name in ("finished.parquet", "killed.parquet"):
        capsys.readouterr()
        assert image("in", *options, "--parquet", name, "--resume") == 0
        assert ", 2 pictures done before, " in capsys.readouterr().err
        assert Path(name).read_bytes() == Path("whole.parquet").read_bytes()
        assert image("in", *options, "--parquet", name) == 2
        assert capsys.readouterr().err.startswith(f"esrface: cannot write {name}: it exists already (")
    assert image("in", "--parquet", "killed.parquet", "--overwrite") == 0
    assert "b1_emotion" not in pyarrow.parquet.read_schema("killed.parquet").names
    assert not list(Path().glob("*.parquet.*"))


def _float32(row: dict[str, Any]) -> dict[str, Any]:
    return {key: np.float32(value) if isinstance(value, float) else value for key, value in row.items()}


def test_parquet_without_its_extra_is_one_line_and_leaves_nothing(
    image: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert image("a.png", "--csv", "rows.csv", "--save", "out", "--parquet", "rows.parquet") == 2
    assert capsys.readouterr().err.startswith(
        "esrface: Parquet files need PyArrow: in a clone of esrface, "
        "pip install -c constraints.txt '.[parquet]'"
    )
    assert [path.name for path in Path().iterdir()] == ["a.png"]


def test_beside_files_the_table_is_short(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        draw(Path(f"in/{number:02}.png"))
    assert image("in", "--csv", "rows.csv") == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("in/") for line in lines) == 20
    assert "… further pictures are not shown, only written" in lines
    assert image("in") == 0
    assert sum(line.startswith("in/") for line in capsys.readouterr().err.splitlines()) == 25


# The pipeline


@pytest.mark.parametrize("workers", [1, 4])
def test_ordered_map_keeps_order_and_bounds_what_is_under_way(workers: int) -> None:
    taken: list[int] = []

    def items() -> Any:
        for number in range(40):
            taken.append(number)
            yield number

    def work(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return -number

    results = ordered_map(work, items(), workers=workers, ahead=6)
    for expected, (item, future) in enumerate(results):
        assert item == expected
        assert len(taken) <= expected + 6
        if item == 7:
            assert isinstance(future.exception(), ValueError)
        else:
            assert future.result() == -item
    assert taken == list(range(40))


def test_ordered_map_can_be_left_early() -> None:
    done: list[int] = []
    results = ordered_map(done.append, iter(range(10**9)), workers=2, ahead=4)
    next(results)
    results.close()
    assert len(done) <= 5


# The examples that ship


def test_the_shipped_model_on_the_shipped_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """A smiling and a composed face, by eye; and what the README shows is what is printed."""
    assert main(["image", str(EXAMPLES / "astronaut.jpg"), str(EXAMPLES / "grace_hopper.jpg"), "--json"]) == 0
    smiling, composed = (one["faces"] for one in records(capsys))
    assert [face["emotion"] for face in smiling] == ["Happy"]
    assert smiling[0]["confidence"] > 0.9
    assert [face["emotion"] for face in composed] in (["Neutral"], ["Happy"])
