"""Measuring a model: metrics on arrays, calibration, and the FER+ protocol of ``esrface evaluate``."""
