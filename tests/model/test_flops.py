"""The operations of a step, against those that torch itself counts in a real forward and backward pass."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from training_samples import CONFIG, sequences

from videobert_cli.core.model.flops import training_flops
from videobert_cli.core.model.init import new_model
from videobert_cli.core.sequences.packing import pack


def test_the_operations_are_those_that_torch_counts():
    config = replace(CONFIG, hidden_size=128, intermediate_size=512)
    samples = sequences(6, seed=1)
    batch = pack([samples.sequence(number) for number in range(8)])
    with FlopCounterMode(display=False) as counter:
        output = new_model(config, seed=0)(batch)
        torch.stack([output.text_loss, output.visual_loss, output.alignment_loss]).sum().backward()
    ours = training_flops(
        config,
        lengths_B=np.diff(batch.cu_seqlens.numpy()),
        num_predicted=len(batch.masked_positions_P),
    )
    # torch counts the pooler, the alignment's head, the centroids' projection and the CPU's padding in attention too.
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_a_layer_more_costs_a_layer_and_pairs_count_within_a_sequence_alone():
    lengths_B = np.array([100, 300])
    one = training_flops(CONFIG, lengths_B=lengths_B)
    assert training_flops(replace(CONFIG, num_hidden_layers=3), lengths_B=lengths_B) == 3 * one
    apart, together = (training_flops(CONFIG, lengths_B=np.array(given)) for given in ([200, 200], [400]))
    assert together - apart == 12 * CONFIG.hidden_size * (400**2 - 2 * 200**2)


def test_predictions_cost_the_vocabulary():
    more = training_flops(CONFIG, lengths_B=np.array([10]), num_predicted=5) - training_flops(
        CONFIG, lengths_B=np.array([10])
    )
    assert more == 6 * 5 * CONFIG.hidden_size * (CONFIG.hidden_size + 30 + 16)
