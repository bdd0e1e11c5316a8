"""`--emit-slurm FILE`: SLURM jobs that go on after every interruption.

`extract` gets a job array, one shard a job; `pretrain` one job of many ranks.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from videobert_cli.artifacts import publish_text
from videobert_cli.commands.results import CommandResult
from videobert_cli.errors import UsageError

_SCRIPT = """\
#!/bin/bash
# Written by `videobert extract --emit-slurm`. Change what your cluster wants, then: sbatch {name}
#SBATCH --job-name=videobert-extract
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=1
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --output=videobert-extract-%A-%a.log
# Five minutes before the time is up the command is asked to stop; what it has finished is safe whenever it ends.
#SBATCH --signal=TERM@300
#SBATCH --requeue

cd {directory} || exit
srun {command} --shard "$SLURM_ARRAY_TASK_ID/{num_shards}"
status=$?
# 75: stopped in time, go on in another job. 4: some videos cannot be read, which no second job would mend.
if [ $status -eq 75 ]; then scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"; exit 0; fi
if [ $status -eq 4 ]; then exit 0; fi
exit $status
"""


_NUM_RANKS_OF_NODE = 8
# srun starts the ranks itself: torchrun would make 1 of every exit code, and could not be told from a crash.
_TRAINING_SCRIPT = """\
#!/bin/bash
# Written by `videobert pretrain --emit-slurm`. Change what your cluster wants, then: sbatch {name}
#SBATCH --job-name=videobert-pretrain
#SBATCH --nodes={num_nodes}
#SBATCH --ntasks-per-node={num_local}
#SBATCH --gpus-per-node={num_local}
#SBATCH --cpus-per-task=8
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --output=videobert-pretrain-%j.log
# Five minutes before the time is up all ranks are asked to stop: they save after the same step.
#SBATCH --signal=TERM@300
#SBATCH --requeue

cd {directory} || exit
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000)) OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"
# Where one rank ends the others do too, within a minute.
srun --wait=60 --kill-on-bad-exit=0 bash -c 'RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID \
TORCHELASTIC_RUN_ID=$SLURM_JOB_ID exec "$@"' rank {command}
status=$?
# 75: stopped in time, go on in another job.
if [ $status -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID"; exit 0; fi
exit $status
"""


def emit_training_slurm(path: Path, *, arguments: Sequence[str], num_ranks: int) -> CommandResult:
    """Write the job that runs `videobert pretrain` with `arguments` on `num_ranks` GPUs, eight of a node.

    Raises:
        UsageError: The ranks do not fill the nodes.
    """
    num_nodes = -(-num_ranks // _NUM_RANKS_OF_NODE)
    if num_ranks % num_nodes:
        raise UsageError(
            f"{num_ranks} ranks are no whole number on each of {num_nodes} nodes of {_NUM_RANKS_OF_NODE} GPUs",
            at="--num-ranks",
            fix=f"--num-ranks {num_nodes * _NUM_RANKS_OF_NODE}, and change the head of the file for other nodes",
        )
    script = _TRAINING_SCRIPT.format(
        name=shlex.quote(path.name),
        num_nodes=num_nodes,
        num_local=num_ranks // num_nodes,
        directory=shlex.quote(str(Path.cwd())),
        command=shlex.join(["videobert", "pretrain", *arguments]),
    )
    publish_text(path, script)
    return CommandResult(
        outputs={"slurm": str(path)},
        metrics={"pretrain.num_ranks": num_ranks},
        lines=(f"pretrain: a job of {num_ranks} ranks -> {path}; send it off with: sbatch {path}",),
    )


def without_flags(arguments: Sequence[str], *, names: frozenset[str]) -> list[str]:
    """Return a command line without some flags and their values: as a job is to have it."""
    kept = []
    values = iter(arguments)
    for argument in values:
        name = argument.partition("=")[0]
        if name not in names:
            kept.append(argument)
        elif name == argument:
            next(values, None)
    return kept


def emit_slurm(path: Path, *, arguments: Sequence[str], num_shards: int) -> CommandResult:
    """Write the job array that runs `videobert extract` with `arguments`, split into `num_shards`."""
    command = shlex.join(["videobert", "extract", *arguments])
    script = _SCRIPT.format(
        name=shlex.quote(path.name),
        last=num_shards - 1,
        num_shards=num_shards,
        directory=shlex.quote(str(Path.cwd())),
        command=command,
    )
    publish_text(path, script)
    return CommandResult(
        outputs={"slurm": str(path)},
        metrics={"extract.num_shards": num_shards},
        lines=(f"extract: a job array of {num_shards} shards -> {path}; send it off with: sbatch {path}",),
    )
