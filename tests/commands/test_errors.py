"""Every mistake is answered by its exit code and three lines; --json says the same as one document."""

import json
from pathlib import Path

import pytest
from executable import shell

from videobert_cli.errors import ArtifactError, CodebookMismatchError, InputError

RECIPE = "run: runs/x\ndata:\n  videos: nowhere\npretran: {}\nseed: abc\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDEOBERT_MODEL", raising=False)
    Path("good.yaml").write_text("run: runs/x\ndata: {videos: nowhere}\n")
    Path("bad.yaml").write_text(RECIPE)
    Path("list.csv").write_text("video\na.mp4\n")
    Path("clip.mp4").touch()
    Path("folder").mkdir()
    return tmp_path


MISTAKES = [
    ("pretran good.yaml", 2, "no such command 'pretran'", "command line", "did you mean 'pretrain'?"),
    ("frobnicate", 2, "no such command 'frobnicate'", "command line", "commands: extract, quantize, pretrain"),
    ("pretrain good.yaml --overwite", 2, "no such option: --overwite", "command line", "did you mean --overwrite?"),
    ("pretrain good.yaml --set", 2, "option '--set' requires an argument", "command line", "pretrain --help"),
    ("pretrain good.yaml --seed x", 2, "invalid value for '--seed'", "command line", "pretrain --help"),
    ("pretrain good.yaml --seed=-1", 2, "invalid value for '--seed'", "command line", "pretrain --help"),
    ("pretrain --json", 2, "missing argument 'RECIPE'", "command line", "pretrain --help"),
    ("pretrain good.yaml --seed 99999999999", 2, "invalid value for '--seed'", "command line", "pretrain --help"),
    ("export store out --to pt", 2, "invalid value for '--to': 'pt' is not one of 'npy', 'hdf5'", "command line", "export --help"),
    ("pretrain good.yaml --set a.b.c=1", 2, "a.b.c: unknown key -> legal keys at the top: run, seed, data", "good.yaml", "--set"),
    ("pretrain good.yaml --set evaluate.tasks.0=x", 2, "unknown key -> evaluate.tasks is a value, not a section", "good.yaml", "--set"),
    ("pretrain good.yaml -q -v", 2, "-q and -v cannot both be given", "command line", "drop one"),
    ("pretrain dmo", 2, "there is no recipe 'dmo'", "dmo", "did you mean demo?"),
    ("pretrain god.yaml", 2, "there is no recipe 'god.yaml'", "god.yaml", "did you mean good.yaml?"),
    ("pretrain folder", 2, "folder is a directory, not a recipe", "folder", "videobert extract folder --out DIR"),
    ("pretrain clip.mp4", 2, "clip.mp4 is a video, not a recipe", "clip.mp4", "videobert predict clip.mp4"),
    ("pretrain list.csv", 2, "list.csv is a list of videos", "list.csv", "data: {videos: list.csv}"),
    ("pretrain good.yaml --set pretrain.loop.num_step=3", 2, "pretrain.loop.num_step: unknown key", "good.yaml", "--set"),
    ("pretrain good.yaml --set pretrain.loop.num_steps=x", 2, "must be a whole number >= 1, got the text 'x'", "good.yaml", "--set"),
    ("pretrain good.yaml --set x", 2, "'x' is not KEY=VALUE", "good.yaml", "--set"),
    ("pretrain good.yaml", 3, "data.videos: nowhere does not exist", "good.yaml:2", "--set data.videos=PATH"),
    ("pretrain demo", 3, "data.videos: demo/videos.csv does not exist", "demo.yaml:", "videobert demo demo"),
    ("pretrain youcook2_zeroshot", 3, "data/youcook2/videos.csv does not exist", "youcook2_zeroshot.yaml:", "http://"),
    ("pretrain good.yaml --device cuda:99", 2, "device 'cuda:99' is not on this machine", "--device", "--device auto"),
    ("pretrain good.yaml --device gpu", 2, "there is no device called 'gpu'", "--device", "use auto, cpu, cuda"),
    ("pretrain good.yaml --set run=clip.mp4 --set data.videos=folder", 3, "", "", ""),
    ("finetune good.yaml --model folder", 3, "folder is not a model directory", "--model folder", "videobert pretrain"),
    ("evaluate good.yaml --model none", 3, "there is no such directory", "--model none", "videobert pretrain"),
    ("extract a b", 2, "without --out, extract takes one recipe", "command line", "videobert extract VIDEO... --out DIR"),
    ("extract good.yaml --backbone s3d", 2, "no flag for named videos", "command line", "--out DIR"),
    ("extract none.mp4 --out o", 3, "there is no such file or folder", "none.mp4", "check the name"),
    ("extract folder --out o", 3, "this folder holds no video", "folder", "name a folder that does"),
    ("extract clip.mp4 --out o --backbone s4d", 2, "got the text 's4d' -> did you mean s3d?", "command line", "mend the lines above"),
    ("extract clip.mp4 --out o --set extract.reader.max_pixel=5", 2, "did you mean max_pixels?", "command line", "mend the --set"),
    ("extract clip.mp4 --out o --set seed=5", 2, "there is nothing that 'seed' could change", "--set", "extract.KEY"),
    ("extract good.yaml --out o", 2, "with --out, extract takes videos and no recipe", "good.yaml", "without --out"),
    ("extract clip.mp4 --out o --dry-run", 2, "--dry-run means nothing beside --out", "command line", "drop --dry-run"),
    ("extract good.yaml --emit-slurm j.sh --shard 0/4", 2, "--shard means nothing beside --emit-slurm", "command line", "drop --shard"),
    ("extract good.yaml --emit-slurm j.sh --set extract.framez=1", 2, "extract.framez: unknown key", "good.yaml", "mend the --set"),
    ("extract clip.mp4 --out o --backbone transformers:no/such/place", 3, "there is no such model directory", "extract.backbone", "transformers:DIR_OR_HUB_ID"),
    ("extract clip.mp4 --out o --weights w.pt", 3, "there is no such weights file", "--weights w.pt", "check the name"),
    ("extract clip.mp4 --out list.csv", 3, "cannot use this path", "list.csv", "another path"),
    ("import folder --out o --clip-seconds inf", 2, "invalid value for '--clip-seconds'", "command line", "import --help"),
    ("predict clip.mp4", 3, "there is no model", "runs", "videobert demo demo && videobert pretrain demo"),
    ("predict clip.mp4 --model folder", 3, "there is no finished model here", "--model folder", "videobert pretrain RECIPE"),
    ("predict clip.mp4 --json --jsonl", 2, "--json and --jsonl cannot both be given", "command line", "drop one"),
    ("predict clip.mp4 --top 0", 2, "invalid value for '--top'", "command line", "predict --help"),
    ("verify none", 3, "there is nothing here", "none", "name an artifact or a run"),
    ("verify folder", 3, "there is no finished artifact here", "folder", "name an artifact or a run"),
    ("demo .", 2, "this folder is not empty and holds no demo corpus", ".", "choose a new or empty folder"),
    ("demo clip.mp4", 3, "", "clip.mp4", ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "what", "at", "fix"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_p51_p53_a_mistake_is_three_lines(invoke, line: str, code: int, what: str, at: str, fix: str) -> None:
    outcome = invoke(*line.split())
    shown = outcome.error_lines
    assert outcome.exit_code == code
    assert outcome.out == "" or "--json" in line
    assert len(shown) == 3, shown
    assert shown[0].startswith("error: ")
    assert what in shown[0]
    assert shown[1].startswith("  at: ")
    assert at in shown[1]
    assert shown[2].startswith("  fix: ")
    assert fix in shown[2]


@pytest.mark.parametrize(
    "line",
    [row[0] for row in MISTAKES if row[1] == 2 and not row[0].endswith("--set") and "--json" not in row[0]][
        :12
    ],
)
def test_p50_the_same_mistake_as_json_is_one_document(invoke, line: str) -> None:
    plain, as_json = invoke(*line.split()), invoke(*line.split(), "--json")
    document = json.loads(as_json.out)
    assert list(document) == [
        "schema",
        "command",
        "status",
        "exit_code",
        "error",
        "run",
        "metrics",
        "outputs",
    ]
    assert document["schema"] == "videobert/1"
    assert document["command"] == line.split(maxsplit=1)[0]
    assert document["status"] == "failed"
    assert document["exit_code"] == as_json.exit_code == plain.exit_code
    assert [
        f"error: {document['error']['what']}",
        f"  at: {document['error']['at']}",
        f"  fix: {document['error']['fix']}",
    ] == plain.error_lines


def test_all_problems_of_a_recipe_come_at_once_one_a_line(invoke) -> None:
    outcome = invoke("pretrain", "bad.yaml")
    assert outcome.exit_code == 2
    assert outcome.error_lines[:3] == [
        "error: bad.yaml:4: pretran: unknown key -> did you mean pretrain?",
        "       bad.yaml:5: seed: must be a whole number >= 0 and < 2147483648, got the text 'abc'",
        "  at: bad.yaml",
    ]


def test_nothing_is_made_when_the_input_is_not_there(invoke, here: Path) -> None:
    before = sorted(here.rglob("*"))
    for line in (
        "pretrain good.yaml",
        "evaluate good.yaml --no-upstream",
        "predict clip.mp4",
        "extract folder --out o",
    ):
        assert invoke(*line.split()).exit_code == 3
    assert sorted(here.rglob("*")) == before


def test_a_bug_names_a_log_and_shows_no_traceback(invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(*_arguments: object, **_more: object) -> None:
        raise ZeroDivisionError("a bug made for this test")

    monkeypatch.setattr("videobert_cli.commands.stage_command.load_with_flags", fall)
    outcome = invoke("pretrain", "good.yaml")
    assert outcome.exit_code == 1
    assert "bug in videobert: ZeroDivisionError" in outcome.error_lines[0]
    log = Path(outcome.error_lines[1].removeprefix("  at: "))
    assert "Traceback" in log.read_text()
    log.unlink()


def test_debug_shows_the_traceback(here: Path) -> None:
    outcome = shell("pretrain", "bad.yaml", "--debug", folder=here)
    assert outcome.exit_code == 2
    assert "Traceback (most recent call last)" in outcome.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 5),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 80 bytes"), 5),
        (OSError(28, "No space left on device", "runs/x"), 5),
        (PermissionError(13, "Permission denied", "runs/x"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_of_the_machine_have_their_codes(invoke, monkeypatch, error: BaseException, code: int) -> None:
    def fall(*_arguments: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr("videobert_cli.commands.stage_command.load_with_flags", fall)
    outcome = invoke("pretrain", "good.yaml", "--json")
    assert outcome.exit_code == code
    assert json.loads(outcome.out)["status"] == ("interrupted" if code == 130 else "failed")
    assert [line.split(":")[0].strip() for line in outcome.error_lines] == ["error", "at", "fix"]


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (ArtifactError("damaged"), "videobert verify PATH"),
        (CodebookMismatchError("others"), "one codebook"),
        (InputError("wrong"), "mend what is named above"),
    ],
)
def test_an_error_that_names_no_place_and_no_fix_still_has_three_lines(
    invoke, monkeypatch, error: Exception, fix: str
) -> None:
    def fall(*_arguments: object, **_more: object) -> None:
        raise error

    monkeypatch.setattr("videobert_cli.commands.stage_command.load_with_flags", fall)
    what, at, way_out = invoke("pretrain", "good.yaml").error_lines
    assert (what, at) == (f"error: {error}", "  at: pretrain")
    assert fix in way_out


HOSTILE = {
    "object": "run: !!python/object/apply:os.system ['touch PWNED']\ndata: {videos: x}\n",
    "bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)),
    "deep": "run: " + "[" * 20_000 + "\n",
    "duplicate": "run: a\nrun: b\ndata: {videos: x}\n",
    "large": "run: a\n# " + "x" * 2_000_000 + "\n",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_p43_a_hostile_recipe_is_refused(invoke, kind: str) -> None:
    Path("hostile.yaml").write_text(HOSTILE[kind])
    outcome = invoke("pretrain", "hostile.yaml", "--dry-run")
    assert outcome.exit_code == 2
    assert outcome.error_lines[0].startswith("error: hostile.yaml")
    assert not Path("PWNED").exists()
