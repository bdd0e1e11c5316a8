"""Key clips of held-out videos against their labelled segments."""

from videobert_cli.core.metrics.evaluate import TaskResult
from videobert_cli.core.metrics.summarize import SegmentedVideo, evaluate_summaries
from videobert_cli.core.sequences.segments import clips_between
from videobert_cli.core.tasks.summarize import Summarizer
from videobert_cli.core.tasks.visual_questions import VisualAsker
from videobert_cli.core.video.manifest import Video
from videobert_cli.pipeline.evaluations.evaluation import Evaluation, is_pretrained, pretrained_model
from videobert_cli.pipeline.run import Run


def _measure(run: Run) -> TaskResult:
    options = run.recipe.evaluate
    loaded, model = pretrained_model(run, task="summarize")
    summarizer = Summarizer(
        VisualAsker(model, loaded.tokenizer),
        centroids_KD=loaded.codebook.centroids_KD,
        surprise_weight=options.summarize.surprise_weight,
        context_num_clips=options.summarize.context_num_clips,
    )
    videos = [
        _segmented(run, video)
        for video in run.videos
        if video.split == options.split and video.id in run.words and len(run.words.words(video.id))
    ]
    return evaluate_summaries(summarizer, videos)


def _segmented(run: Run, video: Video) -> SegmentedVideo:
    """Return a video with its labelled segments as clips; a segment that begins after its last clip is left out."""
    words, starts = run.words.words(video.id), run.words.clip_start_seconds(video.id)
    end_seconds = float(starts[-1]) + run.words.clip_length_seconds
    spans = [
        clips_between(
            segment.start_seconds,
            segment.end_seconds,
            clip_start_seconds_T=starts,
            clip_seconds=run.words.clip_length_seconds,
        )
        for segment in video.segments
        if segment.start_seconds < end_seconds
    ]
    return SegmentedVideo(
        video_id=video.id, words_T=words, segments=tuple((span.first, span.stop) for span in spans)
    )


EVALUATION = Evaluation(task="summarize", stage="pretrain", measure=_measure, fits=is_pretrained)
