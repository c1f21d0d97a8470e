#!/usr/bin/env bash
# Build the wheel and use it in a clean environment: weights inside, tests outside, small, without torch.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m pip wheel -q --no-deps -w "$work" .
wheel=$(ls "$work"/esrface-*.whl)
"$python" - "$wheel" <<'PY'
import sys
import zipfile
from pathlib import Path

wheel = Path(sys.argv[1])
names = zipfile.ZipFile(wheel).namelist()
assert "esrface/models/weights/esr9-fer.onnx" in names, "the default model is not in the wheel"
assert "esrface/py.typed" in names
assert "esrface/models/published/esr9-affectnet.json" in names, "what can be downloaded is not in the wheel"
assert not [name for name in names if name.startswith(("tests", "benchmarks"))], "tests are in the wheel"
size = wheel.stat().st_size / 1e6
assert size < 12, f"the wheel has {size:.1f} MB"
print(f"{wheel.name}: {size:.1f} MB")
PY
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install -q -c constraints.txt "$wheel"
# The base install recognises without torch.
! "$work/venv/bin/python" -c 'import torch' 2>/dev/null
cp examples/astronaut.jpg "$work/"
cd "$work"
venv/bin/esrface image astronaut.jpg --json | grep -q '"emotion":"Happy"'
venv/bin/esrface doctor
