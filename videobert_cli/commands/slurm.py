"""`videobert extract RECIPE --emit-slurm FILE`: a job array, one shard a job, that goes on after every interruption."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from videobert_cli.artifacts import publish_text
from videobert_cli.commands.results import CommandResult

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
