"""One shard of an extraction: its videos into the store that all shards fill, which the last one seals."""

from videobert_cli.core.features.line.sharding import Shard
from videobert_cli.core.features.store.quarantine import read_quarantine
from videobert_cli.core.features.store.reader import locate_items
from videobert_cli.core.features.store.writer import FeatureStoreWriter
from videobert_cli.pipeline.execute import finished_result
from videobert_cli.pipeline.extract_stage import STAGE, extract_job, require_videos
from videobert_cli.pipeline.extraction import ExtractEnd, ExtractJob, extract_reported
from videobert_cli.pipeline.locks import ShardTurn
from videobert_cli.pipeline.run import Run
from videobert_cli.pipeline.stage import StageReport, begin, finish, stage_status, stale_error

_SEALED = "all shards are done, the store is sealed"


def extract_run_shard(run: Run, shard: Shard) -> ExtractEnd:
    """Extract one shard of a recipe's videos; where the whole stage is finished, tell what was made.

    Raises:
        StaleStageError: The stage was made from something else.
        LockedError: Another process works on this shard, or on the whole run.
        InputError: There are no videos.
    """
    require_videos(run)
    finished = finished_result(STAGE, run)
    if finished is not None:
        done = finished.report
        return ExtractEnd(
            summary=f"done before: {done.summary}", facts=done.facts, num_failed=done.num_failed, is_new=False
        )
    with ShardTurn(run.paths.root, worker=shard.worker) as turn:
        status = stage_status(STAGE, run)
        if status.state == "stale":
            raise stale_error(STAGE, run, status, command=STAGE.name)
        run.remember()
        if status.record is None:
            begin(STAGE, run)
        job = extract_job(run)
        report = extract_reported(job, shard=shard)
        with turn.end() as is_last:
            state = _seal_if_all_are_done(job, is_last=is_last)
            if state == _SEALED:
                finish(STAGE, run, _whole(run))
    return ExtractEnd.of(report, state=state)


def extract_files_shard(job: ExtractJob, shard: Shard) -> ExtractEnd:
    """Extract one shard of videos that no recipe names; raises as `extract_run_shard`."""
    with ShardTurn(job.directory, worker=shard.worker) as turn:
        report = extract_reported(job, shard=shard)
        with turn.end() as is_last:
            state = _seal_if_all_are_done(job, is_last=is_last)
    return ExtractEnd.of(report, state=state)


def _seal_if_all_are_done(job: ExtractJob, *, is_last: bool) -> str:
    """Seal the store where no video remains and nobody else is at work; return in words how far all shards are."""
    num_remaining = len(job.remaining_ids())
    if num_remaining:
        return f"{num_remaining:,} videos of other shards remain"
    if not is_last:
        return "other shards are still at work, the last one seals the store"
    for store in (*job.sealed_together, job.directory):
        FeatureStoreWriter.open(store).seal()
    return _SEALED


def _whole(run: Run) -> StageReport:
    """Return the report of the stage that all shards made."""
    stored = locate_items(run.extracted)
    items = [stored[video.id].item for video in run.videos if video.id in stored]
    quarantine = read_quarantine(run.extracted)
    failed = [video for video in run.videos if video.id in quarantine]
    num_clips = sum(item.num_clips for item in items)
    words = f", {len(failed)} failed" if failed else ""
    return StageReport(
        summary=f"{len(items):,} videos, {num_clips:,} clips{words}",
        facts={
            "extract.num_videos": len(items),
            "extract.num_clips": num_clips,
            "extract.num_failed": len(failed),
        },
        num_failed=len(failed),
    )
