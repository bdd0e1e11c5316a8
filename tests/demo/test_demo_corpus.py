"""The demo corpus on disk: same seed, same bytes; resumed, recognised, refused; an ordinary manifest."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from videobert_cli import artifacts
from videobert_cli.demo.corpus import COLUMNS, CorpusReport, write_corpus
from videobert_cli.demo.plan import plan_corpus
from videobert_cli.demo.render import render_frames
from videobert_cli.errors import StaleStageError, UsageError

pytestmark = pytest.mark.slow


def _ignore(_done: int, _total: int) -> None:
    return


def _write(
    directory: Path, *, seed: int = 0, num_train: int = 1, num_test: int = 1, num_workers: int = 1
) -> CorpusReport:
    return write_corpus(
        directory,
        seed=seed,
        num_train_videos=num_train,
        num_validation_videos=0,
        num_test_videos=num_test,
        num_workers=num_workers,
        on_progress=_ignore,
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("demo") / "corpus"
    _write(directory)
    return directory


def _bytes(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_manifest_is_a_csv_of_steps_with_files_beside_it(corpus: Path) -> None:
    with (corpus / "videos.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    steps = [row for row in rows if row["video"]]
    plan = plan_corpus(seed=0, num_train_videos=1, num_validation_videos=0, num_test_videos=1)
    assert len(steps) == sum(len(video.steps) for video in plan.videos)
    for row in steps:
        assert (corpus / row["video"]).is_file()
        assert bool(row["captions"]) == (corpus / row["video"]).with_suffix(".srt").is_file()
        assert float(row["start"]) < float(row["end"])
        assert row["label"] == row["verb"]
    texts = [row for row in rows if not row["video"]]
    assert [row["split"] for row in texts] == ["train"]
    assert (corpus / texts[0]["captions"]).is_file()


def test_folder_is_a_sealed_artifact(corpus: Path) -> None:
    assert artifacts.require_intact(corpus, kind="demo").facts["num_videos"] == 2


def test_a_video_decodes_to_the_planned_frames(corpus: Path) -> None:
    plan = plan_corpus(seed=0, num_train_videos=1, num_validation_videos=0, num_test_videos=1).videos[0]
    with av.open(str(corpus / "videos" / f"{plan.name}.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == plan.num_frames
    drawn = next(render_frames(plan, seed=0))
    assert np.abs(decoded[0].astype(int) - np.asarray(drawn)).mean() < 8


def test_a_removed_file_is_made_again_and_equals_the_first(corpus: Path) -> None:
    before = _bytes(corpus)
    (corpus / "videos" / "test-000.mp4").unlink()
    report = _write(corpus)
    assert (report.status, report.num_rendered) == ("written", 1)
    assert _bytes(corpus) == before


def test_a_cut_file_is_made_again(corpus: Path) -> None:
    before = _bytes(corpus)
    video = corpus / "videos" / "test-000.mp4"
    video.write_bytes(video.read_bytes()[:1000])
    assert _write(corpus).num_rendered == 1
    assert _bytes(corpus) == before


def test_a_stop_between_videos_loses_nothing(tmp_path: Path) -> None:
    def stop(done: int, _total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    settings = {
        "seed": 0,
        "num_train_videos": 1,
        "num_validation_videos": 0,
        "num_test_videos": 1,
        "num_workers": 1,
    }
    with pytest.raises(KeyboardInterrupt):
        write_corpus(tmp_path / "new", **settings, on_progress=stop)
    assert not artifacts.is_finished(tmp_path / "new")
    assert _write(tmp_path / "new").num_rendered == 1


def test_a_finished_corpus_is_left_alone(corpus: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    report = _write(corpus)
    assert (report.status, report.num_rendered, report.num_videos) == ("already-finished", 0, 2)
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before


def test_another_seed_in_the_same_folder_is_refused(corpus: Path) -> None:
    with pytest.raises(StaleStageError, match="seed is 0, not 5") as caught:
        _write(corpus, seed=5)
    assert "another folder" in caught.value.fix
    with pytest.raises(StaleStageError, match="num_test_videos is 1, not 2"):
        _write(corpus, num_test=2)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        _write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_progress_counts_up_to_all(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_corpus(
        tmp_path / "new",
        seed=3,
        num_train_videos=1,
        num_validation_videos=0,
        num_test_videos=0,
        num_workers=1,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(0, 1), (1, 1)]


@pytest.mark.slow
def test_same_seed_same_bytes_with_one_worker_and_with_two(tmp_path: Path) -> None:
    _write(tmp_path / "one", num_train=2, num_workers=1)
    _write(tmp_path / "two", num_train=2, num_workers=2)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
