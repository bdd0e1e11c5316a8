"""AdamW's two groups, and the rate as a function of the step."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_samples import CONFIG

from videobert_cli.core.model.init import new_model
from videobert_cli.core.training import optimizer as optimizer_module
from videobert_cli.core.training.optimizer import (
    build_optimizer,
    learning_rate,
    optimizer_tensors,
    restore_optimizer,
    set_learning_rate,
)
from videobert_cli.core.training.options import OptimizerOptions

SCHEDULES = st.sampled_from(["linear", "cosine", "constant"])


def groups(model, **options):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, options=OptimizerOptions(**options))
    return {
        group["weight_decay"]: {names[id(parameter)] for parameter in group["params"]}
        for group in optimizer.param_groups
    }


def test_norms_biases_and_the_glues_single_row_are_not_decayed():
    model = new_model(CONFIG, seed=0)
    found = groups(model, weight_decay=0.3)
    assert set(found) == {0.3, 0.0}
    assert "bert.embeddings.glue_embedding" in found[0.0]
    assert all(name.endswith(("bias", "glue_embedding")) or "LayerNorm" in name for name in found[0.0])
    assert all(name.endswith("weight") and "LayerNorm" not in name for name in found[0.3])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert found[0.0] | found[0.3] == trained
    assert not found[0.0] & found[0.3]


def test_frozen_rows_are_in_no_group():
    found = groups(new_model(CONFIG, seed=0))
    assert "bert.embeddings.visual_embeddings.weight" not in set().union(*found.values())


def test_decay_pulls_matrices_alone():
    model = torch.nn.Linear(3, 2)
    before = model.weight.detach().clone(), model.bias.detach().clone()
    optimizer = build_optimizer(model, options=OptimizerOptions(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(model.weight, before[0] * 0.95)
    assert torch.equal(model.bias, before[1])


@given(num_steps=st.integers(1, 200), warmup=st.floats(0, 0.9), schedule=SCHEDULES, peak=st.floats(1e-6, 1.0))
def test_the_rate_rises_to_its_peak_and_never_grows_again(num_steps, warmup, schedule, peak):
    options = OptimizerOptions(learning_rate=peak, warmup_fraction=warmup, schedule=schedule)
    rates = [learning_rate(step, num_steps=num_steps, options=options) for step in range(num_steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(peak)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1, 1, 0.853553, 0.5, 0.146447]),
        ("constant", [0.5, 1, 1, 1, 1, 1]),
    ],
)
def test_schedules_by_hand(schedule, expected):
    options = OptimizerOptions(learning_rate=1.0, warmup_fraction=1 / 3, schedule=schedule)
    assert [learning_rate(step, num_steps=6, options=options) for step in range(6)] == pytest.approx(
        expected, abs=1e-6
    )


def test_all_groups_get_the_rate():
    optimizer = build_optimizer(new_model(CONFIG, seed=0), options=OptimizerOptions())
    set_learning_rate(optimizer, 0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}


def test_the_state_comes_back_under_names():
    model = torch.nn.Linear(3, 2)
    optimizer = build_optimizer(model, options=OptimizerOptions(learning_rate=0.1))
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    tensors = optimizer_tensors(model, optimizer)
    assert set(tensors) == {
        f"{moment}/{name}" for moment in ("step", "exp_avg", "exp_avg_sq") for name in ("weight", "bias")
    }
    fresh = build_optimizer(model, options=OptimizerOptions(learning_rate=0.1))
    restore_optimizer(model, fresh, tensors)
    assert optimizer_tensors(model, fresh).keys() == tensors.keys()
    assert fresh.state[model.weight]["step"].device.type == "cpu"


# --- SGD, and rates that differ by layer ---


def gradients_of(model, *, seed):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


def test_sgd_is_momentum_by_hand():
    model = torch.nn.Linear(3, 2)
    options = OptimizerOptions(name="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    optimizer = build_optimizer(model, options=options)
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    velocity, bias_velocity = torch.zeros_like(weight), torch.zeros_like(bias)
    for seed in range(3):
        gradients_of(model, seed=seed)
        velocity = 0.5 * velocity + model.weight.grad + 0.2 * weight
        bias_velocity = 0.5 * bias_velocity + model.bias.grad
        weight, bias = weight - 0.1 * velocity, bias - 0.1 * bias_velocity
        optimizer.step()
    torch.testing.assert_close(model.weight.detach(), weight)
    torch.testing.assert_close(model.bias.detach(), bias)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_goes_on_from_its_saved_state(momentum):
    options = OptimizerOptions(name="sgd", learning_rate=0.1, momentum=momentum)
    model = torch.nn.Linear(3, 2)
    optimizer = build_optimizer(model, options=options)
    gradients_of(model, seed=0)
    optimizer.step()
    saved, other = optimizer_tensors(model, optimizer), torch.nn.Linear(3, 2)
    assert set(saved) == ({"momentum_buffer/weight", "momentum_buffer/bias"} if momentum else set())
    other.load_state_dict(model.state_dict())
    fresh = build_optimizer(other, options=options)
    restore_optimizer(other, fresh, {name: tensor.clone() for name, tensor in saved.items()})
    for one, its_optimizer in ((model, optimizer), (other, fresh)):
        gradients_of(one, seed=1)
        its_optimizer.step()
    assert torch.equal(model.weight, other.weight)


def test_each_layer_has_its_share_of_the_rate():
    config = replace(CONFIG, num_hidden_layers=3)
    model = new_model(config, seed=0)
    optimizer = build_optimizer(model, options=OptimizerOptions(learning_rate=1.0, layer_decay=0.5))
    set_learning_rate(optimizer, 0.8)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert set(rates) == {name for name, p in model.named_parameters() if p.requires_grad}
    for name, rate in rates.items():
        if name.startswith("cls."):
            assert rate == 0.8
        elif name.startswith("bert.embeddings."):
            assert rate == 0.8 * 0.5**4
        else:
            assert rate == 0.8 * 0.5 ** (3 - int(name.split(".")[3]))
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.01, 0.0}


def test_one_rate_for_all_is_two_groups():
    assert len(build_optimizer(new_model(CONFIG, seed=0), options=OptimizerOptions()).param_groups) == 2


def taken(model, optimizer, *, seed):
    """Take a step with random gradients."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()


def test_on_a_cpu_adamw_is_not_fused():
    defaults = build_optimizer(torch.nn.Linear(3, 2), options=OptimizerOptions()).defaults
    assert (defaults["foreach"], defaults["fused"]) == (True, False)


@pytest.mark.parametrize("is_fused_first", [False, True])
def test_fused_goes_on_where_the_other_stopped(monkeypatch, is_fused_first):
    """As on a GPU after a CPU, and the other way round: torch's fused kernel runs here too."""
    options = OptimizerOptions(learning_rate=0.1, weight_decay=0.5)
    plain, mixed = (torch.nn.Linear(3, 2) for _ in range(2))
    mixed.load_state_dict(plain.state_dict())
    steady = build_optimizer(plain, options=options)
    monkeypatch.setattr(optimizer_module, "_has_fused_kernel", lambda parameters: is_fused_first)
    first = build_optimizer(mixed, options=options)
    for optimizer, model in ((steady, plain), (first, mixed)):
        taken(model, optimizer, seed=1)
    monkeypatch.setattr(optimizer_module, "_has_fused_kernel", lambda parameters: not is_fused_first)
    second = build_optimizer(mixed, options=options)
    restore_optimizer(mixed, second, optimizer_tensors(mixed, first))
    for optimizer, model in ((steady, plain), (second, mixed)):
        taken(model, optimizer, seed=2)
    assert {first.defaults["fused"], second.defaults["fused"]} == {False, True}
    for mine, theirs in zip(mixed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_a_fused_optimizers_counter_lies_beside_its_parameter(monkeypatch):
    model = torch.nn.Linear(3, 2)
    gpu = torch.device("cuda")
    plain = build_optimizer(model, options=OptimizerOptions())
    monkeypatch.setattr(optimizer_module, "_has_fused_kernel", lambda parameters: True)
    fused = build_optimizer(model, options=OptimizerOptions())
    place = optimizer_module._place
    assert [place("step", optimizer, device=gpu).type for optimizer in (plain, fused)] == ["cpu", "cuda"]
    assert [place("exp_avg", optimizer, device=gpu).type for optimizer in (plain, fused)] == ["cuda", "cuda"]
