"""The words that sentences of held-out videos call for."""

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.text_to_video import evaluate_text_to_video
from videobert_cli.core.tasks.text_to_video import TextToVideo
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.core.words.text_counts import TextCounts
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.shown_sentences import shown_sentences


def _measure(run: Run) -> TaskResult:
    loaded, model = pretrained_model(run, task="text_to_video")
    train = [run.words.words(video_id) for video_id in run.split_ids("train") if video_id in run.words]
    tokenizer = loaded.tokenizer
    counts = TextCounts.count(
        (
            (sentence.text_L, sentence.words_T)
            for sentence in shown_sentences(run, "train", tokenizer=tokenizer)
        ),
        num_tokens=tokenizer.num_text_tokens,
        num_words=run.words.num_words,
    )
    return evaluate_text_to_video(
        TextToVideo(VisualAsker(model, tokenizer)),
        list(shown_sentences(run, run.recipe.evaluate.split, tokenizer=tokenizer)),
        train_words=train,
        counts=counts,
        num_words=run.words.num_words,
    )


EVALUATION = Evaluation(task="text_to_video", stage="pretrain", measure=_measure, fits=is_pretrained)
