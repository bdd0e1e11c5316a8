"""`videobert evaluate --init random`: the model that is measured in place of the trained one."""

from pathlib import Path

from videobert_cli.commands.stage_command import StageFlags, prepared_run, run_stage


def make_untrained(recipe: str, *, flags: StageFlags) -> Path:
    """Return an untrained model of the shape of the recipe's pretrained one, made where it is missing.

    Its shape is that of the pretrained model (the vocabulary, the codebook), so what comes before it is made first.
    """
    run_stage("pretrain", recipe, flags=flags)
    with prepared_run(recipe, flags=flags) as run:
        from videobert_cli.pipeline.untrained import untrained_model

        with run.open():
            return untrained_model(run)
