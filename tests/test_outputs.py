"""Writing: whole files or none, rows that survive a kill, nothing overwritten, a full disk as one line."""

# A block that fails half-way is what several of these tests are about.
# ruff: noqa: PT012

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path, PurePath

import pytest

import esrface
from esrface.errors import InputError, OutputError
from esrface.outputs import (
    OutputNames,
    RowFile,
    discard_unfinished,
    drop_torn_row,
    make_folder,
    output_errors,
    refuse_existing,
    whole_file,
    write_together,
    write_whole,
)
from unprivileged import reachable_folder, unprivileged

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

FULL = "cannot write /dev/full: no space left on the device; free some, or write to another place"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_appears_at_the_end_and_not_before(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder" / "a.bin"
    with whole_file(place) as file:
        file.write(b"one ")
        file.flush()
        assert not place.exists()
        # It grows beside its place, where a rename cannot become a copy.
        (part,) = names(place.parent)
        assert part.endswith(".part")
        file.write(b"two")
    assert place.read_bytes() == b"one two"
    assert names(place.parent) == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, InputError])
def test_a_failure_leaves_neither_part_nor_half_file(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "old.bin").write_bytes(b"old")
    for name in ("new.bin", "old.bin"):
        with pytest.raises(error), whole_file(tmp_path / name, overwrite=True) as file:
            file.write(b"half")
            raise error
    assert names(tmp_path) == ["old.bin"]
    assert (tmp_path / "old.bin").read_bytes() == b"old"


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_belong_together_appear_together_or_not_at_all(overwrite: bool, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    first, last = tmp_path / "model.onnx", tmp_path / "deep" / "card.json"
    if overwrite:
        first.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError, match=r"card\.json: the file would be larger than allowed here$"):
            write_together({first: "new", last: b"x" * 200}, overwrite=overwrite)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["model.onnx"] * overwrite
    assert not overwrite or first.read_bytes() == b"old"
    write_together({first: "new", last: b"x" * 200}, overwrite=overwrite)
    assert (first.read_text(), last.stat().st_size) == ("new", 200)


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "a.bin"
    place.write_bytes(b"old")
    with pytest.raises(OutputError) as caught, whole_file(place, overwrite=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == (
        f"cannot write {place}: no space left on the device; free some, or write to another place"
    )
    assert (names(tmp_path), place.read_bytes()) == (["a.bin"], b"old")


def test_existing_files_are_refused_unless_they_may_be_replaced(tmp_path: Path) -> None:
    place = tmp_path / "a.csv"
    place.write_text("old")
    with pytest.raises(OutputError) as caught:
        write_whole(place, "new")
    assert str(caught.value) == f"cannot write {place}: it exists already (--overwrite replaces it)"
    with pytest.raises(OutputError) as caught:
        RowFile(place)
    assert str(caught.value) == (
        f"cannot write {place}: it exists already (--overwrite replaces it, --resume goes on with it)"
    )
    assert place.read_text() == "old"
    write_whole(place, "new", overwrite=True)
    assert place.read_text() == "new"
    with RowFile(place, overwrite=True) as rows:
        assert rows.is_empty
        rows.write("row\n")
    assert place.read_text() == "row\n"


def test_a_file_that_comes_into_being_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    place = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="exists already"), whole_file(place) as file:
        place.write_bytes(b"somebody else's")
        file.write(b"mine")
    assert (names(tmp_path), place.read_bytes()) == (["a.bin"], b"somebody else's")


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    line = f"cannot write {tmp_path}: it is a folder; give the name of a file"
    for write in (write_whole, lambda path, data, overwrite: RowFile(path, overwrite=overwrite)):
        with pytest.raises(OutputError) as caught:
            write(tmp_path, b"", overwrite=True)
        assert str(caught.value) == line


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_whole(tmp_path / "a.bin", b"")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "usual").stat().st_mode


@linux
def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "a.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("target/a.bin")
    (tmp_path / "new.bin").symlink_to("target/new.bin")
    write_whole(tmp_path / "link.bin", b"new", overwrite=True)
    with pytest.raises(OutputError, match="exists already"):
        write_whole(tmp_path / "new.bin", b"")
    write_whole(tmp_path / "new.bin", b"new", overwrite=True)
    assert (tmp_path / "link.bin").is_symlink()
    assert names(tmp_path / "target") == ["a.bin", "new.bin"]
    assert (tmp_path / "target" / "a.bin").read_bytes() == b"new"


@linux
def test_a_full_device_is_one_line_for_every_writer() -> None:
    with pytest.raises(OutputError) as caught:
        write_whole("/dev/full", b"data")
    assert str(caught.value) == FULL
    with pytest.raises(OutputError) as caught, RowFile("/dev/full") as rows:
        rows.write("row\n")
    assert str(caught.value) == FULL
    with (
        pytest.raises(OutputError) as caught,
        output_errors("standard output"),
        Path("/dev/full").open("w") as file,
    ):
        print("line", file=file)
    assert str(caught.value) == FULL.replace("/dev/full", "standard output")


@linux
def test_devices_and_pipes_are_written_to_directly(tmp_path: Path) -> None:
    write_whole(os.devnull, b"data")
    reading, writing = os.pipe()
    with RowFile(f"/dev/fd/{writing}") as rows:
        rows.write("row\n")
    write_whole(f"/dev/fd/{writing}", b"whole\n")
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        assert reader.read() == b"row\nwhole\n"


@linux
def test_a_closed_pipe_is_no_failure_of_ours() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError), RowFile(f"/dev/fd/{writing}") as rows:
        rows.write("row\n")
    os.close(writing)


@linux
def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    long = tmp_path / ("n" * 300)
    # The kernel's own file system refuses new files even to root.
    reasons = {
        tmp_path / "file" / "a.csv": "a part of its path is a file, not a folder",
        long: "the name is too long",
        Path("/proc/esrface/a.csv"): "No such file or directory",
    }
    for path, reason in reasons.items():
        for write in (lambda path: write_whole(path, b""), RowFile):
            with pytest.raises(OutputError) as caught:
                write(path)
            assert str(caught.value) == f"cannot write {path}: {reason}"
    for path in ("", "a\0b"):
        with pytest.raises(OutputError, match=r"this is no name of a file$"):
            write_whole(path, b"")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.EDQUOT, "the disk quota is used up; free some, or write to another place"),
        (errno.EROFS, "the file system is read-only; write to another place"),
        (errno.EACCES, "permission denied; write to another place"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_what_the_system_says_becomes_one_line(code: int, reason: str) -> None:
    with pytest.raises(OutputError) as caught, output_errors("a\n\udce9.csv"):
        raise OSError(code, os.strerror(code))
    assert str(caught.value) == f"cannot write a\\n\\xe9.csv: {reason}"


def test_a_folder_without_permission() -> None:
    with reachable_folder() as folder, unprivileged():
        # It belongs to the user who made it, who is another one now, or may no longer write.
        if os.access(folder, os.W_OK, effective_ids=True):
            folder.chmod(0o500)
        lines = []
        for write in (lambda path: write_whole(path, b""), RowFile, lambda path: make_folder(path / "x")):
            with pytest.raises(OutputError) as caught:
                write(folder / "a.csv")
            lines.append(str(caught.value))
    assert lines[:2] == [f"cannot write {folder / 'a.csv'}: permission denied; write to another place"] * 2
    assert lines[2] == f"cannot write {folder / 'a.csv' / 'x'}: permission denied; write to another place"


def test_output_folders(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert make_folder(str(tmp_path / "a" / "b")).is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="a part of its path is a file, not a folder"):
        make_folder(tmp_path / "file")


def test_refusing_without_writing(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new.csv")
    assert names(tmp_path) == []


def test_rows_are_there_at_once_and_a_csv_writer_can_use_them(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "rows.csv"
    with RowFile(place) as rows:
        assert rows.is_empty
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(["source", "text"])
        assert not rows.is_empty
        assert place.read_bytes() == b"source,text\n"
        writer.writerow(["größe.jpg", 'a "quote",\nand a line'])
        assert place.read_text(encoding="utf-8") == 'source,text\ngröße.jpg,"a ""quote"",\nand a line"\n'


def test_names_that_are_no_utf8_give_valid_files(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg") if sys.platform != "win32" else "caf\udce9.jpg"
    with RowFile(tmp_path / "rows.jsonl") as rows:
        rows.write(json.dumps({"source": name}, ensure_ascii=False) + "\n")
    assert json.loads((tmp_path / "rows.jsonl").read_text(encoding="utf-8")) == {"source": name}
    write_whole(tmp_path / "a.txt", name)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "caf\\udce9.jpg"


def test_a_row_without_room_is_taken_back(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a disk that is nearly full: the row fits in part.
    script = """
        import resource, signal, sys
        from esrface.errors import OutputError
        from esrface.outputs import RowFile
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (25, 25))
        try:
            with RowFile(sys.argv[1]) as rows:
                for _ in range(9):
                    rows.write("ten bytes\\n")
        except OutputError as error:
            print(error)
    """
    pytest.importorskip("resource")
    done = run_python(script, str(tmp_path / "rows.csv"))
    assert (
        done.stdout == f"cannot write {tmp_path / 'rows.csv'}: the file would be larger than allowed here\n"
    )
    assert (tmp_path / "rows.csv").read_text() == "ten bytes\n" * 2


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    package = str(Path(esrface.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package}
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=environment
    )


def run_python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    process = python(script, *arguments)
    out, _ = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out)


@linux
def test_rows_survive_kill_9_and_the_file_is_gone_on_with(tmp_path: Path) -> None:
    script = """
        import sys
        from esrface.outputs import RowFile
        rows = RowFile(sys.argv[1])
        rows.write("source,n\\n")
        for number in range(3):
            rows.write(f"a.jpg,{number}\\n")
        rows._file.write(b"a.jp")
        print("written", flush=True)
        sys.stdin.read()
    """
    place = tmp_path / "rows.csv"
    process = python(script, str(place))
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    whole = "source,n\na.jpg,0\na.jpg,1\na.jpg,2\n"
    assert place.read_text() == whole + "a.jp"
    with RowFile(place, resume=True) as rows:
        assert place.read_text() == whole
        assert not rows.is_empty
        rows.write("b.jpg,3\n")
    assert place.read_text() == whole + "b.jpg,3\n"


@linux
@pytest.mark.parametrize("how", ["unwinding", "at once"])
def test_a_signal_leaves_no_part_file(how: str, tmp_path: Path) -> None:
    script = """
        import os, signal, sys
        from esrface.outputs import discard_unfinished, whole_file
        def end(signum, frame):
            if sys.argv[2] == "unwinding":
                raise SystemExit(143)
            discard_unfinished()
            os._exit(143)
        signal.signal(signal.SIGTERM, end)
        with whole_file(sys.argv[1]) as file:
            file.write(b"half")
            file.flush()
            print("written", flush=True)
            sys.stdin.read()
    """
    process = python(script, str(tmp_path / "a.bin"), how)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    assert len(names(tmp_path)) == 1
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert names(tmp_path) == []


def test_discarding_touches_nothing_that_is_finished(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.bin", b"whole")
    discard_unfinished()
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("content", "quoted", "kept"),
    [
        (b"", False, 0),
        (b"no end", False, 0),
        (b"one\n", False, 4),
        (b"one\ntwo\n", False, 8),
        (b"one\ntw", False, 4),
        (b"one\r\ntwo\r", False, 5),
        (b'{"a": "\\""}\n{"a', False, 12),
        (b'a,"b\nc"\nd,"e\n', True, 8),
        (b'a,"b\nc"\nd,"e\nf"', True, 8),
        (b'a,"b\nc', True, 0),
        (b'a,"say ""no"""\nb,"""\n', True, 15),
        (b'a,"b\n"\n', True, 7),
        (b"caf\xc3", False, 0),
    ],
)
def test_a_torn_last_row_is_dropped(content: bytes, quoted: bool, kept: int, tmp_path: Path) -> None:
    place = tmp_path / "rows"
    place.write_bytes(content)
    assert drop_torn_row(place, quoted=quoted) == len(content) - kept
    assert place.read_bytes() == content[:kept]
    assert drop_torn_row(place, quoted=quoted) == 0


def test_every_tear_of_a_csv_file_gives_back_its_whole_rows(tmp_path: Path) -> None:
    table = [["source", "text"], ["a\nb.jpg", "x"], ["größe, 1.jpg", 'a "q"\r\n""'], ["", "z"]]
    lines = []
    for row in table:
        buffer = io.StringIO()
        csv.writer(buffer).writerow(row)
        lines.append(buffer.getvalue().encode())
    content = b"".join(lines)
    ends = [sum(map(len, lines[:count])) for count in range(len(lines) + 1)]
    for cut in range(len(content) + 1):
        place = tmp_path / "rows.csv"
        place.write_bytes(content[:cut])
        with RowFile(place, resume=True, quoted=True) as rows:
            count = sum(end <= cut for end in ends) - 1
            assert rows.is_empty == (count == 0)
            csv.writer(rows).writerows(table[count:])
        assert place.read_bytes() == content


def test_resuming_without_a_file_starts_one(tmp_path: Path) -> None:
    with RowFile(tmp_path / "new" / "rows.csv", resume=True) as rows:
        assert rows.is_empty
        rows.write("row\n")
    assert (tmp_path / "new" / "rows.csv").read_text() == "row\n"


@pytest.mark.parametrize("way", [{"resume": True}, {"overwrite": True}])
def test_two_runs_do_not_write_one_file(way: dict[str, bool], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with RowFile(path, resume=True) as rows:
        rows.write("one\n")
        with pytest.raises(OutputError, match=r"rows\.csv: another run is writing it just now"):
            RowFile(path, **way)
        rows.write("two\n")
    assert path.read_text() == "one\ntwo\n"
    with RowFile(path, **way) as rows:
        rows.write("three\n")
    assert path.read_text().endswith("three\n")


def test_a_run_that_was_killed_holds_its_file_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    script = (
        "import os, sys; from esrface.outputs import RowFile; RowFile(sys.argv[1]).write('a\\n'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == 9
    with RowFile(path, resume=True) as rows:
        rows.write("b\n")
    assert path.read_text() == "a\nb\n"


def test_nothing_is_changed_in_a_file_that_is_refused(tmp_path: Path) -> None:
    def refuse() -> None:
        raise InputError("not ours")

    path = tmp_path / "notes.txt"
    path.write_bytes(b"somebody's\nlast line")
    for _ in range(2):
        with pytest.raises(InputError):
            RowFile(path, resume=True, check=refuse)
    assert path.read_bytes() == b"somebody's\nlast line"


def test_the_file_is_closed_after_a_failure_too(tmp_path: Path) -> None:
    rows = RowFile(tmp_path / "rows.csv")
    with pytest.raises(InputError), rows:
        rows.write("row\n")
        raise InputError("a picture")
    with pytest.raises(ValueError, match="closed"):
        rows.write("another\n")
    assert (tmp_path / "rows.csv").read_text() == "row\n"


def test_outputs_are_named_after_their_sources_and_never_twice() -> None:
    outputs = OutputNames()
    given = ["a.jpg", "x/a.jpg", "a.png", "A.JPG", "a.png", "a.b.jpg", "a.b.gif", "plain", ".hidden"]
    named = [outputs.name(PurePath(source), ".csv").as_posix() for source in given]
    assert named == [
        *("a.csv", "x/a.csv", "a.png.csv", "A.JPG.csv", "a.png-2.csv"),
        *("a.b.csv", "a.b.gif.csv", "plain.csv", ".hidden.csv"),
    ]


def test_names_cut_at_their_first_dot() -> None:
    outputs = OutputNames()
    given = ["a.b.c.jpg", "a.d.jpg", "x/a.jpg", ".hidden.jpg"]
    named = [outputs.name(PurePath(source), ".csv", first_dot=True).as_posix() for source in given]
    assert named == ["a.csv", "a.d.jpg.csv", "x/a.csv", ".hidden.jpg.csv"]
