"""Caption metrics and the tokeniser against coco-caption: values its Java programs gave, and live where they are."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from videobert_cli.core.metrics.captions.meteor import why_no_meteor
from videobert_cli.core.metrics.captions.ptb_tokenizer import PUNCTUATION, tokenize_caption
from videobert_cli.core.metrics.captions.score import score_captions

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "../shared/data/annotations"
HAS_PEER = importlib.util.find_spec("pycocoevalcap") is not None and shutil.which("java") is not None


def _close(found: float | None, wanted: float) -> bool:
    return found is not None and abs(found - wanted) <= 1e-4


def test_tokens_are_those_of_the_java_tokeniser() -> None:
    golden = json.loads((HERE / "ptb_tokens.json").read_text())
    assert len(golden) > 120
    assert {text: tokenize_caption(text) for text in golden} == golden


def test_scores_are_those_of_coco_caption() -> None:
    golden = json.loads((HERE / "caption_scores.json").read_text())
    scores = score_captions(golden["references"], golden["captions"]).metrics
    wrong = {
        name: (scores[name], wanted)
        for name, wanted in golden["metrics"].items()
        if not _close(scores[name], wanted) and not (name == "caption.meteor" and why_no_meteor())
    }
    assert wrong == {}


def test_published_examples_to_their_published_digits() -> None:
    folder = SHARED / "metrics"
    if not folder.exists():
        pytest.skip("shared data not here")
    golden = json.loads((folder / "golden_scores.json").read_text())
    lines = {
        name: (folder / f"nlgeval_{name}.txt").read_text().splitlines() for name in ("hyp", "ref1", "ref2")
    }
    single = golden["nlgeval_single"]
    examples = [
        (
            {
                str(number): list(pair)
                for number, pair in enumerate(zip(lines["ref1"], lines["ref2"], strict=True))
            },
            {str(number): text for number, text in enumerate(lines["hyp"])},
            golden["nlgeval_example"]["published"],
        ),
        ({"0": single["ref"]}, {"0": single["hyp"]}, single["published"]),
    ]
    names = {"ROUGE_L": "caption.rouge_l", "CIDEr": "caption.cider_d", "METEOR": "caption.meteor"}
    for references, hypotheses, published in examples:
        scores = score_captions(references, hypotheses).metrics
        for theirs, value in published.items():
            name = names.get(theirs, f"caption.{theirs.lower().replace('_', '')}")
            if name == "caption.meteor" and why_no_meteor():
                assert scores[name] is None
            else:
                assert scores[name] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
@pytest.mark.skipif(not HAS_PEER, reason="needs Java and the extra `meteor`")
def test_tokens_of_thousands_of_real_captions_are_those_of_the_java_tokeniser() -> None:
    path = SHARED / "youcook2" / "yc2_annotations_trainval.json"
    if not path.exists():
        pytest.skip("shared data not here")
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    database = json.loads(path.read_text())["database"]
    captions = sorted(
        {
            annotation["sentence"].replace("\n", " ")
            for entry in database.values()
            for annotation in entry["annotations"]
            if annotation["sentence"].strip()
        }
    )
    assert len(captions) > 10_000
    theirs = PTBTokenizer().tokenize({0: [{"caption": caption} for caption in captions]})[0]
    assert [tokenize_caption(caption) for caption in captions] == theirs


def test_the_dropped_marks_are_coco_captions() -> None:
    if importlib.util.find_spec("pycocoevalcap") is None:
        pytest.skip("needs the extra `meteor`")
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS

    assert set(PUNCTUATIONS) == PUNCTUATION
