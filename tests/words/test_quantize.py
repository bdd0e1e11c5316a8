"""The quantize stage on a real feature store: words of every video, equal bytes, honest refusals."""

import time

import numpy as np
import pytest
import torch

from videobert_cli.artifacts import read_manifest
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.core.words.codebook import Codebook, fit_codebook
from videobert_cli.core.words.fit import FitControl
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.quantize import assign_words, clip_geometry, quantize_features
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import CodebookMismatchError, InputError

FINGERPRINT = {
    "backbone": "test",
    "frames_per_second": 20.0,
    "clip_num_frames": 30,
    "clip_stride_frames": 15,
    "parts": [6, 4],
}
OPTIONS = QuantizeOptions(branching=3, num_levels=3, scaling="standardize_parts")
CPU = torch.device("cpu")


def video_features(name, num_clips):
    return np.random.default_rng(len(name) * 100 + num_clips).normal(size=(num_clips, 10)).astype(np.float16)


def store(directory, names, *, fingerprint=None, change=None):
    writer = FeatureStoreWriter.create_or_open(directory, fingerprint=fingerprint or FINGERPRINT, dim=10)
    for name, num_clips in names:
        features_TD = video_features(name, num_clips)
        if change is not None:
            features_TD = change(name, features_TD)
        writer.add(name, features_TD=features_TD, clip_start_seconds_T=np.arange(num_clips) * 0.75, facts={})
    return FeatureStore.open(directory)


NAMES = [("a", 30), ("bb", 41), ("ccc", 1), ("dddd", 25)]


def quantize(features, directory, *, train_ids=("a", "bb"), seed=0, **options):
    calls = []
    report = quantize_features(
        features,
        train_ids=list(train_ids),
        all_ids=features.ids(),
        options=OPTIONS.model_copy(update=options),
        directory_codebook=directory / "codebook",
        directory_words=directory / "words",
        seed=seed,
        device=CPU,
        control=FitControl(on_progress=calls.append),
    )
    return report, calls


def test_every_video_gets_its_words_and_the_report_counts_them(tmp_path):
    report, calls = quantize(store(tmp_path / "features", NAMES), tmp_path)
    table, codebook = WordTable.load(tmp_path / "words"), Codebook.load(tmp_path / "codebook")
    assert table.ids() == ["a", "bb", "ccc", "dddd"]
    for name, num_clips in NAMES:
        assert table.words(name).tolist() == codebook.assign(video_features(name, num_clips)).tolist()
        assert table.clip_start_seconds(name).tolist() == [0.75 * i for i in range(num_clips)]
    assert (table.clip_seconds, table.clip_length_seconds) == (0.75, 1.5)
    training = np.bincount(np.concatenate([table.words("a"), table.words("bb")]), minlength=27)
    assert (training == codebook.usage_K).all()
    assert (report.num_videos, report.num_clips, report.num_training_clips, report.num_words) == (
        4,
        97,
        71,
        27,
    )
    assert report.num_words_used == (table.counts() > 0).sum()
    assert 1 < report.perplexity <= report.num_words_used
    assert [level.level for level in report.levels] == [0, 1, 2]
    assert calls == sorted(calls)
    assert [call for call in calls if call == int(call)] == [1, 2, 3]
    manifest = read_manifest(tmp_path / "words", kind="words")
    assert manifest.parents["codebook"] == report.codebook_hash == table.codebook_hash
    assert read_manifest(tmp_path / "codebook", kind="codebook").content_hash == report.codebook_hash


def test_equal_features_give_equal_bytes_whatever_the_order_of_extraction_and_ids(tmp_path):
    first, _ = quantize(store(tmp_path / "f1", NAMES), tmp_path / "one")
    second, _ = quantize(
        store(tmp_path / "f2", reversed(NAMES)), tmp_path / "two", train_ids=("bb", "a", "a")
    )
    assert (first.codebook_hash, first.words_hash) == (second.codebook_hash, second.words_hash)
    for name in (
        "codebook/centroids.safetensors",
        "codebook/codebook.json",
        "codebook/manifest.json",
        "words/manifest.json",
    ):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    other, _ = quantize(store(tmp_path / "f3", NAMES), tmp_path / "three", seed=1)
    assert other.codebook_hash != first.codebook_hash


def test_features_of_other_videos_do_not_move_the_codebook(tmp_path):
    first, _ = quantize(store(tmp_path / "f1", NAMES), tmp_path / "one")
    fewer, _ = quantize(store(tmp_path / "f2", NAMES[:2]), tmp_path / "two")
    assert first.codebook_hash == fewer.codebook_hash
    assert first.words_hash != fewer.words_hash


def test_no_training_video_is_said_so(tmp_path):
    with pytest.raises(InputError, match="not one feature to fit"):
        quantize(store(tmp_path / "features", NAMES), tmp_path, train_ids=())
    assert not (tmp_path / "codebook").exists()


def test_features_of_another_kind_are_refused_with_the_difference(tmp_path):
    quantize(store(tmp_path / "features", NAMES), tmp_path)
    codebook = Codebook.load(tmp_path / "codebook")
    others = store(tmp_path / "others", NAMES, fingerprint={**FINGERPRINT, "frames_per_second": 10.0})
    with pytest.raises(CodebookMismatchError, match=r"frames_per_second: 10\.0, codebook 20\.0"):
        assign_words(others, ids=["a"], codebook=codebook, codebook_hash="x")


def test_features_that_are_not_finite_name_their_video(tmp_path):
    def spoil(name, features_TD):
        return features_TD * np.float16(np.nan) if name == "dddd" else features_TD

    features = store(tmp_path / "features", NAMES, change=spoil)
    with pytest.raises(InputError, match="not finite") as raised:
        quantize(features, tmp_path)
    assert raised.value.at == "dddd"


def test_parts_must_be_known_to_be_standardised(tmp_path):
    unknown = {key: value for key, value in FINGERPRINT.items() if key != "parts"}
    features = store(tmp_path / "features", NAMES, fingerprint=unknown)
    with pytest.raises(InputError, match="do not tell the parts"):
        quantize(features, tmp_path)
    quantize(features, tmp_path, scaling="none")


def test_clip_times_must_be_known():
    with pytest.raises(InputError, match="how long their clips are"):
        clip_geometry({"frames_per_second": 0, "clip_stride_frames": 1, "clip_num_frames": 1})


@pytest.mark.slow
def test_four_thousand_features_of_the_default_backbone_take_seconds():
    rng = np.random.default_rng(0)
    centres = np.abs(rng.normal(size=(60, 2560)))
    features_ND = np.abs(centres[rng.integers(60, size=4000)] + 0.6 * rng.normal(size=(4000, 2560))).astype(
        np.float16
    )
    started = time.process_time()
    fit_codebook(
        features_ND,
        options=QuantizeOptions(num_levels=3),
        parts=(1280, 1280),
        fingerprint={},
        seed=0,
        device=CPU,
    )
    # CPU seconds of all threads, so that a busy machine does not fail it: 8 s of two cores.
    assert time.process_time() - started < 40
