"""The survey of a codebook against scikit-learn and brute force: quality, nearest clips, ties, any size of block."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

from videobert_cli.core.words import survey as survey_module
from videobert_cli.core.words.codebook import fit_codebook
from videobert_cli.core.words.nearest import NO_CLIP
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.quality import quality_metrics
from videobert_cli.core.words.survey import survey_codebook, survey_words
from videobert_cli.core.words.survey_file import load_survey, save_survey
from videobert_cli.core.words.table import WordTable
from videobert_cli.errors import ArtifactError

LENGTHS = {"a": 40, "b": 1, "c": 0, "d": 73, "e": 30}
TRAIN = ["a", "b", "c", "d"]


class Store:
    def __init__(self, features):
        self.features = features

    def read(self, item_id):
        return type("Stored", (), {"features_TD": self.features[item_id]})()


def corpus(*, dim=12, seed=0, change=lambda features_TD: features_TD, **options):
    """Return a codebook, its store, and the words of all videos."""
    rng = np.random.default_rng(seed)
    scale = np.linspace(3, 0.2, dim)
    features = {
        name: change(rng.normal(size=(n, dim)) * scale + 5).astype(np.float16) for name, n in LENGTHS.items()
    }
    training = np.concatenate([features[name] for name in TRAIN])
    codebook = fit_codebook(
        training,
        options=QuantizeOptions(branching=3, num_levels=3, **options),
        parts=(dim,),
        fingerprint={},
        seed=0,
        device=torch.device("cpu"),
    )
    table = WordTable(num_words=27, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    for name, values in features.items():
        table.add(name, words_T=codebook.assign(values), clip_start_seconds_T=np.arange(len(values)) * 1.5)
    return codebook, Store(features), table


def survey(parts, *, num_nearest=4, ids=TRAIN):
    codebook, store, table = parts
    return survey_codebook(codebook, store, words=table, train_ids=ids, num_nearest=num_nearest)


def points(parts):
    """Return the projected training features, and where each clip is."""
    codebook, store, _ = parts
    stacked = np.concatenate([store.features[name] for name in TRAIN])
    places = [(name, clip) for name in TRAIN for clip in range(LENGTHS[name])]
    return codebook.projection.apply(stacked, device=torch.device("cpu")).numpy(), places


def test_the_nearest_clips_and_the_radius_are_those_of_brute_force():
    parts = corpus(num_components=5, whiten=True)
    codebook, _, table = parts
    found = survey(parts).clips
    assert found.words_R.tolist() == np.flatnonzero(codebook.usage_K).tolist()
    rows_ND, places = points(parts)
    words_N = np.concatenate([table.words(name) for name in TRAIN])
    for row, word in enumerate(found.words_R):
        members = np.flatnonzero(words_N == word)
        distances = pairwise_distances(
            rows_ND[members].astype(float), codebook.centroids_KD[[word]].astype(float)
        )
        distance_of = dict(zip([places[member] for member in members], distances[:, 0], strict=True))
        held = found.videos_RC[row] != NO_CLIP
        shown = [
            (found.ids[video], int(clip))
            for video, clip in zip(found.videos_RC[row][held], found.clips_RC[row][held], strict=True)
        ]
        # Two clips of a word are equally far from their mean: which comes first is for the rounding to say.
        assert len(set(shown)) == min(4, len(members))
        assert np.allclose(
            [distance_of[place] for place in shown], np.sort(distances[:, 0])[: len(shown)], atol=1e-5
        )
        assert np.allclose(
            found.distances_RC[row][held], [distance_of[place] for place in shown], rtol=1e-4, atol=1e-6
        )
        assert np.isnan(found.distances_RC[row][~held]).all()
        assert found.radii_R[row] == pytest.approx(float(np.sqrt(np.mean(distances**2))), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("num_clips", [1, 7, 100])
def test_the_size_of_the_blocks_and_the_order_of_ids_change_nothing(monkeypatch, num_clips):
    parts = corpus()
    whole = survey(parts)
    monkeypatch.setattr(survey_module, "_BLOCK_NUM_CLIPS", num_clips)
    calls = []
    codebook, store, table = parts
    pieces = survey_codebook(
        codebook,
        store,
        words=table,
        train_ids=["d", "c", "a", "b", "a", "unknown"],
        num_nearest=4,
        on_progress=lambda *done: calls.append(done),
    )
    assert pieces.descent == whole.descent
    assert pieces.total_inertia == pytest.approx(whole.total_inertia, rel=1e-12)
    for name in ("words_R", "videos_RC", "clips_RC", "distances_RC"):
        assert np.array_equal(getattr(pieces.clips, name), getattr(whole.clips, name), equal_nan=True)
    assert calls[-1] == (114, 114)


def test_of_clips_that_are_alike_the_first_comes_first():
    parts = corpus(change=np.zeros_like)
    found = survey(parts, num_nearest=3).clips
    assert [found.ids[video] for video in found.videos_RC[0]] == ["a", "a", "a"]
    assert found.clips_RC[0].tolist() == [0, 1, 2]
    assert found.radii_R.tolist() == [0.0]
    quality = survey(parts, num_nearest=0)
    assert quality.descent is not None
    assert (quality.descent.same_word, quality.descent.inertia_ratio) == (1.0, 1.0)


def test_the_quality_is_scikit_learns(monkeypatch):
    parts = corpus(num_components=4, whiten=True)
    codebook, store, _ = parts
    rows_ND, _ = points(parts)
    found = survey(parts)
    stacked = np.concatenate([store.features[name] for name in TRAIN]).astype(float)
    ratio = PCA(4).fit(stacked).explained_variance_ratio_.sum()
    assert found.projection_explained == pytest.approx(ratio, rel=1e-5)
    assert found.total_inertia == pytest.approx(rows_ND.var(axis=0).sum() * len(rows_ND), rel=1e-5)
    live = np.flatnonzero(codebook.usage_K)
    flat = live[pairwise_distances_argmin(rows_ND, codebook.centroids_KD[live])]
    words = codebook.assign(stacked.astype(np.float16))
    assert found.descent is not None
    assert found.descent.num_sampled == len(rows_ND) == found.num_training_clips
    assert found.descent.same_word == np.mean(words == flat)
    inertia = [np.square(rows_ND - codebook.centroids_KD[chosen]).sum() for chosen in (words, flat)]
    assert found.descent.inertia_ratio == pytest.approx(inertia[0] / inertia[1], rel=1e-4)
    assert found.descent.inertia_ratio >= 1

    monkeypatch.setattr(survey_module, "MAX_NUM_SAMPLED", 20)
    few = survey(parts).descent
    assert few is not None
    assert few.num_sampled == 20


def test_the_metrics_are_flat_and_leave_out_what_is_not_known():
    parts = corpus()
    codebook, _, table = parts
    metrics = quality_metrics(codebook, survey(parts))
    last = codebook.statistics[-1]
    assert metrics["quantize.level_3.num_dead"] == 27 - last.num_used
    assert metrics["quantize.level_3.inertia"] == last.inertia
    explained = [metrics[f"quantize.level_{level}.variance_explained"] for level in (1, 2, 3)]
    assert 0 < explained[0] < explained[1] < explained[2] < 1
    assert "quantize.pca.variance_explained" not in metrics
    assert all(isinstance(value, int | float) for value in metrics.values())

    of_words = quality_metrics(codebook, survey_words(table, train_ids=TRAIN, num_clips=2))
    assert set(metrics) - set(of_words) == {
        *(f"quantize.level_{level}.variance_explained" for level in (1, 2, 3)),
        "quantize.descent.num_clips",
        "quantize.descent.same_word_as_flat",
        "quantize.descent.inertia_ratio_to_flat",
    }


def test_words_alone_give_clips_of_several_videos_first():
    table = WordTable(num_words=4, clip_seconds=1.5, clip_length_seconds=1.5, codebook_hash="x")
    table.add("a", words_T=np.array([1, 1, 3]), clip_start_seconds_T=np.arange(3) * 1.5)
    table.add("b", words_T=np.array([3, 1]), clip_start_seconds_T=np.arange(2) * 1.5)
    table.add("held out", words_T=np.array([0]), clip_start_seconds_T=np.zeros(1))
    clips = survey_words(table, train_ids=["b", "a"], num_clips=3).clips
    assert clips.words_R.tolist() == [1, 3]
    assert clips.videos_RC.tolist() == [[0, 1, 0], [0, 1, NO_CLIP]]
    assert clips.clips_RC.tolist() == [[0, 1, 1], [2, 0, NO_CLIP]]
    assert np.isnan(clips.distances_RC).all()


def test_a_survey_survives_the_disk_and_damage_is_refused(tmp_path):
    found = survey(corpus(num_components=4))
    save_survey(found, tmp_path / "survey", parents={"codebook": "c", "words": "w"})
    loaded = load_survey(tmp_path / "survey")
    assert loaded.clips.ids == found.clips.ids
    for name in ("words_R", "videos_RC", "clips_RC", "distances_RC", "radii_R"):
        assert np.array_equal(getattr(loaded.clips, name), getattr(found.clips, name), equal_nan=True)
    assert (loaded.descent, loaded.total_inertia, loaded.projection_explained, loaded.num_training_clips) == (
        found.descent,
        found.total_inertia,
        found.projection_explained,
        found.num_training_clips,
    )
    path = tmp_path / "survey" / "survey.json"
    path.write_text(path.read_text().replace('"a"', '"A"'))
    with pytest.raises(ArtifactError):
        load_survey(tmp_path / "survey")


def test_no_training_clip_is_no_error():
    codebook, store, table = corpus()
    found = survey_codebook(codebook, store, words=table, train_ids=["c"], num_nearest=2)
    assert (found.num_training_clips, found.total_inertia, found.descent) == (0, 0.0, None)
    assert (found.clips.videos_RC == NO_CLIP).all()
