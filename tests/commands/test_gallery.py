"""`videobert quantize` and what it shows: numbers, the gallery, and words that no missing picture can cost."""

import json
import os
import shutil
import signal
import time

import pytest
from executable import shell, snapshot, start, write_clip
from pages import require_self_contained
from PIL import Image

from videobert_cli.pipeline import gallery as gallery_module

NAMES = ("a", "b", "c", "<script>alert(1)</script>")
RECIPE = """\
run: q
data: {videos: G, validation_fraction: 0, test_fraction: 0}
quantize: {branching: 3, num_levels: 2, num_components: 4}
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Four small videos, one of a hostile name and with a hostile subtitle, and their finished run `q`."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "G").mkdir()
    for number, name in enumerate(NAMES):
        path = folder / "G" / f"{name.replace('/', '∕')}.mp4"
        write_clip(path, num_frames=64 + 16 * number)
        path.with_suffix(".srt").write_text(
            "".join(
                f'{k}\n00:00:0{k},000 --> 00:00:0{k},900\n<b onclick=x> press "now" & {{{{ 7*7 }}}}.\n\n'
                for k in range(5)
            )
        )
    (folder / "r.yaml").write_text(RECIPE)
    done = shell("quantize", "r.yaml", folder=folder)
    assert done.exit_code == 0, done.err
    return folder


@pytest.fixture
def folder(videos, tmp_path, monkeypatch):
    """A copy of it to work on."""
    shutil.copytree(videos, tmp_path / "copy", ignore=shutil.ignore_patterns(".lock", ".owner.json"))
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def page(folder, run="q"):
    return require_self_contained((folder / run / "quantize/gallery/index.html").read_text(encoding="utf-8"))


def content_hash(artifact):
    return json.loads((artifact / "manifest.json").read_text())["content_hash"]


@pytest.mark.slow
def test_the_summary_is_printed_and_a_finished_run_is_left_alone(folder, invoke):
    before = snapshot(folder)
    outcome = invoke("quantize", "r.yaml")
    assert outcome.exit_code == 0
    lines = outcome.out.splitlines()
    assert lines[0].startswith("quantize: nothing to do, ")
    assert lines[1].startswith("codebook, ")
    assert lines[2].split() == ["level", "nodes", "used", "dead", "perplexity", "inertia", "explained"]
    assert [line.split()[:2] for line in lines[3:5]] == [["1", "3"], ["2", "9"]]
    assert lines[-1] == "gallery: q/quantize/gallery/index.html"
    metrics = json.loads(invoke("quantize", "r.yaml", "--json").out)["metrics"]
    assert metrics["quantize.level_2.num_nodes"] == 9
    assert 0 <= metrics["quantize.descent.same_word_as_flat"] <= 1
    assert snapshot(folder) == before


@pytest.mark.slow
def test_the_page_shows_the_words_and_no_name_can_break_it(folder):
    parsed = page(folder)
    assert parsed.having("img")
    assert "<script>alert(1)<∕script>" in parsed.text
    assert "49" not in [text.strip() for text in parsed.texts]
    words = [
        json.loads(line) for line in (folder / "q/quantize/gallery/words.jsonl").read_text().splitlines()
    ]
    assert [card["data-usage"] for card in parsed.classed("word")] == [
        str(word["num_clips"]) for word in words
    ]
    pictures = folder / "q/quantize/gallery/pictures"
    assert sorted(path.stem for path in pictures.iterdir()) == sorted(word["name"] for word in words)
    for word in words:
        with Image.open(pictures / f"{word['name']}.jpg") as picture:
            assert picture.size == (128, 128)


@pytest.mark.slow
def test_the_same_work_elsewhere_gives_the_same_bytes(folder, invoke):
    assert invoke("quantize", "r.yaml", "--set", "run=elsewhere/r").exit_code == 0
    for name in ("codebook", "words", "survey", "gallery"):
        assert content_hash(folder / "elsewhere/r/quantize" / name) == content_hash(
            folder / "q/quantize" / name
        )


@pytest.mark.slow
def test_another_gallery_changes_no_word_and_makes_no_stage_stale(folder, invoke):
    hashes = [content_hash(folder / "q/quantize" / name) for name in ("codebook", "words")]
    plan = invoke("quantize", "r.yaml", "--set", "quantize.gallery.content=table", "--dry-run")
    assert "the page to look at would be made" in plan.out
    outcome = invoke("quantize", "r.yaml", "--set", "quantize.gallery.content=table", "--json")
    assert json.loads(outcome.out)["status"] == "done"
    assert "Without pictures" in page(folder).text
    assert page(folder).having("img") == []
    outcome = invoke("quantize", "r.yaml", "--set", "quantize.gallery.clips_per_word=6")
    assert outcome.exit_code == 0
    assert page(folder).having("img")
    assert [content_hash(folder / "q/quantize" / name) for name in ("codebook", "words")] == hashes
    shutil.rmtree(folder / "q/quantize/gallery")
    none = invoke("quantize", "r.yaml", "--set", "quantize.gallery.content=none")
    assert none.out.splitlines()[0].startswith("quantize: nothing to do, ")
    assert "gallery" not in none.out
    assert "verify" not in invoke("verify", "q").err


@pytest.mark.slow
def test_videos_that_are_gone_cost_their_pictures_alone(folder, invoke):
    (folder / "list.csv").write_text("video,split\nG/a.mp4,train\nG/b.mp4,train\n")
    assert invoke("quantize", "r.yaml", "--set", "data.videos=list.csv", "--set", "run=g").exit_code == 0
    (folder / "G" / "b.mp4").unlink()
    shutil.rmtree(folder / "g/quantize/gallery")
    outcome = invoke("quantize", "r.yaml", "--set", "data.videos=list.csv", "--set", "run=g")
    assert outcome.exit_code == 0, outcome.err
    parsed = page(folder, "g")
    assert "of 1 videos are missing, for example of G/b: not-a-file" in parsed.text
    assert parsed.having("img")
    assert parsed.classed("no-picture")


@pytest.mark.slow
def test_a_gallery_that_fails_is_a_warning_and_the_next_command_makes_it(folder, invoke, monkeypatch):
    shutil.rmtree(folder / "q")

    def fail(*_args, **_more):
        raise ValueError("no luck")

    with monkeypatch.context() as patch:
        patch.setattr(gallery_module, "match_texts", fail)
        outcome = invoke("quantize", "r.yaml")
    assert outcome.exit_code == 0
    warning = (
        "warning: the gallery could not be made, codebook and words are not touched: ValueError: no luck"
    )
    assert warning in outcome.err
    assert not (folder / "q/quantize/gallery").exists()
    again = invoke("quantize", "r.yaml")
    assert "done before" in again.err
    assert "gallery:" in again.out


@pytest.mark.slow
def test_ctrl_c_in_the_gallery_keeps_codebook_and_words(folder, invoke):
    shutil.rmtree(folder / "q/quantize")
    hashes = None
    process = start("quantize", "r.yaml", folder=folder)
    for _ in range(3000):
        if (folder / "q/quantize/survey/manifest.json").is_file():
            break
        time.sleep(0.01)
    hashes = [content_hash(folder / "q/quantize" / name) for name in ("codebook", "words")]
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "error: stopped by SIGINT: codebook and words; `videobert quantize` makes the gallery" in err
    outcome = invoke("quantize", "r.yaml")
    assert outcome.exit_code == 0
    assert "done before" in outcome.err
    assert page(folder).having("img")
    assert [content_hash(folder / "q/quantize" / name) for name in ("codebook", "words")] == hashes


@pytest.mark.slow
def test_words_without_features_have_a_gallery_that_says_so(folder, invoke):
    kept = ("--set", "run=w", "--set", "extract.keep=words", "--set", "extract.codebook=q")
    outcome = invoke("quantize", "r.yaml", *kept)
    assert outcome.exit_code == 0, outcome.err
    parsed = page(folder, "w")
    assert "Extraction kept words and no features" in parsed.text
    assert parsed.having("img")
    assert "radius" not in [text.strip().split(" ")[0] for text in parsed.texts]
    assert "descent" not in outcome.out


@pytest.mark.slow
def test_features_made_elsewhere_have_a_gallery_with_or_without_videos(folder, invoke):
    assert invoke("export", "q/extract/features", "N", "--to", "npy").exit_code == 0
    assert invoke("import", "N", "--out", "I", "--clip-seconds", "1.5").exit_code == 0
    (folder / "list.csv").write_text("video,split\nG/a.mp4,train\nnowhere/b.mp4,train\n")
    names = ("--set", "run=i", "--set", "extract.features=I", "--set", "data.videos=list.csv")
    outcome = invoke("quantize", "r.yaml", *names)
    assert outcome.exit_code == 0, outcome.err
    parsed = page(folder, "i")
    assert parsed.having("img")
    assert "for example of nowhere/b: not-a-file" in parsed.text
