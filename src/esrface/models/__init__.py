"""Model files: networks as ONNX with their cards (JSON) beside them, and the models that ship."""
