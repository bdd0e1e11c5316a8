"""Captions of the segments of held-out videos."""

from videobert_cli.artifacts import Manifest
from videobert_cli.core.metrics.captioning import evaluate_captions
from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.model.captioning import VideoBERTForCaptioning
from videobert_cli.core.tasks.caption import Captioner
from videobert_cli.core.training.model_directory import load_model
from videobert_cli.errors import InputError
from videobert_cli.pipeline.caption_stage import FACT
from videobert_cli.pipeline.evaluations.evaluation import Evaluation
from videobert_cli.pipeline.learned_model import require_same_codebook
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.shown_sentences import shown_sentences


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded = load_model(run.model_of("caption"), device=run.device)
    require_same_codebook(run, loaded.directory)
    if not isinstance(loaded.model, VideoBERTForCaptioning):
        raise InputError(
            "caption needs a model that learned it; this one did not",
            at=str(loaded.directory),
            fix=run.loaded.command("caption"),
        )
    asked = shown_sentences(
        run,
        options.split,
        tokenizer=loaded.tokenizer,
        with_features=loaded.model.captioner.looks_at_features,
    )
    return evaluate_captions(
        Captioner(loaded.model, loaded.tokenizer, options=options.caption),
        list(asked),
        train=list(shown_sentences(run, "train", tokenizer=loaded.tokenizer)),
        num_words=run.words.num_words,
    )


def _fits(manifest: Manifest) -> bool:
    return FACT in manifest.facts


EVALUATION = Evaluation(task="caption", stage="caption", measure=_measure, fits=_fits)
