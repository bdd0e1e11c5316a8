"""LoRA: nothing changes at first, only the products and the heads learn, and merged weights say the same."""

import copy

import torch
from small_models import small_classifier, small_tokenizer

from videobert_cli.core.model.lora import add_lora, merge_lora
from videobert_cli.core.sequences.packing import pack
from videobert_cli.core.tasks.classify import word_sequences

BATCH = pack(
    word_sequences(
        [torch.arange(4).numpy(), torch.tensor([7, 0]).numpy()],
        tokenizer=small_tokenizer(),
        max_num_tokens=12,
    )
)
LABELS = torch.tensor([0, 2])


def trained(model, *, num_steps=5):
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(num_steps):
        optimizer.zero_grad()
        model(BATCH, LABELS).score.loss.backward()
        optimizer.step()
    return model


def test_at_first_nothing_changes_and_each_projection_of_attention_has_a_product() -> None:
    plain, model = small_classifier(), small_classifier()
    assert add_lora(model, rank=2, alpha=4.0, seed=0) == 3
    with torch.no_grad():
        torch.testing.assert_close(model(BATCH).logits_BC, plain(BATCH).logits_BC)


def test_only_products_and_heads_learn() -> None:
    model = small_classifier()
    add_lora(model, rank=2, alpha=4.0, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = trained(model).state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(
        ".0.first_RI" in n or ".0.second_OR" in n or n.startswith(("classifier.", "bert.pooler."))
        for n in changed
    )
    assert sum("second_OR" in name for name in changed) == 3


def test_merged_weights_say_the_same_under_plain_names() -> None:
    model = small_classifier()
    add_lora(model, rank=2, alpha=4.0, seed=0)
    trained(model)
    with torch.no_grad():
        before = model(BATCH).logits_BC
    merged = copy.deepcopy(model)
    merge_lora(merged)
    assert merged.state_dict().keys() == small_classifier().state_dict().keys()
    with torch.no_grad():
        torch.testing.assert_close(merged(BATCH).logits_BC, before, rtol=0, atol=1e-5)
    plain = small_classifier()
    plain.load_state_dict(merged.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(plain(BATCH).logits_BC, before, rtol=0, atol=1e-5)


def test_the_same_seed_draws_the_same_products() -> None:
    states = []
    for seed in (0, 0, 1):
        model = small_classifier()
        add_lora(model, rank=2, alpha=4.0, seed=seed)
        states.append(torch.cat([p.flatten() for n, p in model.named_parameters() if "first_RI" in n]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
