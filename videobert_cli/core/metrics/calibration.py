"""Whether a classifier's confidence is right as often as it says: expected calibration error, and one temperature.

Guo, Pleiss, Sun and Weinberger, ICML 2017.
"""

import numpy as np

# Shapes: N segments, C classes.

NUM_BINS = 15


def calibration_error(probabilities_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Return the expected calibration error: 15 bins of equal width over the confidence of the answer.

    Of each bin the distance between mean confidence and accuracy, weighted by how many segments fall into it.

    >>> calibration_error(np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.8, 0.2]]), np.array([0, 0, 0, 1])).round(3)
    np.float64(0.05)
    """
    confidence_N = probabilities_NC.max(axis=1)
    is_right_N = probabilities_NC.argmax(axis=1) == truth_N
    # The upper edge belongs to a bin: a confidence of 1 to the last.
    bins_N = np.clip(np.ceil(confidence_N * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    gaps = np.bincount(bins_N, weights=confidence_N - is_right_N, minlength=NUM_BINS)
    return np.float64(np.abs(gaps).sum() / len(truth_N))


def best_temperature(probabilities_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Return the temperature by which log-probabilities are divided for the least cross entropy on these segments."""
    from scipy.optimize import minimize_scalar

    logs_NC = np.log(np.maximum(probabilities_NC.astype(np.float64), 1e-30))

    def cross_entropy(log_temperature: float) -> float:
        scaled_NC = logs_NC / np.exp(log_temperature)
        normalizer_N = np.logaddexp.reduce(scaled_NC, axis=1)
        return float(np.mean(normalizer_N - scaled_NC[np.arange(len(truth_N)), truth_N]))

    found = minimize_scalar(cross_entropy, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def at_temperature(probabilities_NC: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (N, C) with their logarithms divided by a temperature."""
    scaled_NC = np.log(np.maximum(probabilities_NC.astype(np.float64), 1e-30)) / temperature
    return np.asarray(np.exp(scaled_NC - np.logaddexp.reduce(scaled_NC, axis=1)[:, None]))
