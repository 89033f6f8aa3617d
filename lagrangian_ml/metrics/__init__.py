"""How far a prediction is from the truth: norms, spectra, conservation, and a field judged at known samples."""

from .conservation import conservation_drift
from .judgement import blank_samples, errors, evaluate_field, reference_samples
from .norms import max_error, nrmse, r2, relative_l2, rmse, vrmse
from .spectra import band_rmse, energy_spectrum
from .trajectories import correlation_time

__all__ = [
    "band_rmse",
    "blank_samples",
    "conservation_drift",
    "correlation_time",
    "energy_spectrum",
    "errors",
    "evaluate_field",
    "max_error",
    "nrmse",
    "r2",
    "reference_samples",
    "relative_l2",
    "rmse",
    "vrmse",
]
