"""Measuring a model: metrics on arrays, calibration, and each data set's protocol of ``esrface evaluate``."""
