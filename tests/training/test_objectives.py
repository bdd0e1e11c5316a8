"""The jobs: weighted losses, counts that add up, every segment once an epoch, and where a model starts."""

import numpy as np
import pytest
import torch
from executable import lasting_metrics
from pydantic import ValidationError
from training_samples import (
    CONFIG,
    NUM_WORDS,
    VOCABULARY,
    Interrupting,
    forward,
    make_loop,
    pretraining_job,
    sequences,
    weights,
)

from videobert_cli.core.model.classification import VideoBERTForSequenceClassification
from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.model.options import ModelOptions
from videobert_cli.core.sequences.epoch_order import EpochOrder
from videobert_cli.core.sequences.labelled import LabelledWords
from videobert_cli.core.sequences.packing import NO_LABEL, pack
from videobert_cli.core.sequences.token_sequence import PAIRINGS
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.classification import ClassificationJob
from videobert_cli.core.training.labelled import LabelledSegments
from videobert_cli.core.training.options import LossWeights, OptimizerOptions, PretrainOptions
from videobert_cli.core.training.start import start_model
from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.errors import CodebookMismatchError, InterruptedRunError, UsageError
from videobert_cli.runtime import StopRequest

CONSTANT = OptimizerOptions(learning_rate=1e-2, schedule="constant")


def test_the_loss_is_the_weighted_sum_of_the_three():
    jobs = {
        name: pretraining_job(weights=LossWeights(**{"text": 0, "video": 0, "alignment": 0, **losses}))
        for name, losses in {
            "text": {"text": 1},
            "video": {"video": 1},
            "alignment": {"alignment": 1},
        }.items()
    }
    together = pretraining_job(weights=LossWeights(text=2, video=0.5, alignment=3))
    for job in (*jobs.values(), together):
        job.model.eval()
    parts = {name: forward(job, 3).loss.item() for name, job in jobs.items()}
    expected = 2 * parts["text"] + 0.5 * parts["video"] + 3 * parts["alignment"]
    assert forward(together, 3).loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_step_is_a_function_of_its_number():
    one, other = pretraining_job(), pretraining_job()
    for job in (one, other):
        job.model.eval()
    losses = [forward(one, step).loss.item() for step in range(4)]
    assert [forward(other, step).loss.item() for step in (3, 1, 0, 2)] == [losses[n] for n in (3, 1, 0, 2)]
    assert len(set(losses)) == 4


def test_metrics_name_only_what_the_batch_asked_for():
    job = pretraining_job(
        samples=sequences(2, seed=1, text_only_share=1, video_only_share=0, video_text_share=0)
    )
    metrics = forward(job, 0).metrics
    assert set(metrics) == {"text_loss", "text_accuracy"}


def test_a_batch_with_nothing_to_predict_still_has_a_gradient(tmp_path):
    """One short sentence with no mask: the loss is 0, and the loop must go on."""
    rare = sequences(1, seed=1, mask_fraction=0.001, video_text_share=0)
    job = pretraining_job(samples=rare, held_out=None, batch_num_sequences=1)
    job.model.eval()
    report = forward(job, 0)
    assert report.loss.item() == 0
    assert report.metrics == {}
    result = make_loop(job, tmp_path, num_steps=2).run()
    assert result.num_steps == 2


def test_held_out_numbers_are_means_over_all_that_was_asked():
    held_out = sequences(2, seed=2)
    job = pretraining_job(held_out=held_out, batch_num_sequences=4, validate_num_batches=3)
    job.model.eval()
    with torch.no_grad():
        found = job.validate()
        whole = job.model(pack([held_out.sequence(number) for number in range(12)]))
    for name in ("text", "visual", "alignment"):
        assert found[f"{name}_loss"] == pytest.approx(float(getattr(whole, f"{name}_loss")), rel=1e-5)
        share = float(getattr(whole, f"num_{name}_correct")) / float(getattr(whole, f"num_{name}"))
        assert found[f"{name}_accuracy"] == pytest.approx(share)
    total = found["text_loss"] + found["visual_loss"] + 0.5 * found["alignment_loss"]
    assert found["loss"] == pytest.approx(total)


def test_alignment_is_told_for_each_kind_of_pair():
    """The kinds' accuracies, weighted by how many there are, are the accuracy of all."""
    held_out = sequences(3, seed=2)
    job = pretraining_job(held_out=held_out, batch_num_sequences=8, validate_num_batches=3)
    job.model.eval()
    with torch.no_grad():
        found = job.validate()
        output = job.model(batch := pack([held_out.sequence(number) for number in range(24)]))
    total, num = 0.0, 0
    for number, pairing in enumerate(PAIRINGS):
        is_meant = batch.pairings_B == number
        expected = output.is_alignment_correct_B[is_meant].float().mean()
        assert found[f"alignment_accuracy_{pairing}"] == pytest.approx(float(expected))
        assert (batch.alignment_B[is_meant] == (pairing == "aligned")).all()
        total += float(output.is_alignment_correct_B[is_meant].sum())
        num += int(is_meant.sum())
    assert num == int((batch.alignment_B != NO_LABEL).sum())
    assert found["alignment_accuracy"] == pytest.approx(total / num)
    assert not output.is_alignment_correct_B[batch.alignment_B == NO_LABEL].any()


def test_the_training_log_tells_the_kinds_apart():
    kinds = {name for step in range(12) for name in forward(pretraining_job(), step).metrics}
    assert {f"alignment_accuracy_{pairing}" for pairing in PAIRINGS} <= kinds


def test_nothing_held_out_is_no_measure():
    assert pretraining_job(held_out=None).validate() == {}


# --- budgets of tokens ---


def test_a_run_with_a_budget_of_tokens_resumes_exactly(tmp_path):
    def job():
        return pretraining_job(max_num_tokens=90)

    whole, rest = job(), job()
    make_loop(whole, tmp_path / "whole").run()
    for stop_at in (2, 7):
        stop = StopRequest()
        with pytest.raises(InterruptedRunError):
            make_loop(Interrupting(job(), stop=stop, stop_at=stop_at), tmp_path / "broken", stop=stop).run()
    make_loop(rest, tmp_path / "broken").run()
    assert weights(rest.model) == weights(whole.model)
    texts = [lasting_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "broken")]
    assert texts[0] == texts[1]


def test_a_budget_is_counted_in_tokens():
    job = pretraining_job(max_num_tokens=90)
    first = 0
    for step in range(6):
        taken = job.batch(step, first_sequence=first).num_sequences
        first += taken
        assert taken >= 3
    assert first > 6 * 4


def test_a_budget_below_a_sequence_is_refused_and_workers_are_no_setting_of_the_model():
    with pytest.raises(ValidationError, match="less than a sequence may have"):
        PretrainOptions(batch_num_tokens=511)
    kept = PretrainOptions(num_workers=4, compile="on", activation_checkpointing=True).remembered()
    assert kept == PretrainOptions().remembered()
    assert "batch_num_tokens" in kept
    assert not {"num_workers", "compile", "activation_checkpointing"} & kept.keys()


# --- classification ---


def classification_job(num_segments=10, *, max_subsampling=1, length=6, batch_num_sequences=4):
    config = VideoBERTConfig(**{**vars(CONFIG), "id2label": {0: "cut", 1: "stir"}})
    generator = np.random.default_rng(0)
    head = LabelHead(name="verb", kind="single", classes=("cut", "stir"))
    segments = [
        LabelledWords(
            video_id=f"v{number}",
            split="train",
            start_seconds=0.0,
            end_seconds=None,
            words_T=generator.integers(0, NUM_WORDS, length),
            labels={"verb": head.classes[number % 2]},
        )
        for number in range(num_segments)
    ]
    train, held_out = (
        LabelledSegments(
            chosen,
            heads=(head,),
            vocabulary=VOCABULARY,
            max_num_tokens=config.max_position_embeddings,
        )
        for chosen in (segments, segments[:7])
    )
    return ClassificationJob(
        VideoBERTForSequenceClassification(config, seed=0),
        head=head,
        train=train,
        held_out=held_out,
        batch_num_sequences=batch_num_sequences,
        max_subsampling=max_subsampling,
        seed=3,
    )


def test_an_epoch_has_every_segment_once_and_the_next_another_order():
    order = EpochOrder(10, seed=3)
    epochs = [order.take(10 * epoch, num=10) for epoch in range(2)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert EpochOrder(10, seed=3).take(8, num=4) == [*epochs[0][8:], *epochs[1][:2]]
    assert EpochOrder(10, seed=4).take(0, num=10) != epochs[0]


def test_held_out_scores_do_not_depend_on_the_batch():
    found = [classification_job(batch_num_sequences=size) for size in (1, 3, 7, 100)]
    for job in found:
        job.model.eval()
    with torch.no_grad():
        scores = [job.validate() for job in found]
    assert all(score["loss"] == pytest.approx(scores[0]["loss"], rel=1e-5) for score in scores)
    assert {score["accuracy"] for score in scores} == {scores[0]["accuracy"]}


def test_a_segment_longer_than_the_model_is_cut():
    job = classification_job(length=500, batch_num_sequences=2)
    assert np.isfinite(float(forward(job, 0).loss.detach()))
    with torch.no_grad():
        assert np.isfinite(job.validate()["loss"])


def test_subsampled_segments_keep_two_words():
    job = classification_job(length=3, max_subsampling=5)
    for step in range(30):
        assert np.isfinite(float(forward(job, step).loss.detach()))


def test_a_classifier_learns_what_is_to_be_learned(tmp_path):
    job = classification_job()
    make_loop(job, tmp_path, num_steps=40, validate_every_steps=20, batch_num_sequences=10).run()
    assert job.validate()["accuracy"] == 1.0


def test_a_classification_run_resumes_exactly(tmp_path):
    whole, broken, rest = (classification_job(max_subsampling=3) for _ in range(3))
    make_loop(whole, tmp_path / "whole").run()
    make_loop(broken, tmp_path / "broken", num_steps=8, optimizer=CONSTANT).run()
    make_loop(rest, tmp_path / "broken", optimizer=CONSTANT).run()
    make_loop(again := classification_job(max_subsampling=3), tmp_path / "again", optimizer=CONSTANT).run()
    assert weights(rest.model) == weights(again.model)
    assert weights(whole.model) != weights(again.model)


# --- where a model starts ---

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cut", "the"]
SMALL = ModelOptions(num_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=48)


@pytest.fixture(scope="module")
def codebook():
    features_ND = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    return fit_codebook(
        features_ND,
        options=QuantizeOptions(branching=2, num_levels=2),
        parts=(6,),
        fingerprint={"backbone": "test"},
        seed=0,
        device=torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def tokenizer():
    return VideoBERTTokenizer.from_vocabulary(TOKENS, num_words=4)


def test_a_model_from_scratch_has_a_position_for_every_token(codebook, tokenizer):
    start = {"tokenizer": tokenizer, "codebook": codebook, "seed": 0}
    assert start_model(SMALL, **start).config.max_position_embeddings == 512
    assert start_model(SMALL, **start, max_num_tokens=16).config.max_position_embeddings == 512
    long = start_model(SMALL, **start, max_num_tokens=700).config
    assert (long.max_position_embeddings, long.num_visual_words, long.vocab_size) == (700, 4, 7)


def test_an_earlier_model_goes_on_where_codebook_vocabulary_and_length_fit(codebook, tokenizer, tmp_path):
    model = start_model(SMALL, tokenizer=tokenizer, codebook=codebook, seed=5)
    model.save_pretrained(tmp_path)
    options = SMALL.model_copy(update={"init": tmp_path})
    start = {"codebook": codebook, "seed": 0}
    again = start_model(options, **start, tokenizer=tokenizer)
    assert weights(again) == weights(model)
    with pytest.raises(UsageError, match="up to 513 tokens, the model has 512 positions") as caught:
        start_model(options, **start, tokenizer=tokenizer, max_num_tokens=513)
    assert caught.value.fix.endswith("max_num_tokens=512")
    other = VideoBERTTokenizer.from_vocabulary([*TOKENS, "onion"], num_words=4)
    with pytest.raises(CodebookMismatchError, match="4 visual words and 7 text tokens, this run 4 and 8"):
        start_model(options, **start, tokenizer=other)
