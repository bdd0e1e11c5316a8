"""Real pictures and sentences: a corpus of YouCook2 stills pretrains, and what the model sees beats what it guesses."""

import json
from pathlib import Path

import pytest
from executable import shell
from youcook2_frames import RECIPE, write_corpus

SHARED_DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.mark.full
def test_zero_shot_objects_of_real_stills_beat_the_language_prior(tmp_path):
    if not (SHARED_DATA / "clips" / "youcook2_frames").is_dir():
        pytest.skip("shared data not here")
    videos = write_corpus(SHARED_DATA.resolve(), tmp_path / "corpus")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(run=tmp_path / "run", videos=videos, seed=0, num_steps=1200))
    outcome = shell("evaluate", str(recipe), "--json", folder=tmp_path)
    assert outcome.exit_code == 0, outcome.err
    metrics = json.loads(outcome.out)["metrics"]
    print({name: round(value, 3) for name, value in metrics.items() if ".object." in name})
    assert metrics["zero_shot.object.top5"] > metrics["zero_shot.object.top5.language_prior"]
