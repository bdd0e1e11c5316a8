"""Compiled layers and recomputed activations: the same numbers, one program for all batches, less memory."""

from dataclasses import replace

import pytest
import torch
from torch._dynamo.utils import counters

from videobert_cli.core.model import compiling
from videobert_cli.core.model.compiling import compile_encoder, compiler_problem, is_compiled
from videobert_cli.core.model.encoder import Encoder
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import pack
from videobert_cli.errors import UsageError

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def gradients(model, batch, *, seed=0):
    model.zero_grad()
    torch.manual_seed(seed)
    output = model(batch)
    (output.text_loss + output.visual_loss + output.alignment_loss).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def kept_bytes(model, batch):
    """Return how many bytes the way forward keeps for the way back, each array once."""
    kept = {}

    def note(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model(batch)
    return sum(kept.values()), output


def test_recomputed_activations_give_the_same_bytes_dropout_and_all(config, make_sequences):
    batch = pack(make_sequences(0, lengths=(7, 3, 12, 1, 9)))
    model = VideoBERTForPreTraining(config, seed=1).train()
    expected, state = gradients(model, batch), torch.get_rng_state()
    model.bert.encoder.recomputes_activations = True
    found = gradients(model, batch)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert torch.equal(torch.get_rng_state(), state)


def test_recomputed_activations_are_not_kept(config, make_sequences):
    batch = pack(make_sequences(0, lengths=(30,) * 20))
    model = VideoBERTForPreTraining(replace(config, num_hidden_layers=12), seed=1).train()
    whole, _ = kept_bytes(model, batch)
    model.bert.encoder.recomputes_activations = True
    with_inputs_alone, _ = kept_bytes(model, batch)
    assert with_inputs_alone < whole / 3


@pytest.mark.slow
def test_one_program_serves_all_batches_and_layers(config, make_sequences):
    if problem := compiler_problem(CPU):
        pytest.skip(problem)
    still = replace(config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_hidden_layers=3)
    compiled, plain = (
        VideoBERTForPreTraining(replace(still, max_position_embeddings=200), seed=1) for _ in range(2)
    )
    compile_encoder(compiled.bert.encoder, wanted="on", device=CPU, on_message=pytest.fail)
    torch._dynamo.reset()
    counters.clear()
    for number, lengths in enumerate([(7, 3, 12), (150, 20, 3), (5, 5, 5), (9, 1), (44, 3, 17, 4), (100,)]):
        batch = pack(make_sequences(number, lengths=lengths))
        compiled.bert.encoder.recomputes_activations = number % 2 == 1
        found, expected = gradients(compiled, batch), gradients(plain, batch)
        largest = max(float(gradient.abs().max()) for gradient in expected.values())
        for name, gradient in expected.items():
            # A key's bias has no gradient but rounding.
            scale = largest if name.endswith("key.bias") else float(gradient.abs().max()) + 1e-3
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-4 * scale, msg=name)
        # What comes before attention, and what comes after it: two programs for three layers.
        assert counters["stats"]["unique_graphs"] == 2
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.slow
def test_compiled_dropout_drops_its_share(config, make_sequences):
    if problem := compiler_problem(CPU):
        pytest.skip(problem)
    model = VideoBERTForPreTraining(replace(config, hidden_dropout_prob=0.5), seed=1).train()
    compile_encoder(model.bert.encoder, wanted="on", device=CPU, on_message=pytest.fail)
    batch = pack(make_sequences(0, lengths=(30, 20)))
    first, again, other = (gradients(model, batch, seed=seed) for seed in (1, 1, 2))
    name = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


def test_auto_compiles_on_a_gpu_alone():
    assert [is_compiled("auto", device=device) for device in (CPU, GPU)] == [False, True]
    assert [is_compiled("on", device=CPU), is_compiled("off", device=GPU)] == [True, False]


def test_where_nothing_compiles_auto_says_so_and_on_is_refused(config, monkeypatch):
    def fails(function):
        raise RuntimeError("no C compiler\nfound")

    monkeypatch.setattr(torch, "compile", fails)
    compiler_problem.cache_clear()
    monkeypatch.setattr(compiling, "is_compiled", lambda wanted, device: True)
    encoder, messages = Encoder(config), []
    compile_encoder(encoder, wanted="auto", device=CPU, on_message=messages.append)
    assert messages == [
        "the layers run uncompiled, and slower: torch.compile failed (RuntimeError: no C compiler)"
    ]
    with pytest.raises(UsageError, match="does not work here") as caught:
        compile_encoder(encoder, wanted="on", device=CPU, on_message=messages.append)
    assert "pretrain.compile=off" in caught.value.fix
    compiler_problem.cache_clear()
