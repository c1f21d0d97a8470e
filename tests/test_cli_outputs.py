"""Outputs of ``image`` and ``video`` that would destroy something, or be taken for what they are not."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest

from conftest import Run
from drawn import draw
from esrface.cli import main
from processes import PATIENCE_S


def sources(path: str | Path) -> list[str]:
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [row["source"] for row in csv.DictReader(file)]


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("given", ["in/a.png", "in", "in/*.png"])
@pytest.mark.parametrize("option", ["--csv", "--jsonl", "--parquet", "--report"])
def test_a_file_for_all_pictures_is_none_of_them(
    image: Run, given: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = draw(Path("in/a.png"))
    before = picture.read_bytes()
    assert image(given, option, "in/a.png", "--overwrite") == 2
    assert capsys.readouterr().err == "esrface: cannot write in/a.png: it is an input of this run\n"
    assert picture.read_bytes() == before


def test_a_picture_of_its_own_is_no_other_input(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    other = draw(Path("in/a.bmp.png"), 1)
    draw(Path("in/a.bmp"))
    before = other.read_bytes()
    assert image("in/a.bmp", "in/a.bmp.png", "--save", "in", "--overwrite") == 2
    assert "cannot write in/a.bmp.png: it is an input of this run" in capsys.readouterr().err
    assert other.read_bytes() == before


def test_a_link_to_an_input_is_that_input(image: Run) -> None:
    picture = draw(Path("in/a.png"))
    before = picture.read_bytes()
    os.link(picture, "rows.csv")
    assert image("in", "--csv", "rows.csv", "--overwrite") == 2
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["--csv", "rows"], ["--jsonl", "./rows"]),
        (["--csv", "rows"], ["--report", "new/../rows"]),
        (["--csv", "rows"], ["--jsonl", "rows.meta.json"]),
        (["--parquet", "rows"], ["--jsonl", "rows.rows.jsonl"]),
        (["--parquet", "rows"], ["--csv", "rows.rows.jsonl.meta.json"]),
    ],
)
def test_two_outputs_of_all_pictures_are_two_files(
    image: Run, one: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    assert image("a.png", *one, *other, "--overwrite") == 2
    assert "two outputs name the same file" in capsys.readouterr().err
    assert names(".") == ["a.png"]


def test_the_originals_csv_of_a_picture_is_not_the_csv_of_all(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    draw(Path("b.png"))
    assert image("a.png", "b.png", "--csv", "out/a.csv", "-o", "out", "--overwrite") == 2
    assert "cannot write out/a.csv: it is another output of this run" in capsys.readouterr().err
    assert sources("out/a.csv") == ["b.png"]
    assert Path("out/b.csv").read_text().startswith("Timestamp(sec)")


def test_sheets_and_annotated_pictures_in_one_folder_have_names_of_their_own(image: Run) -> None:
    draw(Path("in/a.png"))
    draw(Path("in/a.branches.png"), 1)
    for mode in ([], ["--overwrite"], ["--resume"]):
        assert image("in", "--save", "out", "-b", *mode) == 0
        assert names("out") == [
            ".esrface.json",
            "a.branches.branches.png",
            "a.branches.png",
            "a.png",
            "a.png.branches.png",
        ]
    assert PIL.Image.open("out/a.branches.png").size == PIL.Image.open("in/a.branches.png").size


def test_a_run_that_is_refused_leaves_nothing_that_blocks_the_next(image: Run) -> None:
    draw(Path("a.png"))
    Path("old.jsonl").write_text("precious\n")
    assert image("a.png", "--csv", "new.csv", "--jsonl", "old.jsonl") == 2
    assert names(".") == ["a.png", "old.jsonl"]
    assert image("a.png", "--csv", "new.csv", "--jsonl", "new.jsonl") == 0


def test_sheets_go_on_with_the_same_options_only(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    assert image("a.png", "--save", "out", "-b") == 0
    assert image("a.png", "--save", "out", "-b", "-g", "--resume") == 2
    assert "cannot resume out: gradcam was not set and is true now" in capsys.readouterr().err
    assert image("a.png", "--save", "out", "-b", "--resume") == 0


def test_the_originals_csv_and_sheets_share_a_folder_and_go_on_together(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    assert image("a.png", "-o", "out", "--save", "./out", "-b") == 0
    assert names("out") == [".esrface.json", "a.branches.png", "a.csv", "a.png"]
    draw(Path("b.png"), 1)
    capsys.readouterr()
    assert image("a.png", "b.png", "-o", "out", "--save", "./out", "-b", "--resume") == 0
    assert "1 picture done before" in capsys.readouterr().err
    assert {"b.branches.png", "b.csv", "b.png"} <= set(names("out"))


def test_what_is_older_than_the_run_is_none_of_its_results(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    theirs = draw(Path("out/a.png"), 1)
    before = theirs.read_bytes()
    assert image("a.png", "--save", "out") == 2
    assert "it exists already (--overwrite replaces it)\n" in capsys.readouterr().err
    assert image("a.png", "--save", "out", "--resume") == 2
    told = "cannot resume out/a.png: it was there before the run began (--overwrite replaces it)"
    assert told in capsys.readouterr().err
    assert theirs.read_bytes() == before
    assert image("a.png", "--save", "out", "--overwrite") == 0
    assert image("a.png", "--save", "out", "--resume") == 0
    assert "1 picture done before" in capsys.readouterr().err


def test_results_of_other_settings_are_not_gone_on_with(
    image: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    draw(Path("b.png"), 1)
    assert image("a.png", "-o", "out", "--vote", "plurality") == 0
    assert image("b.png", "-o", "out", "--vote", "mean", "--overwrite") == 0
    capsys.readouterr()
    assert image("a.png", "b.png", "-o", "out", "--vote", "mean", "--resume") == 2
    shown = capsys.readouterr().err
    assert "cannot resume out/a.csv: it was there before the run began" in shown
    assert "1 picture done before" in shown
    assert image("a.png", "b.png", "-o", "out", "--vote", "mean", "--overwrite") == 0
    assert image("a.png", "b.png", "-o", "out", "--vote", "mean", "--resume") == 0


@pytest.mark.parametrize("option", ["--csv", "--jsonl", "--parquet"])
def test_a_picture_that_is_given_twice_has_its_rows_twice_however_often_it_is_resumed(
    image: Run, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(Path("a.png"))
    draw(Path("b.png"), 1)
    assert image("a.png", "b.png", "a.png", "a.png", option, "rows") == 0
    written = Path("rows").read_bytes()
    for _ in range(2):
        assert image("a.png", "b.png", "a.png", "a.png", option, "rows", "--resume") == 0
        assert Path("rows").read_bytes() == written
    if option == "--csv":
        assert sources("rows") == ["a.png", "b.png", "a.png", "a.png"]
        Path("rows").write_bytes(b"".join(written.splitlines(keepends=True)[:-1]))
        assert image("a.png", "b.png", "a.png", "a.png", option, "rows", "--resume") == 0
        assert Path("rows").read_bytes() == written


@pytest.mark.parametrize("by_shell", [False, True])
def test_what_save_made_inside_the_input_is_not_read_back(image: Run, by_shell: bool) -> None:
    def given() -> list[str]:
        return sorted(map(str, Path("in").iterdir())) if by_shell else ["in/*"]

    draw(Path("in/a.png"))
    assert image(*given(), "--save", "in/marked", "--csv", "rows.csv") == 0
    draw(Path("in/b.png"), 1)
    assert image(*given(), "--save", "in/marked", "--csv", "rows.csv", "--resume") == 0
    assert sources("rows.csv") == ["in/a.png", "in/b.png"]
    assert names("in/marked") == [".esrface.json", "a.png", "b.png"]


def test_a_folder_of_ones_own_is_read_although_pictures_are_saved_there(image: Run) -> None:
    draw(Path("a.png"))
    draw(Path("more/b.png"), 1)
    assert image("a.png", "more", "--save", "more", "--csv", "rows.csv") == 0
    assert sources("rows.csv") == ["a.png", "more/b.png"]


@pytest.mark.parametrize("option", ["--csv", "--save", "--report", "-o"])
def test_an_empty_name_is_none(image: Run, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    assert image("a.png", option, "") == 2
    assert "needs the name of a file or folder (see" in capsys.readouterr().err
    assert names(".") == ["a.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_what_could_not_be_written_is_not_said_to_be(image: Run, capsys: pytest.CaptureFixture[str]) -> None:
    draw(Path("a.png"))
    assert image("a.png", "--report", "/dev/full") == 2
    shown = capsys.readouterr().err
    assert "1 picture, 1 face" in shown
    assert "written" not in shown
    assert shown.splitlines()[-1].startswith("esrface: cannot write /dev/full: no space left")


def test_a_damaged_picture_is_one_line(image: Run, capfd: pytest.CaptureFixture[str]) -> None:
    draw(Path("whole.tif"))
    content = Path("whole.tif").read_bytes()
    for length in (100, len(content) - 50):
        Path("cut.tif").write_bytes(content[:length])
        assert image("cut.tif", "--json") == 2
        assert capfd.readouterr().err == "esrface: cannot read cut.tif: it is cut off or damaged\n"


def test_clips_and_their_own_files_do_not_share_one(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").write_bytes(b"never opened")
    command = ["video", "clip.mp4", "--model", str(tiny_model), "--csv", "out/clip.csv", "-o", "out"]
    assert main([*command, "--overwrite"]) == 2
    assert "two outputs name the same file" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("given", ["seq", "seq/i_%d.png", "seq/*.png"])
def test_a_clip_of_pictures_does_not_lose_one(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        draw(Path(f"seq/i_{number}.png"), number)
    before = Path("seq/i_1.png").read_bytes()
    command = ["video", given, "--model", str(tiny_model), "--detector", "none", "--every", "1"]
    assert main([*command, "--csv", "seq/i_1.png", "--overwrite"]) == 2
    assert capsys.readouterr().err == "esrface: cannot write seq/i_1.png: it is an input of this run\n"
    assert Path("seq/i_1.png").read_bytes() == before
    assert main([*command, "--csv", "rows.csv"]) == 0
    assert main([*command, "--csv", "rows.csv", "--overwrite"]) == 0


@pytest.mark.parametrize("command", ["image", "video"])
def test_a_file_on_standard_input_is_an_input(tiny_model: Path, tmp_path: Path, command: str) -> None:
    given = draw(tmp_path / "in.png")
    before = given.read_bytes()
    arguments = [command, "-", "--model", str(tiny_model), "--csv", "in.png", "--overwrite"]
    with given.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "esrface", *arguments],
            stdin=file,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        2,
        "esrface: cannot write in.png: it is an input of this run\n",
    )
    assert given.read_bytes() == before


def test_a_name_with_a_carriage_return_stays_one_cell(image: Run) -> None:
    name = "a\rb.png"
    draw(Path(name))
    draw(Path("c.png"), 1)
    assert image(name, "--csv", "rows.csv") == 0
    assert image(name, "c.png", "--csv", "rows.csv", "--resume") == 0
    assert sources("rows.csv") == [name, "c.png"]
