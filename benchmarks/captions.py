"""Caption metrics against pycocoevalcap's Python, on the same tokens, so that nobody's Java start-up counts.

Captions are made from a seed: 5,000 items with one to five references of eight to fifteen words. The tokeniser is
measured beside it; the peer's is a Java program.

    pip install pycocoevalcap
    python benchmarks/captions.py [--num-captions 5000]
"""

import argparse
import contextlib
import io
import random
import time
from collections.abc import Callable

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from videobert_cli.core.metrics.captions.bleu import bleu
from videobert_cli.core.metrics.captions.cider_d import cider_d
from videobert_cli.core.metrics.captions.ptb_tokenizer import tokenize_caption
from videobert_cli.core.metrics.captions.rouge_l import rouge_l

WORDS = (
    "add", "the", "a", "to", "of", "pan", "onion", "garlic", "oil", "and", "stir", "until", "golden", "heat", "cut",
    "water", "boil", "for", "minutes", "salt", "pepper", "mix", "with", "bowl", "chicken", "then", "pour", "into",
)  # fmt: skip


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--num-captions", type=int, default=5_000)
    num_captions = parser.parse_args().num_captions
    dice = random.Random(0)
    references = [[_caption(dice) for _ in range(dice.randint(1, 5))] for _ in range(num_captions)]
    said = [" ".join(word for word in found[0].split() if dice.random() < 0.8) for found in references]
    theirs = dict(enumerate(references)), {number: [text] for number, text in enumerate(said)}
    print(f"{num_captions:,} captions, {sum(map(len, references)):,} references")
    ways: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("BLEU-1..4", lambda: bleu(said, references), lambda: Bleu(4).compute_score(*theirs)),
        (
            "ROUGE-L",
            lambda: [rouge_l(text, found) for text, found in zip(said, references, strict=True)],
            lambda: Rouge().compute_score(*theirs),
        ),
        ("CIDEr-D", lambda: cider_d(said, references), lambda: Cider().compute_score(*theirs)),
    ]
    for name, ours, peer in ways:
        our_seconds, peer_seconds = _seconds(ours), _seconds(peer)
        ratio = peer_seconds / our_seconds
        print(f"{name:<12}{our_seconds:>8.2f} s   pycocoevalcap {peer_seconds:>6.2f} s   {ratio:.1f}x")
    texts = [f"{text.capitalize()}, isn't it." for found in references for text in found]
    seconds = _seconds(lambda: [tokenize_caption(text) for text in texts])
    print(f"tokeniser   {seconds:>8.2f} s   {len(texts) / seconds:,.0f} captions/s that need every rule")
    seconds = _seconds(lambda: [tokenize_caption(f"{text}.") for found in references for text in found])
    print(f"tokeniser   {seconds:>8.2f} s   {len(texts) / seconds:,.0f} plain captions/s")


def _caption(dice: random.Random) -> str:
    return " ".join(dice.choice(WORDS) for _ in range(dice.randint(8, 15)))


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            work()
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
