"""Words kept in place of features: the words that quantize would give, as safe as features are, and enough to train on."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from executable import shell, start, write_clip

pytestmark = pytest.mark.slow
NUM_CLIPS = 16
RECIPE = """\
run: q
data:
  videos: G
quantize: {branching: 3, num_levels: 2, num_components: 8}
pretrain:
  model: {num_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64}
  loop: {num_steps: 6, batch_num_sequences: 4}
"""
KEEP = ("--keep", "words", "--codebook", "q")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, a recipe, its run `q` with features and a codebook, and `w`, the words that an unbroken run keeps."""
    folder = tmp_path_factory.mktemp("keep")
    (folder / "G").mkdir()
    for number in range(NUM_CLIPS):
        write_clip(folder / "G" / f"{number:02d}.mp4", num_frames=20 + number % 7 * 10)
    (folder / "r.yaml").write_text(RECIPE)
    assert shell("quantize", "r.yaml", folder=folder).exit_code == 0
    done = shell("extract", "r.yaml", "--set", "run=w", *KEEP, folder=folder)
    assert done.exit_code == 0, done.err
    return folder


def content_hash(store: Path) -> str:
    return str(json.loads((store / "manifest.json").read_text())["content_hash"])


def kept(run: str) -> tuple[str, ...]:
    """The flags of a later stage of a run that keeps words."""
    return ("--set", f"run={run}", "--set", "extract.keep=words", "--set", "extract.codebook=q")


def test_the_words_kept_are_those_that_quantize_gives_and_no_features_are(folder: Path) -> None:
    done = shell("quantize", "r.yaml", *kept("w"), folder=folder)
    assert done.exit_code == 0, done.err
    assert "by the codebook given" in done.out
    for name in ("words.safetensors", "words.json"):
        ours, theirs = (folder / run / "quantize/words" / name for run in ("w", "q"))
        assert ours.read_bytes() == theirs.read_bytes()
    assert content_hash(folder / "w/quantize/codebook") == content_hash(folder / "q/quantize/codebook")
    assert not (folder / "w/extract/features").exists()
    sizes = [path.stat().st_size for path in folder.glob("w/extract/words/shards/*.safetensors")]
    features = [path.stat().st_size for path in folder.glob("q/extract/features/shards/*.safetensors")]
    assert sum(sizes) < sum(features) / 50


def test_a_model_is_trained_on_kept_words_and_predicts(folder: Path) -> None:
    trained = shell("pretrain", "r.yaml", *kept("w"), folder=folder)
    assert trained.exit_code == 0, trained.err
    answered = shell("predict", "G/00.mp4", "--model", "w/pretrain/model", "--json", folder=folder)
    assert answered.exit_code == 0, answered.err


def test_both_are_kept_and_features_that_are_there_are_not_made_again(folder: Path) -> None:
    copied = shell("extract", "r.yaml", "--set", "run=b", folder=folder)
    assert copied.exit_code == 0, copied.err
    both = ("--keep", "both", "--codebook", "q")
    done = shell("extract", "r.yaml", "--set", "run=b", *both, "--json", folder=folder)
    assert done.exit_code == 0, done.err
    assert "extract.bottleneck" not in json.loads(done.out)["metrics"], "videos were decoded again"
    assert content_hash(folder / "b/extract/words") == content_hash(folder / "w/extract/words")
    assert content_hash(folder / "b/extract/features") == content_hash(folder / "q/extract/features")


def test_p2_killed_and_split_over_shards_the_words_are_the_same(folder: Path) -> None:
    for kill in range(3):
        with start(
            "extract", "r.yaml", "--set", "run=k", *KEEP, "--shard", f"{kill % 2}/2", folder=folder
        ) as process:
            spool = folder / f"k/extract/words/spool/shard-{kill % 2}-of-2"
            before = len(list(spool.glob("*.safetensors")))
            while process.poll() is None and len(list(spool.glob("*.safetensors"))) <= before:
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        verified = shell("verify", "k", "--deep", folder=folder)
        assert verified.exit_code == 0, verified.err
    for index in range(2):
        done = shell("extract", "r.yaml", "--set", "run=k", *KEEP, "--shard", f"{index}/2", folder=folder)
        assert done.exit_code == 0, done.err
    assert content_hash(folder / "k/extract/words") == content_hash(folder / "w/extract/words")


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--keep", "words"), 2, "needs a codebook"),
        (("--codebook", "q"), 2, "of use with `keep: words`"),
        (("--keep", "words", "--codebook", "G"), 3, "there is no codebook here"),
        ((*KEEP, "--set", "extract.image_num_frames=2"), 3, "image_num_frames"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_video_is_read(
    folder: Path, flags: tuple[str, ...], code: int, message: str
) -> None:
    outcome = shell(
        "extract", "r.yaml", "--set", f"run=none{len(list(folder.glob('none*')))}", *flags, folder=folder
    )
    assert outcome.exit_code == code, outcome.err
    assert message in outcome.err
    assert not list(folder.glob("none*/extract/*/spool/*/*"))
