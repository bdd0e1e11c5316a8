"""Raw features of sentences' clips: those of the store, read once a video, recorded by the stage and refused without."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from executable import FinishedRun
from tiny_stages import News, make_run

from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.core.sequences.pairs import mean_feature
from videobert_cli.core.tasks.watch import Watcher
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.errors import InputError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.segment_features import SegmentFeatures
from videobert_cli.pipeline.shown_sentences import shown_sentences
from videobert_cli.pipeline.stages import STAGES
from videobert_cli.recipe.load import load_recipe
from videobert_cli.runtime import StopRequest


def run_of(finished: FinishedRun, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Run:
    monkeypatch.chdir(finished.folder)
    return Run(
        load_recipe(finished.recipe, overrides=overrides),
        device=torch.device("cpu"),
        stop=StopRequest(),
        reporter=News(),
    )


def test_a_sentence_has_the_mean_feature_of_its_clips_where_it_is_asked_for(
    finished_run: FinishedRun, monkeypatch
) -> None:
    run = run_of(finished_run, monkeypatch)
    tokenizer = VideoBERTTokenizer.from_pretrained(run.pretrained)
    bare = list(shown_sentences(run, "train", tokenizer=tokenizer))
    shown = list(shown_sentences(run, "train", tokenizer=tokenizer, with_features=True))
    assert [each.text for each in shown] == [each.text for each in bare]
    assert {each.feature_D.shape for each in bare} == {(0,)}
    store = FeatureStore.open(run.paths.features)
    for each in shown:
        found = store.read(each.video_id)
        is_own_T = (found.clip_start_seconds_T >= each.start_seconds - 1e-6) & (
            found.clip_start_seconds_T < each.end_seconds - 1e-6
        )
        assert is_own_T.sum() == len(each.words_T)
        wanted_D = found.features_TD[is_own_T].astype(np.float64).mean(axis=0)
        assert each.feature_D.dtype == np.float32
        np.testing.assert_allclose(each.feature_D, wanted_D, rtol=1e-4, atol=1e-5)
    assert len({each.feature_D.tobytes() for each in shown}) > len({each.video_id for each in shown})


@pytest.mark.slow
def test_a_raw_video_gives_the_features_that_the_store_has_of_it(finished_run, monkeypatch) -> None:
    run = run_of(finished_run, monkeypatch)
    watcher = Watcher([load_model(run.pretrained, device=run.device)], segment_seconds=3.0)
    video = watcher.watch(finished_run.video, captions=None)
    watcher.close()
    kept = FeatureStore.open(run.paths.features).read("videos/test-000")
    for segment in video.segments:
        own, stored = video.features_of(segment), kept.features_TD[segment.first : segment.stop]
        assert own.dtype == stored.dtype == np.float16
        np.testing.assert_allclose(mean_feature(own), mean_feature(stored), rtol=0, atol=2e-3)


def test_a_video_is_read_once_as_long_as_its_segments_follow_each_other() -> None:
    class Store:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def read(self, video_id: str) -> SimpleNamespace:
            self.asked.append(video_id)
            return SimpleNamespace(features_TD=np.full((4, 2), len(self.asked), dtype=np.float16))

    store = Store()
    features = SegmentFeatures(store)
    found = [features.clips(video, first=1, num=2) for video in ("a", "a", "b", "a")]
    assert store.asked == ["a", "b", "a"]
    assert [rows[0, 0] for rows in found] == [1, 1, 2, 3]
    assert found[0].shape == (2, 2)


def test_the_stage_remembers_the_features_where_it_reads_them(finished_run: FinishedRun, monkeypatch) -> None:
    stage = STAGES["caption"]

    def inputs(encoder: str) -> dict[str, str]:
        return stage.inputs(run_of(finished_run, monkeypatch, f"finetune.caption.encoder={encoder}"))

    cloze, both, alone = (inputs(encoder) for encoder in ("cloze", "cloze_and_features", "features"))
    assert both == alone
    assert both.pop("features")
    # A model made before features could be read is not taken for one made from something else.
    assert both == cloze == inputs("end_to_end")


@pytest.mark.parametrize("encoder", ["features", "cloze_and_features"])
def test_words_alone_are_refused_before_anything_is_made(encoder: str, tmp_path: Path) -> None:
    kept = ("extract.keep=words", f"extract.codebook={tmp_path}")
    stage = STAGES["caption"]
    stage.require(make_run(tmp_path, *kept, "finetune.caption.encoder=cloze"))
    run = make_run(tmp_path, *kept, f"finetune.caption.encoder={encoder}")
    with pytest.raises(
        InputError, match="the captioner reads features, and extraction kept words"
    ) as refused:
        stage.require(run)
    assert (refused.value.at, refused.value.exit_code) == ("extract.keep", 3)
    assert refused.value.fix == (
        "--set extract.keep=both and extract again, or --set finetune.caption.encoder=cloze"
    )
