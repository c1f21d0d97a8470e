"""Reports: every figure in them is the one that was measured, and a page needs nothing but itself."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from drawn import write_ferplus
from drawn_protocols import write_prepared_affectnet
from esrface.cli import main
from esrface.emotions import EMOTIONS
from esrface.errors import DataError
from esrface.evaluation.affectnet import evaluate_affectnet
from esrface.evaluation.comparison import comparison
from esrface.evaluation.ferplus import FerPlusEvaluation, evaluate_ferplus
from esrface.evaluation.judged import with_robustness
from esrface.evaluation.paired import mcnemar_test
from esrface.evaluation.report import folders_of, planned_files, report_files
from esrface.recognizer import Recognizer

LABELS = [EMOTIONS[index % 7] for index in range(28)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ferplus")
    write_ferplus(folder, "zip", "valid", LABELS)
    return folder


@pytest.fixture(scope="module")
def judged(data: Path, tiny_model: Path) -> FerPlusEvaluation:
    with Recognizer(tiny_model, detector="none", threads=1) as recognizer:
        return with_robustness(evaluate_ferplus(data, "valid", recognizer), recognizer)


class Tags(HTMLParser):
    """Open tags of a page, and what it would fetch."""

    VOID = ("meta", "img", "br", "hr", "link", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.images = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.images += tag == "img"
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith("data:"):
                self.fetched.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_is_whole_and_fetches_nothing(judged: FerPlusEvaluation) -> None:
    page = str(report_files([("tiny", judged)])["report.html"])
    tags = Tags(page)
    assert tags.open == []
    assert tags.fetched == []
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page
    mistakes = int((~judged.correct).sum())
    assert tags.images == min(12, mistakes) + 1  # the surest mistakes, and a face under every corruption
    assert f"{100 * judged.figures().accuracy:.2f} %" in page
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page)
    for heading in ("Emotions", "How far the answers can be trusted", "Branches", "Worse pictures"):
        assert f"<h2>{heading}</h2>" in page


def test_names_cannot_break_a_page(judged: FerPlusEvaluation) -> None:
    files = report_files([("<b>&|\n", judged)])
    page = str(files["report.html"])
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
    Tags(page)
    assert str(files["report.md"]).splitlines()[0] == "# <b>&|\\n on FER+ validation (PublicTest)"


def test_markdown_shows_charts_that_are_there(judged: FerPlusEvaluation) -> None:
    files = report_files([("tiny", judged)])
    page = str(files["report.md"])
    shown = re.findall(r"\]\((charts/[^)]+)\)", page)
    assert sorted(shown) == sorted(name for name in files if name.startswith("charts/"))
    assert len(shown) == 6
    for name in shown:
        assert ET.fromstring(str(files[name])).tag.endswith("svg")
    for row in ("| Gaussian noise | ", "| Box too small | "):
        assert row in page
    assert set(files) <= set(planned_files(["tiny"]))


def test_the_table_of_corruptions_is_the_measured_one(judged: FerPlusEvaluation) -> None:
    files = report_files([("tiny", judged)])
    tested = json.loads(str(files["report.json"]))["corruptions"]
    shares = tested["accuracy"]["low_resolution"]
    cells = " | ".join(f"{100 * share:.1f}" for share in [*shares, np.mean(shares)])
    assert f"| Low resolution | {cells} |" in str(files["report.md"])
    mean = np.mean([tested["accuracy"][name] for name in list(tested["accuracy"])[:8]])
    assert tested["mean_accuracy"] == pytest.approx(mean)


def test_intervals_and_curve_agree_with_the_figures(judged: FerPlusEvaluation) -> None:
    measured = json.loads(str(report_files([("tiny", judged)])["report.json"]))
    for key in ("accuracy", "mean_recall"):
        low, high = measured[f"{key}_interval"]
        assert low <= measured[key] <= high
        assert high - low > 0.05  # 28 images say little
    curve = measured["uncertainty"]["risk_coverage"]
    assert curve[-1]["coverage"] == 1
    assert 1 - curve[-1]["risk"] == pytest.approx(measured["accuracy"])


def test_valence_and_arousal_are_drawn(tmp_path: Path, tiny_model: Path) -> None:
    write_prepared_affectnet(tmp_path, {"validation": 1})
    with Recognizer(tiny_model, detector="none", threads=1) as recognizer:
        files = report_files([("tiny", evaluate_affectnet(tmp_path, "validation", recognizer))])
    assert "charts/affect.svg" in files
    page = str(files["report.md"])
    assert "## Valence and arousal" in page
    assert "circumplex" in page
    assert re.search(r"\| seven emotions \(no contempt\) \| \d+\.\d\d % of 7 \|", page)
    assert "without duplicates" not in page


def better_of(judged: FerPlusEvaluation, wrong: list[int]) -> FerPlusEvaluation:
    """The same with the right answer everywhere but at these places."""
    emotion = judged.labels.copy()
    emotion[wrong] = (emotion[wrong] + 1) % 8
    return replace(judged, answers=replace(judged.answers, emotion=emotion), robustness=None)


def test_models_are_compared_image_by_image(judged: FerPlusEvaluation) -> None:
    first, second = better_of(judged, list(range(12))), better_of(judged, [11, 12])
    compared = comparison([("old", first), ("new", second)])
    assert [model["name"] for model in compared["models"]] == ["old", "new"]
    assert compared["models"][0]["accuracy"] == pytest.approx(16 / 28)
    [entry] = compared["differences"]
    assert entry["accuracy"] == pytest.approx(10 / 28)
    assert (entry["first_only"], entry["second_only"]) == (1, 11)
    # 12 images tell them apart; 0 or 1 of a fair coin's 12 tosses, on either side.
    assert entry["p"] == pytest.approx(2 * (1 + 12) / 2**12)
    low, high = entry["accuracy_interval"]
    assert 0 < low < 10 / 28 < high
    assert "corruptions" not in entry


def test_mcnemar_by_hand() -> None:
    right = np.ones(10, dtype=bool)
    assert mcnemar_test(right, right).p == 1
    other = right.copy()
    other[:5] = False
    assert mcnemar_test(right, other).p == pytest.approx(2 / 2**5)
    assert mcnemar_test(other, ~other).p == 1
    many = mcnemar_test(np.ones(5000, dtype=bool), np.zeros(5000, dtype=bool)).p
    assert math.isfinite(many)
    assert many < 1e-300 or many == 0
    with pytest.raises(ValueError, match="same images"):
        mcnemar_test(right, right[:3])


def test_other_images_cannot_be_compared(judged: FerPlusEvaluation) -> None:
    other = replace(judged, names=judged.names[::-1])
    with pytest.raises(DataError, match="same images only"):
        comparison([("one", judged), ("other", other)])


def test_folders_of_models_never_collide() -> None:
    assert folders_of(["a/b", "a b", "A-B", "charts", "..", "ü"]) == [
        "a-b", "a-b-2", "A-B-3", "charts-2", "model", "ü",
    ]  # fmt: skip


def test_two_models_on_the_command_line(
    data: Path, tiny_model: Path, make_model: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_model("another", temperature=0.5)  # type: ignore[operator]
    command = ["evaluate", "ferplus", "--data", str(data), "--threads", "1"]
    command += ["--model", str(tiny_model), "--model", str(other)]
    out = tmp_path / "report"
    assert main([*command, "--out", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    # Their cards have the same name, so folders tell them apart.
    names = [tiny_model.name, "another"]
    assert [model["name"] for model in record["models"]] == names
    assert [(entry["first"], entry["second"]) for entry in record["differences"]] == [tuple(names)]
    assert json.loads((out / "report.json").read_text("utf-8")) == record
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files <= set(planned_files(names))
    assert {"report.html", "another/report.html", "another/predictions.csv"} <= files
    rows = list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text("utf-8"))))
    assert len(rows) == 28
    own = list(csv.DictReader(io.StringIO((out / "another" / "predictions.csv").read_text("utf-8"))))
    assert [row["another emotion"] for row in rows] == [row["emotion"] for row in own]
    assert Tags((out / "report.html").read_text("utf-8")).fetched == []
    assert main([*command, "--out", str(out)]) == 2  # refused before the work
    assert capsys.readouterr().err.count("\n") == 1
    assert main(command) == 0
    seen = capsys.readouterr().err
    assert f"another against {tiny_model.name}: accuracy " in seen
    assert "McNemar's p" in seen


def test_a_model_given_twice_is_refused(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "ferplus", "--data", str(data), "--model", str(tiny_model)]
    assert main([*command, "--model", str(tiny_model)]) == 2
    assert "give each --model once" in capsys.readouterr().err


def test_corruptions_on_the_command_line(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ferplus(tmp_path, "zip", "valid", ["Happy", "Sad"])
    command = ["evaluate", "ferplus", "--data", str(tmp_path), "--model", str(tiny_model), "--threads", "1"]
    assert main([*command, "--corruptions"]) == 0
    seen = capsys.readouterr().err
    rows = {line.split("  ")[0].strip(): line.split() for line in seen.splitlines()}
    assert len(rows["low resolution"]) == 2 + 5 * 2
    assert "mean accuracy under corruptions" in seen
    assert main([*command, "--corruptions", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [f"{100 * share:.2f}" for share in record["corruptions"]["accuracy"]["jpeg"]] == rows["JPEG"][1::2]


@pytest.mark.parametrize("label", [0, 3])
def test_one_image_is_enough_for_a_report(tmp_path: Path, tiny_model: Path, label: int) -> None:
    write_ferplus(tmp_path, "zip", "valid", [EMOTIONS[label]])
    with Recognizer(tiny_model, detector="none", threads=1) as recognizer:
        judged = with_robustness(evaluate_ferplus(tmp_path, "valid", recognizer), recognizer)
    files = report_files([("tiny", judged)])
    page = str(files["report.html"])
    Tags(page)
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page)
    measured = json.loads(str(files["report.json"]))
    # One answer: it is right, or it is not, in 2.5 % of all samples of a model that is right in 2.5 (97.5) %.
    expected = [0.025, 1] if measured["accuracy"] else [0, 0.975]
    for key in ("accuracy", "mean_recall"):
        assert measured[f"{key}_interval"] == pytest.approx(expected)
    shown = f"{100 * expected[0]:.2f} to {100 * expected[1]:.2f} % (exact)"
    assert page.count(shown) == str(files["report.md"]).count(shown) == 2
    assert "nan" not in str(files["report.md"])
