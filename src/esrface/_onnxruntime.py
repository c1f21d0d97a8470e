"""ONNX Runtime without its telemetry.

From 1.32 at the latest its import writes a device id and a database into the home folder and reports to its
maker, unless the environment says otherwise before: `onnxruntime.disable_telemetry_events` comes too late.
All of this package imports it from here.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: TID251

__all__ = ["onnxruntime"]
