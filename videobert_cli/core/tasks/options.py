"""The recipe's `evaluate:` and `predict:` sections."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from videobert_cli.options import Options

EvaluateTask = Literal[
    "zero_shot",
    "classify",
    "labels",
    "forecast",
    "text_to_video",
    "summarize",
    "retrieval",
    "caption",
    "linear_probe",
    "few_shot",
    "explain",
    "explain_classes",
]
PredictTask = Literal["timeline", "caption", "forecast", "summarize"]
PAPER_TEMPLATE = "now let me show you how to [MASK] the [MASK]"


class ForecastOptions(Options):
    """`evaluate.forecast:` which places of a video are asked about."""

    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 4), min_length=1, description="How many clips after the last one seen, each measured."
    )
    context_num_clips: int = Field(
        default=16, ge=1, description="Clips seen before the question; fewer where the video begins."
    )
    max_num_questions: int = Field(
        default=20_000, ge=1, description="At most so many places a horizon, evenly spread over all videos."
    )


class SummarizeOptions(Options):
    """`evaluate.summarize:`, `predict.summarize:` which clips stand for a video."""

    num_clips: int = Field(
        default=6,
        ge=1,
        description="`predict`: most key clips. `evaluate` takes as many as labelled segments.",
    )
    surprise_weight: float = Field(
        default=1.0,
        ge=0,
        description="How much more a clip counts that the model did not expect; 0: all alike.",
    )
    context_num_clips: int = Field(
        default=8, ge=1, description="Clips on each side from which the model guesses the one between."
    )


class BesideRow(Options):
    """A row of figures from elsewhere, as shares of 1; null where there is none."""

    name: str = Field(min_length=1, description="Whose figures they are.")
    verb_top1: float | None = Field(default=None, ge=0, le=1, description="Verb, top-1.")
    verb_top5: float | None = Field(default=None, ge=0, le=1, description="Verb, top-5.")
    object_top1: float | None = Field(default=None, ge=0, le=1, description="Object, top-1.")
    object_top5: float | None = Field(default=None, ge=0, le=1, description="Object, top-5.")


class ZeroShotOptions(Options):
    """`evaluate.zero_shot:` what the cloze is asked beside its candidates."""

    templates: tuple[str, ...] = Field(
        default=(), description="Several clozes in place of `evaluate.template`: the mean over them counts."
    )
    verbs: Path | None = Field(
        default=None, description="A file of candidates, one a line; null: the labels of the training videos."
    )
    objects: Path | None = Field(
        default=None, description="A file of candidates, one a line; null: the labels of the training videos."
    )
    full_vocabulary: bool = Field(
        default=False, description="Whether verbs and objects are also ranked among all tokens."
    )
    beside: tuple[BesideRow, ...] = Field(default=(), description="Figures from elsewhere, shown below ours.")


class CaptionSearchOptions(Options):
    """`evaluate.caption:`, `predict.caption:` how captions are searched for."""

    num_beams: int = Field(default=4, ge=1, le=64, description="Beginnings that are followed; 1 is greedy.")
    length_penalty: float = Field(
        default=1.0,
        ge=0,
        description="A caption of n tokens scores its log-probability over ((5 + n) / 6) to this power.",
    )
    no_repeat_ngram: int = Field(
        default=3, ge=0, description="No so many tokens in a row are said twice; 0 forbids nothing."
    )


class FewShotOptions(Options):
    """`evaluate.few_shot:` how many labels a linear classifier learns from."""

    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 5, 10), min_length=1, description="Training segments of each class, each measured."
    )
    num_draws: int = Field(default=5, ge=1, description="Draws of these segments; the mean counts.")


class ExplainEvaluateOptions(Options):
    """`evaluate.explain:` how explanations of the cloze and of a classifier (`explain_classes`) are put to the test."""

    num_segments: int = Field(
        default=200, ge=1, description="At most so many labelled segments, drawn by the run's seed."
    )
    hidden_shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.25, 0.5, 0.75),
        min_length=1,
        description="Shares of a segment's clips that are hidden, the most important first; one at least, never all.",
    )


class ClassifyOptions(Options):
    """`evaluate.classify:` how answers are counted, and what is measured beside the classifier."""

    baselines: tuple[Literal["word_histogram", "linear_probe"], ...] = Field(
        default=(),
        description="Linear classifiers without a pretrained model: on how often each visual word occurs, and on the "
        "mean of the raw features.",
    )
    threshold: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="Where several classes may be right, those above this probability are the answer.",
    )


class RetrievalEvaluateOptions(Options):
    """`evaluate.retrieval:` what is measured beside the retriever."""

    rerank_num_candidates: int = Field(
        default=20, ge=1, description="The first so many found are ordered anew by the alignment head."
    )
    max_num_aligned_pairs: int = Field(
        default=50_000,
        ge=0,
        description="The alignment head alone is measured where sentences times segments are no more.",
    )


class EvaluateOptions(Options):
    """`evaluate:` held-out segments become scores."""

    tasks: tuple[EvaluateTask, ...] = Field(
        default=("zero_shot", "classify"),
        min_length=1,
        description="What to measure; `labels`: the heads of labels that were pretrained (`pretrain.labels`); "
        "`forecast`: the words of coming clips; `text_to_video`: the words that sentences call for; "
        "`summarize`: whether key clips are of the labelled segments; `retrieval`: whether sentences find their "
        "segments; `caption`: what is said of segments against what was said; `linear_probe`: verbs and "
        "objects by a linear classifier on the raw features; `few_shot`: classes from few labels; `explain`, "
        "`explain_classes`: whether hiding the clips that explanations name costs the cloze's and the classifier's "
        "answers more than hiding any.",
    )
    split: Literal["train", "validation", "test"] = Field(
        default="test", description="The videos to measure on."
    )
    template: str = Field(
        default=PAPER_TEMPLATE, description="The cloze; its masks are the verb and the object, in order."
    )
    verb: str = Field(default="verb", min_length=1, description="The manifest's column with the verb.")
    object: str = Field(default="object", min_length=1, description="The manifest's column with the object.")
    classify: ClassifyOptions = Field(
        default=ClassifyOptions(), description="What is measured beside a classifier."
    )
    forecast: ForecastOptions = Field(default=ForecastOptions(), description="Places that are asked about.")

    summarize: SummarizeOptions = Field(default=SummarizeOptions(), description="How key clips are chosen.")

    retrieval: RetrievalEvaluateOptions = Field(
        default=RetrievalEvaluateOptions(), description="What is measured beside the retriever."
    )

    caption: CaptionSearchOptions = Field(
        default=CaptionSearchOptions(), description="How captions are searched for."
    )
    zero_shot: ZeroShotOptions = Field(
        default=ZeroShotOptions(), description="What the cloze is asked beside its candidates."
    )
    few_shot: FewShotOptions = Field(
        default=FewShotOptions(), description="How many labels are learned from."
    )
    explain: ExplainEvaluateOptions = Field(
        default=ExplainEvaluateOptions(), description="How explanations are put to the test."
    )

    def remembered(self) -> dict[str, Any]:
        """Return the settings that the scores depend on: without the sections of tasks that are not measured."""
        sections = {"forecast", "summarize", "retrieval", "caption", "few_shot"} - set(self.tasks)
        if not {"explain", "explain_classes"} & set(self.tasks):
            sections |= {"explain"}
        if self.zero_shot == ZeroShotOptions():
            sections |= {"zero_shot"}
        if self.classify == ClassifyOptions() or "classify" not in self.tasks:
            sections |= {"classify"}
        return {name: value for name, value in self.settings().items() if name not in sections}


Explain = Literal["none", "occlusion", "gradients", "attention"]


class PredictOptions(Options):
    """`predict:` a raw video becomes a timeline of answers."""

    segment_seconds: float = Field(
        default=6.0, gt=0, description="Length of a segment where no subtitles mark sentences."
    )
    top: int = Field(default=3, ge=1, le=100, description="Answers shown for each segment.")
    tasks: tuple[PredictTask, ...] = Field(
        default=("timeline",),
        min_length=1,
        description="What is asked: `timeline`, verbs, objects and classes of each segment; `caption`, a "
        "sentence about each; `forecast`, the words of "
        "the clips that would come next; `summarize`, the key clips.",
    )
    explain: Explain = Field(
        default="none",
        description="How each clip's part in the best answers of the timeline is found: by hiding it, by integrated "
        "gradients, or by following the attention of all layers (rollout).",
    )
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1, 2, 4), min_length=1, description="`forecast`: how many clips after the last one."
    )
    summarize: SummarizeOptions = Field(default=SummarizeOptions(), description="How key clips are chosen.")
    caption: CaptionSearchOptions = Field(
        default=CaptionSearchOptions(), description="How captions are searched for."
    )
    num_clips: int = Field(
        default=1, ge=1, description="`--text`: clips, one after another, that show the text."
    )
    search: Literal["exact", "faiss"] = Field(
        default="exact",
        description="`--text` with `--in`: NumPy, or FAISS (an extra) for millions of segments.",
    )
    inputs: tuple[Path, ...] = Field(
        default=(), description="Videos to answer about when the command names none."
    )
