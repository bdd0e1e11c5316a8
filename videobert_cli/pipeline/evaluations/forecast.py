"""The words of coming clips, of whole videos."""

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.forecast import evaluate_forecast
from videobert_cli.core.tasks.forecast import Forecaster
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = pretrained_model(run, task="forecast")
    held_out, train = (
        {video_id: run.words.words(video_id) for video_id in run.split_ids(split) if video_id in run.words}
        for split in (options.split, "train")
    )
    return evaluate_forecast(
        Forecaster(VisualAsker(model, loaded.tokenizer)),
        held_out,
        train_videos=train,
        num_words=run.words.num_words,
        options=options.forecast,
    )


EVALUATION = Evaluation(task="forecast", stage="pretrain", measure=_measure, fits=is_pretrained)
