"""Batches are filled up, so that no clip feels its neighbours; compiling changes nothing but the speed."""

import shutil

import numpy as np
import pytest
import torch
import torch._inductor.config
from feature_samples import clip_batch
from torch import nn

from videobert_cli.core.features.backbones.clip_runner import ClipRunner

CPU = torch.device("cpu")


class BatchSize(nn.Module):
    """Returns each clip's mean and the size of the batch it came in."""

    def forward(self, clips_NTHWC: torch.Tensor) -> torch.Tensor:
        means_N = clips_NTHWC.float().mean((1, 2, 3, 4))
        return torch.stack([means_N, torch.full_like(means_N, len(means_N))], 1)


def test_the_last_batch_is_filled_up_and_the_filling_dropped() -> None:
    batch = clip_batch(5, num_looked_at=2)
    runner = ClipRunner(BatchSize(), device=CPU, num_clips_at_once=4, compile_after=None)
    features = runner.features(batch)
    expected = batch.frames_FHWC[batch.frame_index_NT].astype(np.float64).mean((1, 2, 3, 4))
    assert np.allclose(features[:, 0], expected, rtol=1e-4)
    assert features[:, 1].tolist() == [4] * 5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs a C++ compiler")
def test_compiled_or_not_the_features_agree() -> None:
    batch = clip_batch(4, num_looked_at=2)
    runner = ClipRunner(BatchSize(), device=CPU, num_clips_at_once=2, compile_after=3)
    eager, compiled = runner.features(batch), runner.features(batch)
    assert np.allclose(eager, compiled, rtol=1e-5)
    assert type(runner._network).__name__ == "OptimizedModule"


@pytest.mark.slow
def test_a_machine_without_a_compiler_goes_on_uncompiled(monkeypatch) -> None:
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    torch._dynamo.reset()
    batch = clip_batch(6, num_looked_at=2)
    runner = ClipRunner(BatchSize(), device=CPU, num_clips_at_once=2, compile_after=1)
    with pytest.warns(UserWarning, match="the network runs uncompiled, and slower: torch.compile failed"):
        features = runner.features(batch)
    expected = batch.frames_FHWC[batch.frame_index_NT].astype(np.float64).mean((1, 2, 3, 4))
    assert np.allclose(features[:, 0], expected, rtol=1e-4)
    assert isinstance(runner._network, BatchSize)


def test_memory_that_runs_out_while_compiling_is_told(monkeypatch) -> None:
    def compile_without_memory(network, **_):
        def run(_):
            raise torch.OutOfMemoryError

        return run

    monkeypatch.setattr(torch, "compile", compile_without_memory)
    runner = ClipRunner(BatchSize(), device=CPU, num_clips_at_once=2, compile_after=0)
    with pytest.raises(torch.OutOfMemoryError):
        runner.features(clip_batch(2, num_looked_at=2))
