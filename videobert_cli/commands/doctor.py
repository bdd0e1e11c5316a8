"""`videobert doctor`: what this machine has, and what of it videobert can use."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from videobert_cli.artifacts import publish_bytes
from videobert_cli.commands import flags
from videobert_cli.commands.results import CommandResult

_MIN_FREE_GIB = 5
HELP = """What this machine has: versions, device, readers, free disk.

Also which backbones there are (plug-ins included), whether bfloat16 is faster than float32 here (then `precision: auto`
uses it), and how long a safe write (write, fsync, rename) takes.

\b
Examples:
  videobert doctor
  videobert doctor --json
  videobert doctor --device cpu
"""


def command(
    *,
    device: flags.DeviceOption = "auto",
    json: flags.JsonOption = False,  # noqa: ARG001 - read by the frame around all commands
    debug: flags.DebugOption = False,  # noqa: ARG001 - read by the frame around all commands
) -> CommandResult:
    """Report the environment."""
    import importlib.util

    from videobert_cli.core.features.plugins import BUILT_IN, TRANSFORMERS_PREFIX, plug_ins
    from videobert_cli.runtime import environment, has_fast_bfloat16, pick_device

    chosen = pick_device(device)
    facts = environment(seed=0, device=str(chosen))
    packages = {name: version for name, version in facts["packages"].items() if version}
    has_decord = importlib.util.find_spec("decord") is not None
    free_gib = shutil.disk_usage(Path.cwd()).free / 2**30
    write_ms = _safe_write_ms()
    gpu = f": {facts['gpu']}" if facts["gpu"] and chosen.type == "cuda" else ""
    bfloat16 = "yes" if has_fast_bfloat16(chosen) else "no"
    room = "ok  " if free_gib > _MIN_FREE_GIB else "warn"
    installed = plug_ins()
    usable = [
        f"{plug_in.name} ({plug_in.package} {plug_in.version})"
        for plug_in in installed
        if not plug_in.problem
    ]
    lines = (
        f"ok    python {facts['python']}   "
        + "   ".join(f"{name} {version}" for name, version in packages.items()),
        f"ok    device {chosen}{gpu}, {facts['num_cpus']} CPUs, bfloat16 faster than float32: {bfloat16}",
        f"ok    readers: pyav{', decord' if has_decord else ''}",
        f"ok    backbones: {', '.join([*BUILT_IN, f'{TRANSFORMERS_PREFIX}DIR_OR_HUB_ID', *usable])}",
        *(
            f"warn  backbone {plug_in.name} of {plug_in.package} cannot be used: {plug_in.problem}"
            for plug_in in installed
            if plug_in.problem
        ),
        f"{room}  disk: {free_gib:.1f} GiB free here, write + fsync + rename {write_ms:.1f} ms",
    )
    metrics = {"doctor.free_gib": round(free_gib, 1), "doctor.safe_write_ms": round(write_ms, 2)}
    return CommandResult(
        metrics=metrics, outputs={"environment": facts, "backbones": [*BUILT_IN, *usable]}, lines=lines
    )


def _safe_write_ms() -> float:
    with tempfile.TemporaryDirectory(dir=os.curdir, prefix=".videobert-doctor-") as folder:
        started = time.perf_counter()
        publish_bytes(Path(folder) / "probe", b"probe")
        return 1000 * (time.perf_counter() - started)
