"""The listen stage: the speech of videos without subtitles into one transcript each."""

from pathlib import Path
from typing import Any

from videobert_cli.artifacts import discard, publish_json, seal, sweep
from videobert_cli.core.features.store.quarantine import MAIN_WORKER, Quarantine, read_quarantine
from videobert_cli.core.features.store.source import source_num_bytes
from videobert_cli.core.text.speech import AudioLimits, Recogniser, load_recogniser, transcribe
from videobert_cli.errors import UsageError, VideoBERTError, VideoError
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.speech import (
    Speech,
    speech_directory,
    speech_model,
    speech_of,
    speech_settings,
)
from videobert_cli.pipeline.stage import Stage, StageReport


def _settings(run: Run) -> dict[str, Any]:
    return {"pretrain": {"text": {"asr": speech_settings(run)}}}


def _inputs(run: Run) -> dict[str, str]:
    return {"model": speech_model(run)}


def _execute(run: Run) -> StageReport:
    directory = speech_directory(run)
    sweep(directory)
    wanted = speech_of(run)
    quarantine = Quarantine(run.paths.stage("listen"), worker=MAIN_WORKER, stored=())
    todo = [speech for speech in wanted if not _is_known(speech, quarantine, run)]
    recogniser = _recogniser(run, is_needed=bool(todo))
    if recogniser is not None:
        _hear(run, todo, recogniser=recogniser, quarantine=quarantine)
    run.forget_transcripts()
    directory.mkdir(parents=True, exist_ok=True)
    seal(directory, kind="transcripts", settings=_settings(run), parents=_inputs(run))
    return _report(run, wanted, quarantine=quarantine)


def _recogniser(run: Run, *, is_needed: bool) -> Recogniser | None:
    """Return what listens, None where there is nothing left to listen to.

    With a mistyped model nothing was made: the stage is taken back, so that the right name does not find it stale.
    """
    asr = run.recipe.pretrain.text.asr
    try:
        if asr.engine == "none":
            raise UsageError(
                "the recipe names nothing that listens",
                at="pretrain.text.asr.engine: none",
                fix="--set pretrain.text.asr.engine=faster-whisper --set pretrain.text.asr.model=small.en",
            )
        if not is_needed:
            return None
        return load_recogniser(
            asr.engine,
            model=asr.model or "",
            language=asr.language,
            compute_type=asr.compute_type,
            device=str(run.device),
        )
    except VideoBERTError:
        if not speech_directory(run).exists():
            discard(run.paths.stage("listen"))
        raise


def _is_known(speech: Speech, quarantine: Quarantine, run: Run) -> bool:
    has_failed = speech.video.id in quarantine.failed and run.on_failed == "keep"
    return speech.file.is_file() or has_failed


def _hear(run: Run, todo: list[Speech], *, recogniser: Recogniser, quarantine: Quarantine) -> None:
    reader = run.recipe.extract.reader
    limits = AudioLimits(max_bytes=reader.max_file_bytes, max_seconds=reader.max_duration_seconds)
    for number, speech in enumerate(todo):
        saved = f"{number:,} of {len(todo):,} videos are heard"
        run.stop.raise_if_requested(saved)
        run.reporter.progress("listen", done=number, total=len(todo), detail="videos")
        try:
            document = transcribe(
                speech.video.path,
                recogniser=recogniser,
                limits=limits,
                should_stop=lambda: run.stop.requested,
            )
        except VideoError as error:
            if error.reason != "no-sound":
                quarantine.record(
                    speech.video.id,
                    path=speech.video.path,
                    reason=error.reason,
                    detail=error.what,
                    stage="listen",
                    num_bytes=source_num_bytes(speech.video.path),
                )
                continue
            document = {"segments": [], "sound": "none"}
        run.stop.raise_if_requested(saved)
        publish_json(speech.file, {"video": speech.video.id, **(document or {})})
        quarantine.forget(speech.video.id)


def _report(run: Run, wanted: list[Speech], *, quarantine: Quarantine) -> StageReport:
    failed = [speech.video.id for speech in wanted if speech.video.id in quarantine.failed]
    spoken = [speech for speech in wanted if run.transcripts.sentences.get(speech.video.id)]
    num_silent = len(wanted) - len(failed) - len(spoken)
    if failed:
        run.reporter.warning(
            f"{len(failed):,} of {len(wanted):,} videos could not be listened to -> "
            f"{run.paths.stage('listen') / 'quarantine.jsonl'}"
        )
    facts = {
        "num_videos": len(wanted),
        "num_spoken": len(spoken),
        "num_silent": num_silent,
        "num_failed": len(failed),
        "num_sentences": sum(len(run.transcripts.sentences[speech.video.id]) for speech in spoken),
    }
    return StageReport(
        summary=f"{len(wanted):,} videos without subtitles: speech in {len(spoken):,}, none in {num_silent:,}, "
        f"{len(failed):,} not readable; {facts['num_sentences']:,} sentences",
        facts={f"listen.{name}": value for name, value in facts.items()},
        num_failed=len(failed),
    )


def _is_complete(run: Run) -> bool:
    """Whether no video without subtitles is new, or another file than it was, since the stage finished."""
    failed = read_quarantine(run.paths.stage("listen")) if run.on_failed == "keep" else {}
    return all(speech.file.is_file() or speech.video.id in failed for speech in speech_of(run))


def _outputs(run: Run) -> tuple[Path, ...]:
    return (speech_directory(run) / "manifest.json",)


STAGE = Stage(
    name="listen",
    needs=lambda _run: (),
    settings=_settings,
    inputs=_inputs,
    execute=_execute,
    outputs=_outputs,
    is_complete=_is_complete,
)
