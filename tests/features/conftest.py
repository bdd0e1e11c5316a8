"""Fixtures of the feature tests."""

import pytest
import torch
from feature_samples import random_s3d_state


@pytest.fixture(scope="session")
def s3d_state() -> dict[str, torch.Tensor]:
    return random_s3d_state()
