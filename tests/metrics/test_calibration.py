"""Calibration: the error by hand, and a temperature that mends what one temperature spoiled."""

import numpy as np
import pytest

from videobert_cli.core.metrics.calibration import at_temperature, best_temperature, calibration_error


def sure(num: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right exactly as often as they say, and the truth."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet([0.7] * 4, size=num)
    truth = np.array([generator.choice(4, p=row) for row in probabilities])
    return probabilities, truth


def test_the_error_by_hand() -> None:
    # One bin holds 0.62 and 0.66, of which one is right; another 1.0, right.
    probabilities = np.array([[0.62, 0.38], [0.66, 0.34], [1.0, 0.0]])
    assert calibration_error(probabilities, np.array([0, 1, 0])) == pytest.approx((2 / 3) * abs(0.64 - 0.5))
    assert calibration_error(np.array([[1.0, 0.0]]), np.array([1])) == 1


def test_what_is_calibrated_has_little_error_and_sharper_has_more() -> None:
    probabilities, truth = sure(20_000)
    assert calibration_error(probabilities, truth) < 0.02
    assert calibration_error(at_temperature(probabilities, 0.5), truth) > 0.08


def test_a_temperature_is_found_again() -> None:
    probabilities, truth = sure(20_000)
    for spoiled in (0.5, 2.0):
        wrong = at_temperature(probabilities, spoiled)
        found = best_temperature(wrong, truth)
        assert found == pytest.approx(1 / spoiled, rel=0.05)
        assert calibration_error(at_temperature(wrong, found), truth) < 0.02
    np.testing.assert_allclose(at_temperature(probabilities, 1.0), probabilities, atol=1e-9)
