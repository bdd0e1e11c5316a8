"""The SLURM job of `pretrain --emit-slurm`, run by bash with a stand-in for the cluster's own programs."""

import subprocess
from pathlib import Path

import pytest

SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NTASKS=2 "$@"; status=$?; done
exit $status
"""
SCONTROL = """#!/bin/sh
if [ "$1" = show ]; then echo node-a; echo node-b; else echo "$@" >> requeued; fi
"""
VIDEOBERT = """#!/bin/sh
echo "$RANK of $WORLD_SIZE, $LOCAL_RANK here, meets at $MASTER_ADDR:$MASTER_PORT, job $TORCHELASTIC_RUN_ID: $*" >> started
exit $CODE
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and programs called `srun`, `scontrol` and `videobert`."""
    (tmp_path / "bin").mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("videobert", VIDEOBERT)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "my recipe.yaml").write_text("run: runs/r\ndata: {videos: videos}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def emit(invoke, monkeypatch, *flags: str):
    arguments = ("pretrain", "my recipe.yaml", *flags)
    monkeypatch.setattr("sys.argv", ["videobert", *arguments])
    return invoke(*arguments)


def run_job(cluster: Path, *, code: int) -> int:
    variables = {
        "PATH": f"{cluster}/bin:/usr/bin:/bin",
        "SLURM_JOB_ID": "41234",
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }
    job = subprocess.run(["bash", "job.sh"], env={**variables, "CODE": str(code)}, check=False)
    return job.returncode


def test_the_job_starts_the_command_on_every_rank(invoke, monkeypatch, cluster: Path) -> None:
    flags = ("--set", "pretrain.loop.num_steps=7", "--emit-slurm", "job.sh", "--num-ranks=2")
    outcome = emit(invoke, monkeypatch, *flags)
    assert outcome.exit_code == 0, outcome.err
    assert "sbatch job.sh" in outcome.out
    assert run_job(cluster, code=0) == 0
    command = "pretrain my recipe.yaml --set pretrain.loop.num_steps=7"
    assert (cluster / "started").read_text().splitlines() == [
        f"{rank} of 2, {rank} here, meets at node-a:21234, job 41234: {command}" for rank in (0, 1)
    ]
    assert not (cluster / "requeued").exists()


@pytest.mark.parametrize(("code", "is_requeued"), [(75, True), (3, False)])
def test_a_stopped_job_queues_itself_again_and_a_failed_one_does_not(
    invoke, monkeypatch, cluster: Path, code: int, is_requeued: bool
) -> None:
    emit(invoke, monkeypatch, "--emit-slurm", "job.sh")
    assert run_job(cluster, code=code) == (0 if is_requeued else code)
    assert (cluster / "requeued").exists() == is_requeued


@pytest.mark.parametrize(
    ("num_ranks", "nodes", "tasks"), [("8", 1, 8), ("16", 2, 8), ("12", 2, 6), ("1", 1, 1)]
)
def test_ranks_fill_nodes(invoke, monkeypatch, cluster: Path, num_ranks: str, nodes: int, tasks: int) -> None:
    emit(invoke, monkeypatch, "--emit-slurm", "job.sh", "--num-ranks", num_ranks)
    lines = (cluster / "job.sh").read_text().splitlines()
    assert f"#SBATCH --nodes={nodes}" in lines
    assert f"#SBATCH --ntasks-per-node={tasks}" in lines


def test_ranks_that_fill_no_nodes_a_typo_and_a_flag_alone_are_refused(
    invoke, monkeypatch, cluster: Path
) -> None:
    odd = emit(invoke, monkeypatch, "--emit-slurm", "job.sh", "--num-ranks", "11")
    assert (odd.exit_code, odd.error_lines[2]) == (
        2, "  fix: --num-ranks 16, and change the head of the file for other nodes",
    )  # fmt: skip
    typo = emit(invoke, monkeypatch, "--emit-slurm", "job.sh", "--set", "pretrain.loop.num_stepz=1")
    assert typo.exit_code == 2
    assert "did you mean num_steps?" in typo.err
    alone = emit(invoke, monkeypatch, "--num-ranks", "4")
    assert alone.exit_code == 2
    assert "torchrun --nproc-per-node N" in alone.err
    assert not (cluster / "job.sh").exists()
