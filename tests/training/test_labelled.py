"""Heads of labels in pretraining: whose labels count, batches by seed and step, losses by hand, exact resume."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from executable import lasting_metrics
from sklearn.metrics import f1_score
from training_samples import (
    CONFIG,
    LOOP,
    NUM_WORDS,
    VOCABULARY,
    Interrupting,
    make_loop,
    sequences,
    weights,
)

from videobert_cli.core.model.init import new_model
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.batches import Batches, InlineLoader
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.sequences.packing import NO_LABEL
from videobert_cli.core.training.job import merged
from videobert_cli.core.training.labelled import (
    LabelledSegments,
    LabelledStream,
    PretrainingBatch,
    appended,
    label_heads,
    targets_of,
)
from videobert_cli.core.training.objectives import LabelObjective, PretrainingJob
from videobert_cli.core.training.options import LabelHeadOptions, LossWeights
from videobert_cli.core.training.probe import Probe
from videobert_cli.errors import InputError, InterruptedRunError
from videobert_cli.runtime import StopRequest

OPTIONS = (
    LabelHeadOptions(column="verb", weight=0.5),
    LabelHeadOptions(column="tools", kind="multi", separator=";", weight=2.0),
)


def segments(num, *, split="train", seed=0):
    """The word tells verb and tools; every third has no tools, every seventh no verb."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(num):
        word = int(generator.integers(NUM_WORDS))
        tools = [name for bit, name in enumerate(("pan", "lid", "knife")) if word >> bit & 1]
        found.append(
            LabelledWords(
                video_id=f"{split}{number}",
                split=split,
                start_seconds=0.0,
                end_seconds=None,
                words_T=np.full(4, word),
                labels={
                    "verb": "" if number % 7 == 6 else ("cut", "fry")[word // 8],
                    "tools": "" if number % 3 == 2 else " ; ".join(tools),
                },
            )
        )
    return found


PAPER = LossWeights(alignment=0.5)
TRAIN = segments(40)
HELD_OUT = segments(15, split="validation", seed=1)
HEADS = label_heads(TRAIN, OPTIONS)


def labelled_segments(found, heads=HEADS):
    return LabelledSegments(found, heads=heads, vocabulary=VOCABULARY, max_num_tokens=64)


def job(*, held_out=HELD_OUT, probe=None, losses=PAPER, batch_num_sequences=4):
    model = new_model(CONFIG, seed=0)
    model.set_label_heads(HEADS, seed=0)

    def batches(seed):
        loader = InlineLoader(sequences(3, seed=seed))
        return Batches(loader, num_sequences=batch_num_sequences)

    return PretrainingJob(
        model,
        batches=batches(1),
        held_out=batches(2),
        held_out_epoch_size=sequences(3, seed=2).epoch_size,
        weights=losses,
        validate_num_batches=4,
        labels=LabelObjective(
            train=LabelledStream(labelled_segments(TRAIN), num_segments=6, max_subsampling=2, seed=5),
            held_out=labelled_segments(held_out),
            weights={option.column: option.weight for option in OPTIONS},
        ),
        probe=probe,
    )


def test_classes_are_those_of_the_training_split_sorted():
    others = segments(5, split="validation")
    assert [(head.name, head.kind, head.classes) for head in label_heads([*TRAIN, *others], OPTIONS)] == [
        ("verb", "single", ("cut", "fry")),
        ("tools", "multi", ("knife", "lid", "pan")),
    ]
    with pytest.raises(InputError, match="column 'tools' has 0 classes in the training split") as caught:
        label_heads([*segments(9, split="test")], OPTIONS[1:])
    assert caught.value.at == "pretrain.labels.heads"


def test_targets_say_what_a_segment_has_and_what_nobody_asks():
    rows = [
        targets_of(labels, HEADS).tolist()
        for labels in (
            {"verb": "fry", "tools": "pan;knife"},
            {"verb": " cut ", "tools": "whisk"},
            {"verb": "juggle", "tools": "lid;whisk"},
            {},
        )
    ]
    no = NO_LABEL
    assert rows == [[1, 1, 0, 1], [0, no, no, no], [no, 0, 1, 0], [no, no, no, no]]


def test_segments_without_any_label_are_no_samples_and_an_epoch_has_every_other_once():
    stream = LabelledStream(labelled_segments(TRAIN), num_segments=7, max_subsampling=3, seed=2)
    kept = labelled_segments(TRAIN)
    with_label = [segment for segment in TRAIN if any(head.numbers(segment.labels) for head in HEADS)]
    assert len(kept) == len(with_label) < len(TRAIN)
    wanted = sorted(tuple(targets_of(segment.labels, HEADS)) for segment in with_label)
    rows = [tuple(row) for step in range(len(kept)) for row in stream.batch(step).targets_BL.tolist()]
    assert sorted(rows[: len(kept)]) == wanted
    assert sorted(rows[len(kept) : 2 * len(kept)]) == wanted
    assert rows[: len(kept)] != rows[len(kept) : 2 * len(kept)]


def test_a_batch_is_a_function_of_seed_and_step():
    def tokens(step, seed=2):
        stream = LabelledStream(labelled_segments(TRAIN), num_segments=7, max_subsampling=3, seed=seed)
        return stream.batch(step).packed.input_ids_S.tolist()

    assert tokens(3) == tokens(3)
    assert tokens(3) != tokens(4)
    assert tokens(3) != tokens(3, seed=3)


def test_the_pass_beside_the_stream_gives_what_a_pass_alone_gives():
    """Losses of the stream do not know the labelled segments, nor these the stream."""
    tested = job()
    tested.model.eval()
    batch = tested.batch(0, first_sequence=0)
    with torch.no_grad():
        together, alone, apart = (
            tested.model(*appended(part))
            for part in (batch, replace(batch, segments=None), replace(batch, stream=None))
        )
    for name in ("text", "visual", "alignment"):
        found, expected = (getattr(output, f"{name}_loss").item() for output in (together, alone))
        assert found == pytest.approx(expected, rel=1e-5)
        assert getattr(apart, f"num_{name}").item() == 0
    assert alone.label_scores == ()
    for found, expected in zip(together.label_scores, apart.label_scores, strict=True):
        assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
        assert (found.num.item(), found.num_hits.item()) == (expected.num.item(), expected.num_hits.item())
    with pytest.raises(ValueError, match="needs sequences or labelled segments"):
        appended(PretrainingBatch())


def test_losses_and_measures_are_those_written_out_by_hand():
    tested = job()
    tested.model.eval()
    labelled = tested._labels.train.batch(1)
    with torch.no_grad():
        verb, tools = tested.model(*appended(PretrainingBatch(segments=labelled))).label_scores
        verb_logits, tool_logits = (x.double().numpy() for x in tested.model.label_logits(labelled.packed))
    targets = labelled.targets_BL.numpy()
    rows = np.flatnonzero(targets[:, 0] != NO_LABEL)
    log_shares = verb_logits - np.log(np.exp(verb_logits).sum(1, keepdims=True))
    assert verb.loss.item() == pytest.approx(-log_shares[rows, targets[rows, 0]].mean(), rel=1e-5)
    assert verb.num_hits / verb.num_asked == np.mean(verb_logits[rows].argmax(1) == targets[rows, 0])
    rows = np.flatnonzero(targets[:, 1] != NO_LABEL)
    truth, chance = targets[rows, 1:], 1 / (1 + np.exp(-tool_logits[rows]))
    entropy = -(truth * np.log(chance) + (1 - truth) * np.log(1 - chance))
    assert tools.loss.item() == pytest.approx(entropy.mean(), rel=1e-5)
    expected = f1_score(truth, chance > 0.5, average="micro", zero_division=0)
    assert float(tools.num_hits / tools.num_asked) == pytest.approx(expected)


def whole_report(tested, step):
    batch = tested.batch(step, first_sequence=0)
    return batch, tested.forward(batch, counts=tested.counts(batch))


def test_the_loss_is_the_sum_with_the_heads_weights():
    tested = job()
    tested.model.eval()
    with torch.no_grad():
        batch, report = whole_report(tested, 2)
    named = {name: tally.mean for name, tally in report.metrics.items()}
    papers = sum(
        weight * named.get(f"{name}_loss", 0)
        for name, weight in (("text", 1), ("visual", 1), ("alignment", 0.5))
    )
    expected = papers + 0.5 * named["labels.verb.loss"] + 2.0 * named["labels.tools.loss"]
    assert report.loss.item() == pytest.approx(expected, rel=1e-5)
    assert batch.num_sequences == 4
    assert batch.num_tokens == batch.stream.num_tokens + batch.segments.packed.num_tokens


@pytest.mark.parametrize("num_parts", [2, 3, 4])
def test_parts_of_a_batch_give_the_loss_gradients_and_measures_of_the_whole(num_parts):
    tested = job()
    tested.model.eval()
    batch, report = whole_report(tested, 1)
    wanted = torch.autograd.grad(report.loss, tested.model.cls.labels.parameters())
    counts = tested.counts(batch)
    parts = [tested.forward(part, counts=counts) for part in batch.split(num_parts)]
    assert len(parts) == num_parts
    total = sum(part.loss for part in parts)
    assert total.item() == pytest.approx(report.loss.item(), rel=1e-5)
    for found, expected in zip(
        torch.autograd.grad(total, tested.model.cls.labels.parameters()), wanted, strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-6)
    together = merged(part.metrics for part in parts)
    assert together.keys() == report.metrics.keys()
    for name, tally in report.metrics.items():
        assert together[name].mean == pytest.approx(tally.mean, rel=1e-5)


def test_held_out_numbers_are_those_of_all_held_out_segments_whatever_the_batch():
    found = []
    for size in (3, 4, 64):
        tested = job(batch_num_sequences=size)
        tested.model.eval()
        with torch.no_grad():
            # With 3 a batch, 12 of the segments are looked at, with more all of them.
            found.append(tested.validate())
    names = {"labels.verb.loss", "labels.verb.accuracy", "labels.tools.loss", "labels.tools.micro_f1"}
    assert names <= set(found[0])
    for name in names:
        assert found[1][name] == pytest.approx(found[2][name], rel=1e-5)
    whole = found[2]
    expected = sum(
        weight * whole[name]
        for name, weight in (
            ("text_loss", 1.0),
            ("visual_loss", 1.0),
            ("alignment_loss", 0.5),
            ("labels.verb.loss", 0.5),
            ("labels.tools.loss", 2.0),
        )
    )
    assert whole["loss"] == pytest.approx(expected, rel=1e-5)


def test_nothing_held_out_with_a_label_leaves_the_heads_out():
    tested = job(held_out=[])
    tested.model.eval()
    with torch.no_grad():
        assert not any(name.startswith("labels.") for name in tested.validate())


def test_heads_learn_what_is_to_be_learned(tmp_path):
    tested = job(held_out=TRAIN, losses=LossWeights(text=0, video=0, alignment=0), batch_num_sequences=12)
    make_loop(tested, tmp_path, num_steps=60, validate_every_steps=60, save_every_steps=60).run()
    with torch.no_grad():
        found = tested.validate()
    # Without learning: the logarithm of 2 and, half the classes right by chance, 0.5.
    assert max(found["labels.verb.loss"], found["labels.tools.loss"]) < 0.5 * np.log(2)
    assert min(found["labels.verb.accuracy"], found["labels.tools.micro_f1"]) > 0.8


def test_a_run_with_heads_resumes_exactly(tmp_path):
    whole, rest = job(), job()
    make_loop(whole, tmp_path / "whole").run()
    for stop_at in (2, 7):
        stop = StopRequest()
        with pytest.raises(InterruptedRunError):
            make_loop(Interrupting(job(), stop=stop, stop_at=stop_at), tmp_path / "broken", stop=stop).run()
    make_loop(rest, tmp_path / "broken").run()
    assert weights(rest.model) == weights(whole.model)
    assert any(name.startswith("cls.labels.") for name in weights(whole.model))
    texts = [lasting_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "broken")]
    assert texts[0] == texts[1]


# --- heads of a model ---


def test_heads_are_saved_and_read_with_the_model(tmp_path):
    model = new_model(CONFIG, seed=0)
    model.save_pretrained(tmp_path / "without")
    assert "label_heads" not in (tmp_path / "without" / "config.json").read_text()
    model.set_label_heads(HEADS, seed=3)
    model.save_pretrained(tmp_path / "with")
    again = VideoBERTForPreTraining.from_pretrained(tmp_path / "with")
    assert again.config.label_heads == HEADS
    assert weights(again) == weights(model)


def test_a_head_goes_on_where_column_kind_and_classes_are_the_same():
    model = new_model(CONFIG, seed=0)
    model.set_label_heads(HEADS, seed=3)
    verb = model.cls.labels.layers[0].weight.clone()
    more = LabelHead(name="tools", kind="multi", classes=(*HEADS[1].classes, "whisk"))
    model.set_label_heads((more, HEADS[0]), seed=4)
    assert torch.equal(model.cls.labels.layers[1].weight, verb)
    assert model.cls.labels.layers[0].weight.shape == (4, 64)
    fresh = new_model(CONFIG, seed=0)
    fresh.set_label_heads((more,), seed=4)
    assert torch.equal(fresh.cls.labels.layers[0].weight, model.cls.labels.layers[0].weight)


# --- the probe ---


def test_the_probe_asks_when_it_is_due_and_changes_nothing(tmp_path):
    asked = []

    def ask(model):
        assert not model.training
        asked.append(model)
        return {"zero_shot.verb.top1": 0.25}

    plain, probed = job(), job(probe=Probe(ask=ask, every_num_steps=8, num_steps=LOOP["num_steps"]))
    make_loop(plain, tmp_path / "plain").run()
    make_loop(probed, tmp_path / "probed").run()
    assert weights(plain.model) == weights(probed.model)
    assert len(asked) == 2
    lines = lasting_metrics(tmp_path / "probed" / "metrics.jsonl").splitlines()
    with_answers = [line for line in lines if '"zero_shot.verb.top1": 0.25' in line]
    assert [line[:12] for line in with_answers] == ['{"step": 8, ', '{"step": 12,']
    rest = [line.replace(', "zero_shot.verb.top1": 0.25', "") for line in lines]
    assert rest == lasting_metrics(tmp_path / "plain" / "metrics.jsonl").splitlines()
