"""AffectNet (Mollahosseini et al., 2017): preparing what its authors hand out, and listing what was prepared.

Prepared: ``Training_Labeled/``, ``Training_Unlabeled/`` and ``Validation/``, each with folders 0, 1, … of up
to 500 faces of 96x96 pixels named ``0000123s6s-400s1000.jpg``: number of the row, expression (0-10), valence
and arousal times 1000, -2000 where there is no value. Names with ``_`` for ``s`` are read as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface._suggest import unknown_name
from esrface.datasets.preparation import (
    FACE_SIDE,
    Prepared,
    Progress,
    Unusable,
    prepare,
    resized,
    write_picture,
)
from esrface.datasets.tables import count_rows, read_table
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError
from esrface.images import load_image

EXPRESSIONS: Final = (*EMOTIONS, "None", "Uncertain", "No-Face")
"""Names of the expression numbers 0-10; the first eight are the emotions in network order."""

NO_VALUE: Final = -2000
"""Valence and arousal in a name where the data set has none."""

PER_FOLDER: Final = 500

COLUMNS: Final = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "expression",
    "valence",
    "arousal",
)


@dataclass(frozen=True)
class SetNames:
    """What belongs to one set; of several names the first that is there counts."""

    tables: tuple[str, ...]
    pictures: tuple[str, ...]
    prepared: str


SETS: Final = {
    "automatic": SetNames(
        ("automatically_annotated.csv",),
        ("Automatically_Annotated_Images", "Automatically_Annotated"),
        "Training_Unlabeled",
    ),
    "training": SetNames(
        ("Manually_training.csv", "training.csv"),
        ("Manually_Annotated_Images", "Manually_Annotated_extracted", "Manually_Annotated"),
        "Training_Labeled",
    ),
    "validation": SetNames(
        ("Manually_validation.csv", "validation.csv"),
        ("Manually_Annotated_Images", "Manually_Annotated_extracted", "Manually_Annotated"),
        "Validation",
    ),
}
"""The sets, in the order of ``set_index`` in `pre_process_affect_net`."""

_NAME = re.compile(r"(\d+)[s_](-?\d+)[s_](-?\d+)[s_](-?\d+)\.(?:jpe?g|png)", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One line of an annotation table."""

    number: int
    """From 0."""
    cells: dict[str, str]


@dataclass(frozen=True, eq=False)
class AffectNetSet:
    """One prepared set as its names tell it; nothing is decoded."""

    paths: list[Path]
    """(N,) in the order of their numbers."""
    expressions: NDArray[np.int64]
    """(N,) 0-10, see `EXPRESSIONS`."""
    affect: NDArray[np.float32]
    """(N, 2) [valence, arousal] within -1..1, NaN where there is no value."""

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def counts(self) -> dict[str, int]:
        """Pictures of each expression by name."""
        found = np.bincount(self.expressions, minlength=len(EXPRESSIONS))
        return dict(zip(EXPRESSIONS, found.tolist(), strict=True))

    def select(self, keep: NDArray[np.bool_]) -> AffectNetSet:
        """The pictures where ``keep`` (N,) is true."""
        paths = [path for path, kept in zip(self.paths, keep, strict=True) if kept]
        return AffectNetSet(paths, self.expressions[keep], self.affect[keep])

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Pixels (M, 96, 96, 3), RGB, of M of the pictures.

        Raises:
            DataError: One cannot be read or has another size.
        """
        pixels = np.empty((len(indices), FACE_SIDE, FACE_SIDE, 3), dtype=np.uint8)
        for row, index in zip(pixels, indices, strict=True):
            path = self.paths[index]
            try:
                face = load_image(path)
            except InputError as error:
                raise DataError(f"{error}; delete it and prepare the set again with --resume") from error
            if face.shape != row.shape:
                raise DataError(
                    f"{printable(path)} has {face.shape[1]}x{face.shape[0]} pixels, expected {FACE_SIDE}x"
                    f"{FACE_SIDE}: prepare the data set with esrface data affectnet"
                )
            row[:] = face
        return pixels


def pre_process_affect_net(
    base_path_to_images: str | Path,
    base_path_to_annotations: str | Path,
    set_index: int,
    base_destination_path: str | Path | None = None,
) -> Prepared:
    """The original program's call: prepare set 0 (automatic), 1 (manual training) or 2 (manual validation).

    Args:
        base_path_to_images: Folder with ``Automatically_Annotated_Images`` or ``Manually_Annotated_Images``.
        base_path_to_annotations: Folder with the tables.
        set_index: Which set.
        base_destination_path: Where ``Training_Unlabeled``, ``Training_Labeled`` or ``Validation`` is made;
            None: in the folder with the images. A run that was stopped is gone on with.
    """
    if set_index not in range(len(SETS)):
        raise InputError(f"set_index must be 0, 1 or 2 ({', '.join(SETS)}), got {set_index!r}")
    images = Path(base_path_to_images)
    out = images if base_destination_path is None else Path(base_destination_path)
    return prepare_affectnet(images, Path(base_path_to_annotations), out, list(SETS)[set_index], resume=True)


def prepare_affectnet(
    images: Path,
    annotations: Path,
    out: Path,
    which: str,
    *,
    resume: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Crop the faces of a set, resize them to 96x96, and write them under names that tell their labels.

    A face's number is that of its row, so a run that was stopped goes on where it was, and leaving out what
    cannot be read moves nothing; folders hold the rows of 500 numbers each.

    Args:
        images: Folder with the set's pictures, or with the folder that holds them.
        annotations: Folder with the set's table, or the table itself.
        out: Folder in which the set's own is made.
        which: One of `SETS`.
        resume: See `esrface.datasets.preparation.prepare`, and so the rest.
        strict: As above.
        threads: As above.
        progress: As above.

    Raises:
        DataError: Table or pictures are not there, or the table lacks a column; or, with ``resume``, faces
            there have other numbers or labels than the table's. Nothing is written then.
    """
    if which not in SETS:
        raise InputError(unknown_name("set", which, SETS))
    names = SETS[which]
    table = annotations if annotations.is_file() else _first(annotations, names.tables, "annotation table")
    pictures = _first(images, names.pictures, "folder of pictures", otherwise=images)
    folder = out / names.prepared
    if resume:
        _refuse_other_faces(folder, table)

    def work(row: Row) -> bool:
        return _prepare_row(row, pictures, folder)

    return prepare(
        folder,
        _rows(table),
        work,
        lambda row: f"line {row.number + 2}, {row.cells['subDirectory_filePath']}",
        total=count_rows(table),
        resume=resume,
        strict=strict,
        threads=threads,
        progress=progress,
    )


def list_affectnet(data: Path, which: str) -> AffectNetSet:
    """List a prepared set: ``"automatic"``, ``"training"`` or ``"validation"``.

    Raises:
        DataError: It is not there, a name is not of the layout, a label is out of range, or a number stands
            twice.
    """
    if which not in SETS:
        raise DataError(unknown_name("set", which, SETS))
    folder = data / SETS[which].prepared
    if not folder.is_dir():
        raise DataError(
            f"{printable(data)}: no {folder.name} here; prepare it with: esrface data affectnet --set {which}"
        )
    found: list[tuple[int, Path, tuple[int, int, int]]] = []
    odd: list[Path] = []
    for path in sorted(_faces_in(folder)):
        match = _NAME.fullmatch(path.name)
        number, *labels = map(int, match.groups()) if match else (-1, -1, 0, 0)
        expression, valence, arousal = labels
        if (
            match is None
            or expression not in range(len(EXPRESSIONS))
            or not _affect_is_usable(valence, arousal)
        ):
            odd.append(path)
        else:
            found.append((number, path, (expression, valence, arousal)))
    if odd:
        files = counted(len(odd), "file is", "files are")
        raise DataError(
            f"{printable(folder)}: {files} not named by number, expression 0-10, valence and "
            f"arousal from -1000 to 1000 or -2000 (0000123s6s-400s1000.jpg), the first is {printable(odd[0])}"
        )
    if not found:
        raise DataError(f"{printable(folder)}: no pictures in it; is it unpacked?")
    found.sort(key=lambda entry: (entry[0], str(entry[1])))
    for (number, path, _), (following, other, _) in pairwise(found):
        if number == following:
            one, two = (printable(face.relative_to(folder)) for face in (path, other))
            raise DataError(
                f"{printable(folder)}: two faces have the number {number}, {one} and {two}: take one out"
            )
    labels_of = np.array([labels for _, _, labels in found], dtype=np.int64)
    affect = np.where(labels_of[:, 1:] == NO_VALUE, np.nan, labels_of[:, 1:] / 1000).astype(np.float32)
    return AffectNetSet([path for _, path, _ in found], labels_of[:, 0], affect)


def face_name(number: int, expression: int, valence: float, arousal: float) -> str:
    """Name of a prepared face; -2 for valence or arousal means that there is none."""
    return f"{number:07d}s{expression:d}s{round(valence * 1000):d}s{round(arousal * 1000):d}.jpg"


def _affect_is_usable(*values: int) -> bool:
    return all(-1000 <= value <= 1000 or value == NO_VALUE for value in values)


def _first(place: Path, names: tuple[str, ...], what: str, otherwise: Path | None = None) -> Path:
    """The first of the names that is in a place."""
    for name in names:
        if (place / name).exists():
            return place / name
    if otherwise is not None and otherwise.is_dir():
        return otherwise
    raise DataError(f"{printable(place)}: no {what} here, expected {' or '.join(names)}")


def _rows(table: Path) -> Iterator[Row]:
    for number, (_, cells) in enumerate(read_table(table, COLUMNS)):
        yield Row(number, cells)


def _faces_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and not path.name.startswith("."):
            yield path


def _refuse_other_faces(folder: Path, table: Path) -> None:
    """Refuse to go on among faces of another table, or of this one before labels were corrected: training
    would learn both."""
    others = set(_faces_in(folder))
    if not others:
        return
    for row in _rows(table):
        with suppress(Unusable):
            others.discard(_place(row, folder))
    if others:
        faces = counted(len(others), "face is", "faces are")
        raise DataError(
            f"{printable(folder)}: {faces} none of {printable(table)}, the first is "
            f"{printable(min(others))}: take them out, or choose another --out"
        )


def _prepare_row(row: Row, pictures: Path, folder: Path) -> bool:
    place = _place(row, folder)
    if place.exists():
        return False
    write_picture(place, resized(_face(row, pictures)))
    return True


def _place(row: Row, folder: Path) -> Path:
    """Where the row's face belongs; its name tells the labels."""
    try:
        expression = int(row.cells["expression"])
        valence, arousal = float(row.cells["valence"]), float(row.cells["arousal"])
    except ValueError:
        raise Unusable("expression, valence or arousal is no number") from None
    values = (
        (round(valence * 1000), round(arousal * 1000)) if np.isfinite([valence, arousal]).all() else (9999,)
    )
    if expression not in range(len(EXPRESSIONS)) or not _affect_is_usable(*values):
        raise Unusable(f"labels out of range: expression {expression}, valence {valence}, arousal {arousal}")
    name = face_name(row.number, expression, valence, arousal)
    return folder / str(row.number // PER_FOLDER) / name


def _face(row: Row, pictures: Path) -> NDArray[np.uint8]:
    """The row's face (h, w, 3), RGB, cut to the picture's edges."""
    try:
        x, y, width, height = (
            round(float(row.cells[f"face_{side}"])) for side in ("x", "y", "width", "height")
        )
    except (ValueError, OverflowError):
        raise Unusable("it has no face box") from None
    below = Path(row.cells["subDirectory_filePath"])
    path = pictures / below
    if not path.exists() and (pictures / below.name).exists():
        path = pictures / below.name
    try:
        picture = load_image(path)
    except InputError as error:
        raise Unusable(str(error)) from None
    face = picture[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    if not face.size:
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        raise Unusable(f"the face box {x}, {y}, {width}, {height} lies outside its {size} pixels")
    return face
