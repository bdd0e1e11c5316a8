"""The stages by name, in the order of the data."""

from videobert_cli.pipeline import (
    caption_stage,
    evaluate_stage,
    extract_stage,
    finetune_stage,
    listen_stage,
    pretrain_stage,
    quantize_stage,
    retrieval_stage,
)
from videobert_cli.pipeline.stage import Stage

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        listen_stage.STAGE,
        extract_stage.STAGE,
        quantize_stage.STAGE,
        pretrain_stage.STAGE,
        finetune_stage.STAGE,
        retrieval_stage.STAGE,
        caption_stage.STAGE,
        evaluate_stage.STAGE,
    )
}
