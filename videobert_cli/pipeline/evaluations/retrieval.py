"""Segments for the sentences of held-out videos, and sentences for their segments."""

from videobert_cli.artifacts import Manifest
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.retrieval import evaluate_retrieval
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.model.retrieval import VideoBERTForRetrieval
from videobert_cli.core.tasks.retrieve import AlignmentScorer, Retriever
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.errors import InputError
from videobert_cli.pipeline.evaluations.evaluation import Evaluation
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.retrieval_stage import FACT
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.shown_sentences import shown_sentences


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate.retrieval
    loaded = load_model(run.model_of("retrieval"), device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForRetrieval):
        raise InputError(
            "retrieval needs a model that learned it; this one did not",
            at=str(loaded.directory),
            fix=run.loaded.command("retrieval"),
        )
    tokenizer = loaded.tokenizer
    counts = TextCounts.count(
        ((shown.text_L, shown.words_T) for shown in shown_sentences(run, "train", tokenizer=tokenizer)),
        num_tokens=tokenizer.num_text_tokens,
        num_words=run.words.num_words,
    )
    return evaluate_retrieval(
        Retriever(loaded.model, tokenizer),
        list(shown_sentences(run, run.recipe.evaluate.split, tokenizer=tokenizer)),
        alignment=_alignment(run),
        counts=counts,
        rerank_num_candidates=options.rerank_num_candidates,
        max_num_aligned_pairs=options.max_num_aligned_pairs,
    )


def _alignment(run: Run) -> AlignmentScorer | None:
    """Return the alignment head of the run's pretrained model, None where the retriever was made elsewhere."""
    if run.external_model is not None:
        return None
    pretrained = load_model(run.pretrained, device=run.device)
    if not isinstance(pretrained.model, VideoBERTForPreTraining):
        return None
    return AlignmentScorer(pretrained.model, pretrained.tokenizer)


def _fits(manifest: Manifest) -> bool:
    return FACT in manifest.facts


EVALUATION = Evaluation(task="retrieval", stage="retrieval", measure=_measure, fits=_fits)
