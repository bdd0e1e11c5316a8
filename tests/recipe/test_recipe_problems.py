"""Every message on its text: the key, the value, what is legal, and the guess."""

from typing import get_args

import pytest

from videobert_cli.core.tasks.options import EvaluateTask, PredictOptions

TASKS = ", ".join(get_args(EvaluateTask))
BAD = """pretrain:
  learning_rate: 1e-4
  optimizer:
    lerning_rate: 1e-4
    beta1: 2
  loop:
    num_steps: "32"
    num_levels: 3
  modle: {}
evaluate:
  tasks: [zero_shto, 3]
"""


def test_all_problems_come_at_once_sorted_by_line(problems) -> None:
    assert problems(BAD, "pretrain.loop.batchsize=1", "seed=x") == [
        "recipe.yaml:5: pretrain.learning_rate: unknown key -> did you mean pretrain.optimizer.learning_rate?",
        "recipe.yaml:7: pretrain.optimizer.lerning_rate: unknown key -> did you mean learning_rate?",
        "recipe.yaml:8: pretrain.optimizer.beta1: must be a number > 0 and < 1, got 2",
        (
            "recipe.yaml:10: pretrain.loop.num_steps: must be a whole number >= 1, got the text '32' "
            "-> write 32 without quotes"
        ),
        "recipe.yaml:11: pretrain.loop.num_levels: unknown key -> did you mean quantize.num_levels?",
        "recipe.yaml:12: pretrain.modle: unknown key -> did you mean model?",
        (
            f"recipe.yaml:14: evaluate.tasks[0]: must be one of {TASKS}, got the text 'zero_shto' "
            "-> did you mean zero_shot?"
        ),
        f"recipe.yaml:14: evaluate.tasks[1]: must be one of {TASKS}, got 3",
        (
            "--set #1: pretrain.loop.batchsize: unknown key -> legal keys of pretrain.loop: num_steps, "
            "batch_num_sequences, num_micro_batches, sharding, precision, log_every_steps, log_to, "
            "validate_every_steps, validate_num_batches, save_every_steps, keep_num_checkpoints, "
            "early_stopping_patience, ema_decay, final_weights"
        ),
        "--set #2: seed: must be a whole number >= 0 and < 2147483648, got the text 'x'",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: -1", "seed: must be a whole number >= 0 and < 2147483648, got -1"),
        ("seed: true", "seed: must be a whole number >= 0 and < 2147483648, got true"),
        ("seed: 5e2", "seed: must be a whole number >= 0 and < 2147483648, got 500.0 -> write 500"),
        (
            "seed: 1_000",
            "seed: must be a whole number >= 0 and < 2147483648, got the text '1_000' -> write 1000 without quotes",
        ),
        (
            "data2: 1",
            "data2: unknown key -> did you mean data?",
        ),
        (
            "zzz: 1",
            (
                "zzz: unknown key -> legal keys at the top: "
                "run, seed, data, extract, quantize, pretrain, finetune, evaluate, predict"
            ),
        ),
        (
            "optimizer: {beta1: 0.5}",
            "optimizer: unknown key -> did you mean pretrain.optimizer or finetune.optimizer?",
        ),
        (
            "predict:",
            (
                "predict: must be a section (its keys indented below it), got nothing (null) "
                f"-> its keys: {', '.join(PredictOptions.model_fields)}; or remove the line"
            ),
        ),
        (
            "extract: {backbone: s3}",
            (
                "extract.backbone: must be one of efficientnet_lite0, s3d, s3d_mil_nce, s3d_mil_nce_embedding, "
                "transformers:DIR_OR_HUB_ID, got the text 's3' -> did you mean s3d?"
            ),
        ),
        (
            "extract: {backbone: MCG-NJU/videomae-base}",
            (
                "extract.backbone: must be one of efficientnet_lite0, s3d, s3d_mil_nce, s3d_mil_nce_embedding, "
                "transformers:DIR_OR_HUB_ID, got the text 'MCG-NJU/videomae-base' -> did you mean transformers:MCG-NJU/videomae-base?"
            ),
        ),
        (
            'extract: {backbone: "transformer:models/clip"}',
            (
                "extract.backbone: must be one of efficientnet_lite0, s3d, s3d_mil_nce, s3d_mil_nce_embedding, "
                "transformers:DIR_OR_HUB_ID, got the text 'transformer:models/clip' -> did you mean transformers:models/clip?"
            ),
        ),
        (
            "extract: {backbone: 3}",
            (
                "extract.backbone: must be one of efficientnet_lite0, s3d, s3d_mil_nce, s3d_mil_nce_embedding or text, "
                'got 3 -> write "3" in quotes'
            ),
        ),
        (
            "extract: {weights: 3}",
            'extract.weights: must be one of default, kinetics400 or a path, got 3 -> write "3" in quotes',
        ),
        (
            "extract: {frames_per_second: 1:30}",
            "extract.frames_per_second: must be a number > 0 and <= 240, got the text '1:30'",
        ),
        (
            "quantize: {num_components: 0}",
            "quantize.num_components: must be a whole number >= 1 and <= 4096 or null, got 0",
        ),
        (
            "quantize: {num_components: None}",
            "quantize.num_components: must be a whole number >= 1 and <= 4096 or null, got the text 'None' -> write null",
        ),
        (
            "quantize: {whiten: no}",
            "quantize.whiten: must be true or false, got the text 'no' -> write false without quotes",
        ),
        ("quantize: {whiten: 1}", "quantize.whiten: must be true or false, got 1 -> write true"),
        (
            "finetune: {label: 2024}",
            'finetune.label: must be text, not empty, got 2024 -> write "2024" in quotes',
        ),
        ("finetune: {label: ''}", "finetune.label: must be text, not empty, got the text ''"),
        (
            "evaluate: {tasks: classify}",
            (
                f"evaluate.tasks: must be a list, not empty, each one of {TASKS}, got the text 'classify' "
                "-> write [classify]"
            ),
        ),
        (
            "evaluate: {tasks: []}",
            f"evaluate.tasks: must be a list, not empty, each one of {TASKS}, got an empty list",
        ),
        (
            "pretrain: {model: {hidden_size: 100}}",
            "pretrain.model: hidden_size 100 is not a multiple of num_attention_heads 12",
        ),
    ],
)
def test_each_problem_says_what_is_legal_and_what_was_given(problems, text: str, line: str) -> None:
    assert problems(text + "\n") == [f"recipe.yaml:4: {line}"]


def test_required_keys_point_at_their_section(problems) -> None:
    assert problems(whole="seed: 1\ndata: {}\n") == [
        "recipe.yaml: run: missing: The directory that this recipe fills. -> add `run:`, a path",
        (
            "recipe.yaml:2: data.videos: missing: A folder of videos (subtitles beside them), a folder of class folders, "
            "a CSV or JSONL manifest, or a known dataset's annotation file or folder (docs/datasets.md). -> add `videos:`, a path"
        ),
    ]


def test_a_missing_section_is_named_whole(problems) -> None:
    assert problems(whole="run: a\n") == [
        "recipe.yaml: data: missing: Which videos. -> add a section `data:` with `videos:`"
    ]


def test_a_misspelt_required_key_is_not_missing_as_well(problems) -> None:
    assert problems(whole="rnu: a\ndata:\n  vidoes: v\n") == [
        "recipe.yaml:1: rnu: unknown key -> did you mean run?",
        "recipe.yaml:3: data.vidoes: unknown key -> did you mean videos?",
    ]


def test_hostile_keys_stay_on_one_line(problems) -> None:
    (line,) = problems('"a\\nb\\e[31m": 1\n')
    assert line.startswith("recipe.yaml:4: a\\nb\\x1b[31m: unknown key")
    (line,) = problems(f'"{"k" * 500}": 1\n')
    assert line.startswith(f"recipe.yaml:4: {'k' * 60}...: unknown key")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            "verb",
            (
                "pretrain.labels.heads: must be a list, each a section with the keys column, kind, separator, weight, "
                "got the text 'verb' -> write [{column: verb}]"
            ),
        ),
        (
            "[verb]",
            (
                "pretrain.labels.heads[0]: must be a section with the keys column, kind, separator, weight, "
                "got the text 'verb' -> write {column: verb}"
            ),
        ),
        ("[{colum: verb}]", "pretrain.labels.heads[0].colum: unknown key -> did you mean column?"),
        (
            "[{column: a, xyz: 1}]",
            "pretrain.labels.heads[0].xyz: unknown key -> legal keys: column, kind, separator, weight",
        ),
        (
            "[{column: a}, {column: b, kind: multy}]",
            "pretrain.labels.heads[1].kind: must be one of single, multi, got the text 'multy' -> did you mean multi?",
        ),
        (
            "[{column: a, weight: 0}]",
            "pretrain.labels.heads[0].weight: must be a number > 0, got 0",
        ),
        (
            "[{kind: multi}]",
            "pretrain.labels.heads[0].column: missing: The manifest's column. -> add `column:`, text, not empty",
        ),
        ("[{column: a}, {column: a}]", "pretrain.labels: heads has the column 'a' twice"),
    ],
)
def test_sections_in_a_list_are_answered_by_number_and_key(problems, value: str, line: str) -> None:
    assert problems(f"pretrain: {{labels: {{heads: {value}}}}}") == [f"recipe.yaml:4: {line}"]
