"""P12: evaluations in parallel loops, one of them killed: every line of the file parses, none is there twice."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from executable import FinishedRun, shell, start

pytestmark = pytest.mark.slow
NUM_PROCESSES, NUM_ROUNDS = 4, 3


def test_p12_parallel_loops_leave_whole_lines_and_none_twice(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    folders = [finished_run.copy(tmp_path / str(number)) for number in range(NUM_PROCESSES)]
    for number in range(NUM_ROUNDS):
        # Each with a question of its own, and the one that all ask.
        templates = [f"how to [MASK] the [MASK] {number} {place}" for place in range(NUM_PROCESSES)]
        processes = [
            start(
                "evaluate", "tiny.yaml", "--append", str(results), "--overwrite",
                "--set", f"evaluate.template={template}", folder=folder,
            )
            for folder, template in zip(folders, [templates[0], *templates[:-1]], strict=True)
        ]  # fmt: skip
        time.sleep(1.0 + 0.7 * number)
        os.killpg(processes[-1].pid, signal.SIGKILL)
        for process in processes[:-1]:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
        processes[-1].communicate()
        again = shell(
            "evaluate", "tiny.yaml", "--append", str(results), "--overwrite",
            "--set", f"evaluate.template={templates[-2]}", folder=folders[-1],
        )  # fmt: skip
        assert again.exit_code == 0, again.err
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    keys = [line["key"] for line in lines]
    assert len(set(keys)) == len(keys)
    # Four processes a round, two of which ask the same question.
    assert len(keys) == NUM_ROUNDS * (NUM_PROCESSES - 1)
