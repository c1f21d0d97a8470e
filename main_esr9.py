"""The original program's command line: ``python main_esr9.py image|video|webcam [options]``.

Everything is done by the command ``esrface``, whose options are the original's and more. Without ``-d`` and
``-o`` it prints a table of what it sees. Works in a clone whose requirements are installed.
"""

import sys
from pathlib import Path

MODES = ("image", "video", "webcam")
WITH_VALUE = (
    *("-i", "--input", "-s", "--size", "-fd", "--face_detection", "-f", "--frames"),
    *("-w", "--webcam", "--webcam_id", "-o", "--output"),
)
"""The original's options that are followed by something, which may be called like a mode."""

WITHOUT_MODE = ("-h", "--help", "-help", "--version")


def mode_first(arguments: list[str]) -> list[str]:
    """The arguments with the mode in front: the original takes it anywhere."""
    for place, argument in enumerate(arguments):
        if argument in MODES and (place == 0 or arguments[place - 1] not in WITH_VALUE):
            return [argument, *arguments[:place], *arguments[place + 1 :]]
    return arguments


def main() -> int:
    """Run the command line of this process and return its exit code."""
    sys.path.insert(0, str(Path(__file__).parent / "src"))
    arguments = mode_first(sys.argv[1:])
    if not arguments or arguments[0] not in (*MODES, *WITHOUT_MODE):
        print(f"main_esr9.py: give a mode: {', '.join(MODES)} (see 'main_esr9.py -h')", file=sys.stderr)
        return 2
    try:
        from esrface.cli import main as esrface
    except ModuleNotFoundError as error:
        print(f"main_esr9.py: {error}: install the requirements with pip install .", file=sys.stderr)
        return 2
    sys.argv[1:] = arguments
    return esrface()


if __name__ == "__main__":
    sys.exit(main())
