"""The data side of pretraining alone: start-up, sequences a second with and without workers, a peer, and the step.

A corpus of random sentences and words is written as the pretrain stage writes it. Then: how long it takes to open it
and build the first sequence; how many sequences and tokens a second come out with 0, 1 and 2 workers; how many the
training step of a model of the demo's size takes on this machine's CPU, with each number of workers; and, on the same
sentences, transformers' collators (padded batches, text alone) against ours (unpadded, text alone).

    python benchmarks/sequences.py [--sentences 100000] [--seconds 5]
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import BertTokenizer, DataCollatorForLanguageModeling

from videobert_cli.core.model.config import VideoBERTConfig
from videobert_cli.core.model.init import new_model
from videobert_cli.core.sequences.batches import Batches, BlockLoader, InlineLoader
from videobert_cli.core.sequences.corpus import Document, TokenCorpus, write_corpus
from videobert_cli.core.sequences.dataset import PretrainingSamples
from videobert_cli.core.sequences.documents import joint_vocabulary
from videobert_cli.core.sequences.loader import WorkerLoader
from videobert_cli.core.sequences.options import SequenceOptions
from videobert_cli.core.sequences.segments import ClipSpan
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer
from videobert_cli.core.training.objectives import PretrainingJob
from videobert_cli.core.training.options import LossWeights

NUM_TEXT, NUM_WORDS = 30_000, 20_736
SENTENCES_A_DOCUMENT, CLIPS_A_SENTENCE = 100, 3
BATCH = 128


def documents(num_sentences: int) -> Iterator[Document]:
    """Yield documents of 100 sentences of 4 to 20 tokens, 3 clips each."""
    generator = np.random.default_rng(0)
    spans = tuple(
        ClipSpan(first=CLIPS_A_SENTENCE * k, stop=CLIPS_A_SENTENCE * (k + 1))
        for k in range(SENTENCES_A_DOCUMENT)
    )
    for number in range(num_sentences // SENTENCES_A_DOCUMENT):
        lengths = generator.integers(4, 21, SENTENCES_A_DOCUMENT)
        tokens = generator.integers(5, NUM_TEXT, lengths.sum())
        words = generator.integers(0, NUM_WORDS, SENTENCES_A_DOCUMENT * CLIPS_A_SENTENCE)
        yield Document(
            id=f"v{number:07d}",
            words_T=words + NUM_TEXT + 1,
            sentences=tuple(np.split(tokens, np.cumsum(lengths)[:-1])),
            spans=spans,
        )


def tokenizer() -> VideoBERTTokenizer:
    # Every third token goes on with a word, as pieces do.
    pieces = [f"##{k}" if k % 3 == 0 else f"w{k}" for k in range(5, NUM_TEXT)]
    return VideoBERTTokenizer.from_vocabulary(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces], num_words=NUM_WORDS
    )


@contextlib.contextmanager
def loader_of(samples: PretrainingSamples, *, num_workers: int) -> Iterator[BlockLoader]:
    if num_workers == 0:
        yield InlineLoader(samples)
        return
    with WorkerLoader(samples, num_workers=num_workers, num_ahead=2 * BATCH) as loader:
        yield loader


def rate(work: Callable[[int], int], *, seconds: float) -> tuple[float, float]:
    """Call `work` with 0, 1, ... for so long; return calls and what it returns, a second. The first is not timed."""
    work(0)
    start, number, total = time.perf_counter(), 1, 0
    while time.perf_counter() - start < seconds:
        total += work(number)
        number += 1
    elapsed = time.perf_counter() - start
    return (number - 1) / elapsed, total / elapsed


def data_side(samples: PretrainingSamples, *, num_workers: int, seconds: float) -> tuple[float, float]:
    with loader_of(samples, num_workers=num_workers) as loader:
        batches = Batches(loader, num_sequences=BATCH)
        calls, tokens = rate(lambda step: batches.batch(step, first_sequence=0).num_tokens, seconds=seconds)
    return calls * BATCH, tokens


def training(samples: PretrainingSamples, *, num_workers: int, seconds: float) -> float:
    """Return the tokens a second of training steps (forward, backward, AdamW) of a model of the demo's size."""
    config = VideoBERTConfig(
        vocab_size=NUM_TEXT,
        num_visual_words=NUM_WORDS,
        visual_embedding_size=24,
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=512,
    )
    model = new_model(config, seed=0)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    with loader_of(samples, num_workers=num_workers) as loader:
        batches = Batches(loader, num_sequences=32)
        job = PretrainingJob(
            model, batches=batches, held_out=None, weights=LossWeights(), validate_num_batches=1
        )
        sizes = []

        def step(number: int) -> int:
            batch = job.batch(number, first_sequence=0)
            torch.autograd.backward(job.forward(batch, counts=job.counts(batch)).loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            sizes.append(batch.num_sequences)
            return batch.num_sequences

        _, sequences = rate(step, seconds=seconds)
    lengths = [len(samples.sequence(number).input_ids) for number in range(512)]
    return sequences * float(np.mean(lengths))


def peer(corpus: TokenCorpus, folder: Path, *, whole_word: bool, seconds: float) -> float:
    """Return the sentences a second of transformers' collator: padded batches of [CLS] text [SEP], 15 % masked."""
    theirs = BertTokenizer.from_pretrained(folder)
    collate = DataCollatorForLanguageModeling(theirs, mlm_probability=0.15, whole_word_mask=whole_word)
    order = np.random.default_rng(0).permutation(corpus.num_sentences_in_all)

    def batch(step: int) -> int:
        numbers = order[np.arange(step * BATCH, (step + 1) * BATCH) % len(order)]
        places = [divmod(int(number), SENTENCES_A_DOCUMENT) for number in numbers]
        texts = [[2, *corpus.text(document, item, item + 1).tolist(), 3] for document, item in places]
        if not whole_word:
            return len(collate([{"input_ids": text} for text in texts])["input_ids"])
        # Where pieces lie in the text is padded by nobody but us.
        longest = max(map(len, texts))
        rest = [longest - len(text) for text in texts]
        return len(
            collate(
                [
                    {
                        "input_ids": text + [0] * num,
                        "attention_mask": [1] * len(text) + [0] * num,
                        "offset_mapping": offsets(text) + [(0, 0)] * num,
                    }
                    for text, num in zip(texts, rest, strict=True)
                ]
            )["input_ids"]
        )

    return rate(batch, seconds=seconds)[1]


def offsets(text: list[int]) -> list[tuple[int, int]]:
    """Where each piece would lie in its text: pieces of a word touch, words do not."""
    places, end = [(0, 0)], 0
    for token in text[1:-1]:
        start = end if token % 3 == 0 and end else end + 1
        end = start + 2
        places.append((start, end))
    return [*places, (0, 0)]


def ours(corpus: TokenCorpus, *, whole_word: bool, seconds: float) -> float:
    options = SequenceOptions(
        text_only_share=1.0,
        video_only_share=0.0,
        video_text_share=0.0,
        join_probability=0.0,
        mask_unit="whole_word" if whole_word else "token",
    )
    samples = PretrainingSamples(corpus, options=options, vocabulary=joint_vocabulary(tokenizer()), seed=0)
    return data_side(samples, num_workers=0, seconds=seconds)[0]


def own_memory() -> float:
    """Return this process's own memory in MB: pages of mapped files belong to the system (Linux; elsewhere 0)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def best(
    work: Callable[[int], tuple[float, ...]], *, choices: tuple[int, ...]
) -> dict[int, tuple[float, ...]]:
    """Return the best of three rounds for each choice; the choices take turns, so that a busy moment meets all."""
    found: dict[int, tuple[float, ...]] = {}
    for _ in range(3):
        for choice in choices:
            found[choice] = max(found.get(choice, (0.0,)), work(choice))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    seconds = arguments.seconds
    # The same thread for the step with and without workers; two of a busy machine's two cores wait for each other.
    torch.set_num_threads(1)
    vocabulary = joint_vocabulary(tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "tokens"
        start = time.perf_counter()
        write_corpus(directory, documents(arguments.sentences), settings={}, parents={})
        elapsed = time.perf_counter() - start
        num_bytes = sum(path.stat().st_size for path in directory.iterdir())
        print(f"{arguments.sentences:,} sentences, written in {elapsed:.1f} s, {num_bytes / 1e6:.0f} MB")
        before = own_memory()
        start = time.perf_counter()
        corpus = TokenCorpus.open(directory)
        samples = PretrainingSamples(corpus, options=SequenceOptions(), vocabulary=vocabulary, seed=0)
        samples.sequence(0)
        elapsed = time.perf_counter() - start
        grown = own_memory() - before
        print(
            f"first sequence after {elapsed:.2f} s (files hashed, an epoch of {samples.epoch_size:,} drawn)"
        )
        print(f"{grown:.0f} MB of memory of its own more, beside the mapped files")
        print(f"\ndata side, batches of {BATCH}:")
        rates = best(
            lambda num_workers: data_side(samples, num_workers=num_workers, seconds=seconds / 3),
            choices=(0, 1, 2),
        )
        for num_workers, (sequences, tokens) in rates.items():
            print(
                f"  {num_workers} workers {sequences:>9,.0f} sequences/s {tokens:>10,.0f} tokens/s"
                f" {tokens / rates[0][1]:>6.2f}x"
            )
        print("\ntraining steps of a model of the demo's size, batches of 32, one thread:")
        steps = best(
            lambda num_workers: (training(samples, num_workers=num_workers, seconds=seconds / 3),),
            choices=(0, 1, 2),
        )
        for num_workers, (tokens,) in steps.items():
            print(
                f"  {num_workers} workers {tokens:>9,.0f} tokens/s {tokens / steps[0][0]:>6.2f}x; "
                f"the data side alone makes {rates[0][1] / tokens:.1f} times as many"
            )
        print("\ntext alone, masked at 15 %, one process:")
        vocabulary_folder = Path(folder) / "vocabulary"
        vocabulary_folder.mkdir()
        tokenizer().save_pretrained(vocabulary_folder)
        for whole_word in (False, True):
            found = best(
                lambda is_ours, whole_word=whole_word: (
                    ours(corpus, whole_word=whole_word, seconds=seconds / 3)
                    if is_ours
                    else peer(corpus, vocabulary_folder, whole_word=whole_word, seconds=seconds / 3),
                ),
                choices=(0, 1),
            )
            theirs, mine = found[0][0], found[1][0]
            name = "whole words" if whole_word else "tokens"
            print(
                f"  {name:12} transformers {theirs:>8,.0f} sentences/s   "
                f"videobert {mine:>8,.0f} sentences/s {mine / theirs:>6.2f}x"
            )


if __name__ == "__main__":
    main()
