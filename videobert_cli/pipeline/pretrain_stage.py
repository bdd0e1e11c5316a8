"""The pretrain stage: words and sentences into a pretrained model directory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from videobert_cli.artifacts import hash_file, hash_json, read_manifest
from videobert_cli.core.features.backbones.imported import ImportedBackbone
from videobert_cli.core.features.backbones.registry import Backbone, load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.reports.model_card import model_card
from videobert_cli.core.sequences.corpus import Document, TokenCorpus, cached_corpus
from videobert_cli.core.sequences.documents import iter_documents
from videobert_cli.core.text.borrowed_models import model_identity
from videobert_cli.core.text.tokenizer import VideoBERTTokenizer, corpus_vocabulary
from videobert_cli.core.text.vocabulary import TOKENIZER_NAME, VOCABULARY_NAME
from videobert_cli.core.training.model_directory import (
    ModelParts,
    Questions,
    model_to_continue,
    publish_model,
)
from videobert_cli.core.training.pretrain import PretrainData, PretrainResult, pretrain_model
from videobert_cli.core.training.probe import Ask
from videobert_cli.core.training.sinks import require_sinks
from videobert_cli.core.video.manifest import Split, manifest_columns
from videobert_cli.errors import InputError
from videobert_cli.pipeline.events import loop_events
from videobert_cli.pipeline.pretrain_probe import zero_shot_probe
from videobert_cli.pipeline.ranks import call_for_help
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import Stage, StageReport
from videobert_cli.pipeline.training_report import is_report_due, look
from videobert_cli.pipeline.word_shift import report_word_shift, usage_of_run
from videobert_cli.ranks import Ranks, connected_ranks
from videobert_cli.runtime import package_version

_SPLITS: tuple[Split, ...] = ("train", "validation")


def _needs(run: Run) -> tuple[str, ...]:
    listens = run.recipe.pretrain.text.asr.engine != "none"
    return ("listen", "quantize") if listens else ("quantize",)


def _settings(run: Run) -> dict[str, Any]:
    evaluate = run.recipe.evaluate
    return {
        "seed": run.recipe.seed,
        "data": {"sentences": run.sentence_source},
        "pretrain": run.recipe.pretrain.remembered(),
        "evaluate": {"template": evaluate.template},
    }


def _inputs(run: Run) -> dict[str, str]:
    inputs = {
        "codebook": read_manifest(run.paths.codebook, kind="codebook").content_hash,
        "words": read_manifest(run.paths.words, kind="words").content_hash,
        "sentences": run.transcripts.content_hash(),
        "splits": hash_json({split: run.split_ids(split) for split in ("train", "validation")}),
        "questions": hash_json([list(_labels(run, column)) for column in _question_columns(run)]),
    }
    if run.recipe.pretrain.labels.heads:
        _require_columns(run, [head.column for head in run.recipe.pretrain.labels.heads])
        inputs["labels"] = run.labels_hash()
    init = run.recipe.pretrain.model.init
    if init != "scratch":
        weights = _named_model(Path(init)) / "model.safetensors"
        inputs |= {"init": hash_file(weights)} if weights.is_file() else {}
    punctuation = run.recipe.pretrain.text.punctuation
    if punctuation != "none":
        inputs["punctuation"] = model_identity(punctuation)
    vocabulary = run.recipe.pretrain.text.vocabulary
    if isinstance(vocabulary, Path):
        vocabulary = _named_model(vocabulary)
        places = (vocabulary, vocabulary / VOCABULARY_NAME, vocabulary / TOKENIZER_NAME)
        read = next((path for path in places if path.is_file()), None)
        inputs |= {"vocabulary": hash_file(read)} if read else {}
    return inputs


def _named_model(named: Path) -> Path:
    """Return the pretrained model in the run of that name, else the path as it is."""
    return model_to_continue(named) or named


def _require_columns(run: Run, columns: Sequence[str]) -> None:
    """Refuse columns of labels that no segment has, before anything made from others is thrown away."""
    known = sorted(manifest_columns(run.videos))
    missing = next((column for column in columns if column not in known), None)
    if missing is not None:
        raise InputError(
            f"no segment of the videos has a label in a column {missing!r}",
            at="pretrain.labels.heads",
            fix=f"the columns are: {', '.join(known)}"
            if known
            else "give the segments labels (docs/formats.md)",
        )


def _execute(run: Run) -> StageReport:
    tokenizer = make_tokenizer(run)
    inputs = _inputs(run)
    corpora = {split: _corpus(run, split, tokenizer=tokenizer, inputs=inputs) for split in _SPLITS}
    shift = report_word_shift(run)
    questions = _questions(run)
    probe = zero_shot_probe(run, tokenizer=tokenizer, questions=questions)
    ranks = call_for_help("pretrain")
    ranks.say((tokenizer.vocabulary, tokenizer.num_words, probe is not None))
    result = _train(run, corpora, tokenizer=tokenizer, ranks=ranks, probe=probe)
    facts = _facts(run, result, tokenizer=tokenizer)
    parts = ModelParts(
        tokenizer=tokenizer,
        codebook=run.paths.codebook,
        backbone=_backbone(run),
        extract=_extract_options(run),
        questions=questions,
        usage=usage_of_run(run),
        card=model_card(
            title=f"VideoBERT pretrained on {run.recipe.data.videos.name}",
            task="video-text-pretraining",
            command="pretrain",
            version=package_version(),
            facts=facts,
        ),
    )
    publish_model(
        run.paths.pretrained,
        result.model,
        parts=parts,
        settings=_settings(run),
        parents=inputs,
        facts=facts,
    )
    best = result.training.best_loss
    held_out = f", best held-out loss {best:.3f}" if best is not None else ""
    losses = f"; text: {run.transcripts.losses}" if run.transcripts.losses else ""
    return StageReport(
        summary=f"{result.training.num_steps:,} steps{held_out}{losses}",
        facts={
            f"pretrain.{name}": value for name, value in {**run.transcripts.facts, **facts, **shift}.items()
        },
    )


def _help(run: Run) -> None:
    """Train beside rank 0, which has made the tokens and the tokenizer."""
    ranks = connected_ranks()
    vocabulary, num_words, is_probed = ranks.say(None)
    tokenizer = VideoBERTTokenizer(vocabulary, num_words=num_words)
    corpora = {split: TokenCorpus.open(_corpus_path(run, split)) for split in _SPLITS}
    _train(run, corpora, tokenizer=tokenizer, ranks=ranks, probe=_not_asked if is_probed else None)


def _not_asked(_model: VideoBERTForPreTraining) -> Mapping[str, float]:
    """Stand for the probe on a rank that is told the answers."""
    return {}


def _train(
    run: Run,
    corpora: Mapping[Split, TokenCorpus],
    *,
    tokenizer: VideoBERTTokenizer,
    ranks: Ranks,
    probe: Ask | None,
) -> PretrainResult:
    options = run.recipe.pretrain
    data = PretrainData(
        train=corpora["train"],
        held_out=corpora["validation"],
        segments=run.segments if options.labels.heads else (),
        ask=probe,
    )
    return pretrain_model(
        data,
        tokenizer=tokenizer,
        codebook=run.codebook,
        options=options,
        directory=run.directory("pretrain"),
        seed=run.recipe.seed,
        device=run.device,
        stop=run.stop,
        events=loop_events(run, "pretrain"),
        ranks=ranks,
    )


def _backbone(run: Run) -> Backbone:
    if run.recipe.extract.features is not None:
        return ImportedBackbone(run.store.fingerprint, dim=run.store.dim)
    return load_backbone(run.recipe.extract, device=run.device)


def _extract_options(run: Run) -> ExtractOptions:
    """Return what the model's directory says of its features: where a run keeps them is none of its business."""
    options = run.recipe.extract
    # What the recipe would extract with was not used: the features were made elsewhere.
    return options.of_a_feature() if options.features is None else ExtractOptions()


def make_tokenizer(run: Run) -> VideoBERTTokenizer:
    """Return the tokenizer that the recipe asks for, with the run's visual words."""
    text, num_words = run.recipe.pretrain.text, run.codebook.num_words
    if text.vocabulary != "corpus":
        return VideoBERTTokenizer.from_pretrained(
            _named_model(Path(text.vocabulary)), num_words=num_words, lowercase=text.lowercase
        )
    train_ids = set(run.split_ids("train"))
    sentences = [
        sentence.text
        for key, found in run.punctuated.sentences.items()
        if key in train_ids
        for sentence in found
    ]
    # The words of the question are part of the language, also where no narrator ever says them.
    questions = _questions(run)
    asked = [questions.template.replace("[MASK]", " "), *questions.verbs, *questions.objects]
    vocabulary = corpus_vocabulary(
        [*sentences, *asked * text.corpus_min_count],
        min_count=text.corpus_min_count,
        max_size=text.corpus_max_size,
        lowercase=text.lowercase,
    )
    return VideoBERTTokenizer.from_vocabulary(vocabulary, num_words=num_words, lowercase=text.lowercase)


def split_documents(run: Run, split: Split, *, tokenizer: VideoBERTTokenizer) -> Iterator[Document]:
    """Yield the split's videos and transcripts as the recipe makes documents of them."""
    sequences = run.recipe.pretrain.sequences
    return iter_documents(
        run.split_ids(split),
        words=run.words,
        transcripts=run.punctuated,
        tokenizer=tokenizer,
        coverage=sequences.coverage,
        grown_min_seconds=sequences.grown_min_seconds,
    )


def _corpus(
    run: Run, split: Split, *, tokenizer: VideoBERTTokenizer, inputs: Mapping[str, str]
) -> TokenCorpus:
    """Return the split's documents as tokens, from the stage's directory where they lie there already.

    Whatever the stage reads and how it reads text count: to make them again costs less than to miss a change.
    """
    pretrain = run.recipe.pretrain
    return cached_corpus(
        _corpus_path(run, split),
        lambda: split_documents(run, split, tokenizer=tokenizer),
        settings={
            "text": pretrain.text.settings(),
            "coverage": pretrain.sequences.coverage,
            "grown_min_seconds": pretrain.sequences.grown_min_seconds,
        },
        parents={
            **inputs,
            "ids": hash_json(run.split_ids(split)),
            "tokenizer": tokenizer.content_hash(),
        },
    )


def _corpus_path(run: Run, split: Split) -> Path:
    return run.directory("pretrain") / "tokens" / split


def _questions(run: Run) -> Questions:
    verb, object_ = _question_columns(run)
    return Questions(
        template=run.recipe.evaluate.template, verbs=_labels(run, verb), objects=_labels(run, object_)
    )


def _question_columns(run: Run) -> tuple[str, str]:
    return run.recipe.evaluate.verb, run.recipe.evaluate.object


def _labels(run: Run, column: str) -> tuple[str, ...]:
    """Return the values of a column, sorted: the answers that can be asked for."""
    values = {segment.labels.get(column, "") for video in run.videos for segment in video.segments}
    return tuple(sorted(values - {""}))


def _facts(run: Run, result: PretrainResult, *, tokenizer: VideoBERTTokenizer) -> dict[str, Any]:
    heads = [f"{head.name} ({len(head.classes)} classes)" for head in result.model.config.label_heads]
    return {
        "num_steps": result.training.num_steps,
        "num_parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "num_text_tokens": tokenizer.num_text_tokens,
        "num_words": tokenizer.num_words,
        "num_sentences": run.punctuated.num_sentences,
        **{f"num_samples_{regime}": count for regime, count in result.num_samples.items()},
        **({"label_heads": ", ".join(heads)} if heads else {}),
    }


def _outputs(run: Run) -> tuple[Path, ...]:
    return (run.paths.pretrained / "manifest.json",)


STAGE = Stage(
    name="pretrain",
    needs=_needs,
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    help=_help,
    require=lambda run: require_sinks(run.recipe.pretrain.loop.log_to, key="pretrain.loop.log_to"),
    look=lambda run: look(run, "pretrain"),
    is_look_due=lambda run: is_report_due(run, "pretrain"),
)
