"""Files, folders, patterns and standard input become pictures, lazily, sorted, under names of their own."""

from __future__ import annotations

import inspect
import io
import itertools
import os
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path, PurePath

import pytest

from esrface._names import printable
from esrface.errors import InputError
from esrface.sources import PictureSource, find_images, unique_names
from unprivileged import reachable_folder, unprivileged

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"x")


def found(*paths: str, exclude: Iterable[str | Path] = ()) -> list[str]:
    """Names of the sources, with forward slashes; each must be worth reading."""
    sources = list(find_images(paths, exclude=exclude))
    assert [source.read() for source in sources] == [source.name for source in sources]
    return [slashed(source) for source in sources]


def slashed(source: PictureSource) -> str:
    return source.name.replace(os.sep, "/")


def problem(source: PictureSource) -> str:
    with pytest.raises(InputError) as caught:
        source.read()
    return str(caught.value)


def test_files_keep_their_order_and_are_tried_whatever_their_suffix() -> None:
    make("b.jpg", "a.png", "notes.txt", "no suffix", "._hidden.jpg")
    given = ["notes.txt", "b.jpg", "./a.png", "no suffix", "._hidden.jpg", "b.jpg"]
    assert found(*given) == given


def test_paths_may_be_path_objects(tmp_path: Path) -> None:
    make("a.jpg")
    assert [source.name for source in find_images([tmp_path / "a.jpg"])] == [str(tmp_path / "a.jpg")]


def test_folders_are_sorted_files_first_and_filtered_by_suffix() -> None:
    make(
        *("set/b.jpg", "set/a.JPEG", "set/c.Png", "set/B.webp", "set/._a.jpg", "set/.DS_Store"),
        *("set/notes.txt", "set/z/1.tif", "set/z/0/deep.bmp", "set/a/x.gif", "set/album.jpg/inside.ppm"),
        *("set/._z/never.jpg", "set/jpg", "set/.jpg"),
    )
    below = [
        "B.webp",
        "a.JPEG",
        "b.jpg",
        "c.Png",
        "a/x.gif",
        "album.jpg/inside.ppm",
        "z/1.tif",
        "z/0/deep.bmp",
    ]
    assert found("set") == [f"set/{name}" for name in below]
    assert [source.relative for source in find_images(["set/"])] == [PurePath(name) for name in below]
    assert found(".")[0] == "./set/B.webp"


@pytest.mark.parametrize(
    "name",
    [
        "größe 日本.jpg",
        "with  spaces .jpg",
        "-leading.jpg",
        "100%s.jpg",
        "a\nb.jpg",
        "quote'\".jpg",
        "--.JPG",
    ],
)
def test_names_of_any_kind(name: str) -> None:
    if sys.platform == "win32" and not set(name).isdisjoint('\n"'):
        pytest.skip("no name for a file here")
    make(f"set/{name}", name)
    assert found(name, "set") == [name, f"set/{name}"]


@linux
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/set/caf\xe9.jpg"
    (tmp_path / "set").mkdir()
    Path(os.fsdecode(raw)).write_bytes(b"x")
    (source,) = find_images([tmp_path / "set"])
    assert os.fsencode(source.name) == raw
    assert os.fsencode(source.relative) == b"caf\xe9.jpg"
    assert Path(str(source.read())).read_bytes() == b"x"
    assert printable(source.name) == f"{tmp_path}/set/caf\\xe9.jpg"


@linux
def test_loops_of_links_end_and_each_folder_is_read_once() -> None:
    make("set/a.jpg", "set/sub/b.jpg", "other/c.jpg")
    Path("set/loop").symlink_to(".")
    Path("set/sub/up").symlink_to("../../set")
    Path("set/self").symlink_to("self")
    Path("set/again").symlink_to("sub")
    Path("set/outside").symlink_to("../other")
    Path("set/link.jpg").symlink_to("a.jpg")
    assert found("set") == ["set/a.jpg", "set/link.jpg", "set/again/b.jpg", "set/outside/c.jpg"]
    # Two loops have no end for whoever follows them all.
    assert found("set/**/*.jpg") == ["set/a.jpg", "set/link.jpg", "set/again/b.jpg", "set/outside/c.jpg"]


@linux
def test_links_that_lead_nowhere_are_named_and_other_things_passed_over() -> None:
    make("set/a.jpg")
    Path("set/gone.jpg").symlink_to("nowhere.jpg")
    Path("set/circle.jpg").symlink_to("circle.jpg")
    os.mkfifo("set/pipe.jpg")
    assert found("set") == ["set/a.jpg", "set/circle.jpg", "set/gone.jpg"]


def test_a_folder_is_listed_only_when_its_turn_comes(tmp_path: Path) -> None:
    make("set/1/a.jpg", "set/2/b.jpg", "set/2/c.jpg", "later/x.jpg")
    sources = find_images(["set", "later"])
    assert slashed(next(sources)) == "set/1/a.jpg"
    # What happens to later folders in the meantime is seen, so they were not listed yet.
    make("set/2/added.jpg", "later/added.jpg")
    Path("set/2/c.jpg").unlink()
    assert [slashed(source) for source in sources] == [
        "set/2/added.jpg",
        "set/2/b.jpg",
        "later/added.jpg",
        "later/x.jpg",
    ]


def test_memory_does_not_grow_with_the_number_of_folders() -> None:
    for folder in range(200):
        Path(f"set/{folder:03}").mkdir(parents=True)
        for number in range(20):
            Path(f"set/{folder:03}/picture with a long name {number:05}.jpg").touch()
    tracemalloc.start()
    sources = find_images(["set"])
    for _ in range(3999):
        next(sources)
    held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, inspect.getfile(find_images))])
    tracemalloc.stop()
    assert len(list(sources)) == 1
    # The names of all 4,000 would be more than 300 kB.
    assert sum(trace.size for trace in held.traces) < 60_000


def test_deep_folders_need_no_deep_recursion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path.joinpath(*["d"] * 400)
    folder.mkdir(parents=True)
    (folder / "a.jpg").touch()
    used = len(inspect.stack(0))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(used + 100)
    try:
        names = [source.name for source in find_images([tmp_path])]
    finally:
        sys.setrecursionlimit(limit)
    assert names == [str(folder / "a.jpg")]


def test_a_path_that_does_not_exist_is_one_line_and_the_rest_is_done() -> None:
    make("a.jpg", "b.jpg")
    first, missing, last = find_images(["a.jpg", "no such.jpg", "b.jpg"])
    assert (first.read(), last.read()) == ("a.jpg", "b.jpg")
    assert missing.name == "no such.jpg"
    assert problem(missing) == "cannot read no such.jpg: no such file or folder"
    (empty,) = find_images([""])
    assert problem(empty) == "cannot read '': no such file or folder"
    (web,) = find_images(["https://example.org/a.jpg"])
    assert problem(web) == (
        "cannot read https://example.org/a.jpg: no such file or folder;"
        " only local files are read, so download it first"
    )


def test_a_folder_without_pictures_is_one_line() -> None:
    make("empty/notes.txt", "empty/sub/more.txt", "a.jpg")
    empty, picture = find_images(["empty", "a.jpg"])
    assert problem(empty) == "cannot read empty: the folder holds no pictures (.jpg, .png, .webp, …)"
    assert picture.read() == "a.jpg"


def test_a_file_that_vanishes_is_still_named() -> None:
    make("set/a.jpg", "set/b.jpg")
    sources = find_images(["set"])
    next(sources)
    Path("set/b.jpg").unlink()
    assert [source.read() for source in sources] == [str(Path("set/b.jpg"))]


def test_a_folder_that_vanishes_is_one_line() -> None:
    make("set/a.jpg", "set/sub/b.jpg")
    sources = find_images(["set"])
    next(sources)
    Path("set/sub/b.jpg").unlink()
    Path("set/sub").rmdir()
    (gone,) = sources
    assert problem(gone) == f"cannot read {Path('set/sub')}: No such file or directory"


def test_a_folder_without_permission_is_one_line_and_the_rest_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with reachable_folder() as folder:
        monkeypatch.chdir(folder)
        make("set/a/a.jpg", "set/b/b.jpg", "set/c/c.jpg")
        Path("set/b").chmod(0)
        with unprivileged():
            first, secret, last = find_images(["set"])
        Path("set/b").chmod(0o700)
        assert (first.read(), last.read()) == ("set/a/a.jpg", "set/c/c.jpg")
        assert problem(secret) == "cannot read set/b: Permission denied"


def test_patterns_that_the_shell_left_alone() -> None:
    make("b.jpg", "a.jpg", "c.png", ".hidden.jpg", "._a.jpg", "set1/x.jpg", "set2/y.jpg", "set2/deep/z.jpg")
    assert found("*.jpg") == ["a.jpg", "b.jpg"]
    assert found("?.[jp][pn]g") == ["a.jpg", "b.jpg", "c.png"]
    assert found("set?/*.jpg") == [
        "set1/x.jpg",
        "set2/y.jpg",
    ]
    below = ["a.jpg", "b.jpg", "set1/x.jpg", "set2/y.jpg", "set2/deep/z.jpg"]
    assert found("**/*.jpg") == below
    assert found("set2/**") == [
        "set2/y.jpg",
        "set2/deep/z.jpg",
    ]
    # A pattern may match folders, too.
    assert found("set*") == [
        "set1/x.jpg",
        "set2/y.jpg",
        "set2/deep/z.jpg",
    ]


def test_patterns_with_absolute_paths(tmp_path: Path) -> None:
    make("b.jpg", "a.jpg")
    assert found(str(tmp_path / "*.jpg")) == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]


def test_a_file_whose_name_looks_like_a_pattern_wins() -> None:
    make("a[1].jpg", "a1.jpg", "dir[1]/x.jpg", "dir1/y.jpg")
    assert found("a[1].jpg") == ["a[1].jpg"]
    assert found("dir[1]/*.jpg") == ["dir[1]/x.jpg"]
    if sys.platform != "win32":
        make("*.jpg")
        assert found("*.jpg") == ["*.jpg"]


def test_a_pattern_without_a_match_is_one_line() -> None:
    (nothing,) = find_images(["*.jpg"])
    assert problem(nothing) == (
        "cannot read *.jpg: no such file or folder, and nothing matches it as a pattern"
    )


class Stdin(io.TextIOWrapper):
    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.isatty = lambda: terminal  # type: ignore[method-assign]


def test_standard_input_is_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"\xff\xd8 picture"))
    (source,) = find_images(["-"])
    assert (source.name, source.relative) == ("-", PurePath("stdin"))
    assert source.read() == b"\xff\xd8 picture"
    make("-")
    assert found("./-") == ["./-"]


def test_standard_input_without_an_end_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esrface._bounded.MOST_BYTES", 3 << 20)
    monkeypatch.setattr(sys, "stdin", Stdin(b"x" * (3 << 20)))
    (source,) = find_images(["-"])
    assert len(source.read()) == 3 << 20
    monkeypatch.setattr(sys, "stdin", Stdin(b"x" * (3 << 20) + b"x"))
    assert problem(source) == "cannot read -: it gives more than 3,145,728 bytes, which no picture has"


def test_standard_input_that_gives_nothing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = find_images(["-"])
    monkeypatch.setattr(sys, "stdin", None)
    assert problem(source) == "cannot read -: standard input is closed"
    monkeypatch.setattr(sys, "stdin", Stdin(b"", terminal=True))
    assert problem(source) == (
        "cannot read -: standard input is a terminal; give it a picture: esrface image - < photo.jpg"
    )


def test_an_output_folder_inside_the_input_is_not_read_back(tmp_path: Path) -> None:
    make("set/a.jpg", "set/b/b.jpg", "set/out/old.jpg")
    sources = find_images(["set"], exclude=["set/out", tmp_path / "set" / "b" / "new"])
    assert slashed(next(sources)) == "set/a.jpg"
    # Folders that did not exist at the start are no exception.
    make("set/out/a.jpg", "set/b/new/a.jpg")
    assert [slashed(source) for source in sources] == ["set/b/b.jpg"]
    below = [Path(name).as_posix() for name in found("**/*.jpg", exclude=["set/out", "set/b/new"])]
    assert below == ["set/a.jpg", "set/b/b.jpg"]
    assert found("set/*/*.jpg", exclude=["set/out"]) == ["set/b/b.jpg"]
    # Asked for by its own name it is input.
    assert found("set/out", exclude=["set/out"]) == ["set/out/a.jpg", "set/out/old.jpg"]


def test_what_an_earlier_run_has_drawn_is_not_read_back() -> None:
    make("set/a.jpg", "set/marked/a.jpg", "set/marked/sub/b.jpg", "set/rows/c.jpg")
    Path("set/marked/.esrface.json").write_text('{"settings": {}, "drawn": true}')
    # A folder of the user's own that took rows beside its pictures, and one with a file that is none of ours.
    Path("set/rows/.esrface.json").write_text('{"settings": {}}')
    make("set/strange/d.jpg", "set/strange/.esrface.json")
    own = ["set/a.jpg", "set/rows/c.jpg", "set/strange/d.jpg"]
    assert found("set") == found("set/**/*.jpg") == own
    assert found("set/*") == own
    assert found("set/*/*.jpg") == own[1:]
    told: list[str] = []
    assert len(list(find_images(["set", "set/*", "set"], left_out=told.append))) == 9
    assert [Path(folder).as_posix() for folder in told] == ["set/marked"]
    assert found("set/marked") == ["set/marked/a.jpg", "set/marked/sub/b.jpg"]
    assert found("set/marked/*.jpg") == ["set/marked/a.jpg"]


@linux
def test_an_output_folder_behind_a_link_is_not_read_back() -> None:
    make("set/a.jpg", "elsewhere/old.jpg")
    Path("set/out").symlink_to("../elsewhere")
    assert found("set", exclude=["elsewhere"]) == ["set/a.jpg"]
    assert found("set", exclude=["set/out"]) == ["set/a.jpg"]


def places(*arguments: str) -> list[str]:
    return [name.as_posix() for name in unique_names(arguments)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x/a.jpg", "y/b.jpg"], ["a.jpg", "b.jpg"]),
        (["x/a.jpg", "y/a.jpg", "y/b.jpg"], ["x/a.jpg", "y/a.jpg", "b.jpg"]),
        (["1/x/a.jpg", "2/x/a.jpg", "2/y/a.jpg"], ["1/x/a.jpg", "2/x/a.jpg", "y/a.jpg"]),
        (["a.jpg", "x/a.jpg"], ["here/a.jpg", "x/a.jpg"]),
        (["../a.jpg", "../../a.jpg"], ["above/a.jpg", "top/a.jpg"]),
        (["a.jpg", "./a.jpg", "x/../a.jpg"], ["a.jpg", "a-2.jpg", "a-3.jpg"]),
        (["a.jpg", "a-2.jpg", "a.jpg"], ["a.jpg", "a-2.jpg", "a-3.jpg"]),
        (["x/A.jpg", "y/a.JPG"], ["x/A.jpg", "y/a.JPG"]),
        (["A.jpg", "a.jpg"], ["A.jpg", "a-2.jpg"]),
        (["set", "set/"], ["set", "set-2"]),
        (["x/set", "y/set"], ["x/set", "y/set"]),
        (["x/set", "set/a.jpg", "y/a.jpg"], ["x/set", "here/set/a.jpg", "y/a.jpg"]),
        (["-", "stdin"], ["stdin", "here/stdin"]),
        (["/", "/a"], ["root", "a"]),
        ([], []),
    ],
)
def test_arguments_get_different_names_with_as_few_folders_as_possible(
    arguments: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = tmp_path / "top" / "above" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert places(*arguments) == expected


def test_names_never_collide_whatever_is_given(tmp_path: Path) -> None:
    parts = ["a", "b", "A", "a.jpg", ".."]
    arguments = ["/".join(chosen) for length in (1, 2, 3) for chosen in itertools.permutations(parts, length)]
    names = unique_names([*arguments, *arguments[::7], "/", "-"])
    keys = [tuple(part.casefold() for part in name.parts) for name in names]
    assert len(set(keys)) == len(keys)
    inner = {key[:length] for key in keys for length in range(1, len(key))}
    assert inner.isdisjoint(keys)
    assert not any(name.is_absolute() or ".." in name.parts for name in names)


def test_pictures_of_equal_names_in_different_arguments_keep_their_folders() -> None:
    make("x/set/a.jpg", "y/set/a.jpg", "z/a.jpg", "only/deep/a.jpg")
    relatives = [source.relative.as_posix() for source in find_images(["x/set", "y/set", "z/a.jpg"])]
    assert relatives == ["x/set/a.jpg", "y/set/a.jpg", "a.jpg"]
    assert [source.relative.as_posix() for source in find_images(["only"])] == ["deep/a.jpg"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("größe 日本 👨‍👩‍👧.jpg", "größe 日本 👨‍👩‍👧.jpg"),
        ("a\nb\tc\x1b[31m.jpg", "a\\nb\\tc\\x1b[31m.jpg"),
        ("\udce9\udcff.jpg", "\\xe9\\xff.jpg"),
        ("\ud800.jpg", "\\ud800.jpg"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("a\u2028b", "a\\u2028b"),
        ("", "''"),
        ("100%-\\n.jpg", "100%-\\n.jpg"),
    ],
)
def test_names_are_shown_on_one_line(name: str, shown: str) -> None:
    assert printable(name) == shown
    shown.encode()


def test_names_are_shown_in_what_the_terminal_can_express() -> None:
    assert printable("größe 日.jpg", "ascii") == "gr\\xf6\\xdfe \\u65e5.jpg"
    assert printable("größe 日.jpg", "latin-1") == "größe \\u65e5.jpg"
    assert printable(Path("a.jpg"), "ascii") == "a.jpg"
