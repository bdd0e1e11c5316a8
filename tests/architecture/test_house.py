"""The rules of the house that no linter knows: layout, sizes, lazy imports, one writer, no dead error, no private names."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "videobert_cli"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CORE = {"video", "features", "words", "text", "sequences", "model", "training", "tasks", "metrics", "reports"}
MAX_NUM_LINES = 320
# Tables of drawing, one entry after another: splitting them would hide what belongs together.
LONGER = {"demo/verbs.py": 420}
HEAVY = {"torch", "transformers", "sklearn", "av", "decord", "matplotlib"}
# Where something is written that is no artifact, or is written inside a `publish` callback; each with its reason.
WRITERS = {
    "artifacts/files.py": "the one writer",
    "artifacts/arrays.py": "arrays larger than memory, piece by piece, inside publish_directory",
    "__main__.py": "the null device, in the place of a closed standard error",
    "commands/failures.py": "the crash log, in the system's folder for temporary files",
    "core/model/checkpoint.py": "safetensors' save_file, inside publish",
    "core/training/checkpoint.py": "safetensors' save_file, inside publish_directory",
    "core/video/decoder_child.py": "the answers of the decoder child go into a pipe",
    "core/video/h264.py": "a video is encoded, inside publish",
}
WRITING_NAMES = {
    "write_text",
    "write_bytes",
    "save_file",
    "savefig",
    "tofile",
    "savez",
    "savez_compressed",
    "savetxt",
}
WRITING_CALLS = {
    "json.dump",
    "torch.save",
    "pickle.dump",
    "np.save",
    "numpy.save",
    "yaml.dump",
    "shutil.copyfile",
}


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def calls(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


# --- layout ---


def test_the_core_is_the_flow_and_nothing_else():
    folders = {
        path.name for path in (PACKAGE / "core").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    files = {path.name for path in (PACKAGE / "core").iterdir() if path.is_file()}
    assert folders == CORE
    assert files == {"__init__.py"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("__init__.py")), ids=name_of)
def test_a_folder_of_the_core_begins_with_one_docstring(path):
    body = tree(path).body
    assert len(body) == 1
    assert ast.get_docstring(tree(path))


def test_every_folder_is_a_package_and_every_file_says_what_it_is_for():
    folders = {path.parent for path in SOURCES}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
    assert [name_of(path) for path in SOURCES if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_can_be_read_at_one_go(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= LONGER.get(name_of(path), MAX_NUM_LINES)


def test_there_is_no_drawer():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "shared"}
    assert [
        name_of(path) for path in SOURCES if {*path.relative_to(PACKAGE).parts, path.stem} & drawers
    ] == []


def test_nothing_is_left_to_do():
    pattern = re.compile(r"\b(TODO|FIXME|XXX|HACK|raise NotImplementedError)\b")
    found = [name_of(path) for path in SOURCES if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == []


# --- imports ---


def imported_modules(module):
    """Import a module in a new process and return the top-level names of all that it loaded."""
    code = f"import sys, {module}; print(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "videobert_cli",
        "videobert_cli.commands.app",
        "videobert_cli.recipe.load",
        "videobert_cli.recipe.schema",
        "videobert_cli.artifacts",
        "videobert_cli.runtime",
    ],
)
def test_help_and_recipes_load_no_heavy_library(module):
    assert not imported_modules(module) & HEAVY


def test_a_decoder_child_loads_no_torch():
    assert not imported_modules("videobert_cli.core.video.decoder_child") & (HEAVY - {"av"})


@pytest.mark.slow
def test_the_import_contracts_are_kept():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


# --- errors ---


def error_classes():
    bodies = tree(PACKAGE / "errors.py").body
    return {node.name for node in bodies if isinstance(node, ast.ClassDef)} - {"VideoBERTError"}


def created_names(path):
    """Names that are called, or chosen to be called (`kind = A if x else B`)."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        if isinstance(node, ast.IfExp):
            found |= {part.id for part in (node.body, node.orelse) if isinstance(part, ast.Name)}
    return found


def test_every_error_is_raised_somewhere():
    created = set().union(*(created_names(path) for path in SOURCES))
    assert error_classes() - created == set()


def test_every_error_has_a_sentence_and_an_exit_code():
    from videobert_cli import errors

    for name in error_classes():
        kind = getattr(errors, name)
        assert issubclass(kind, errors.VideoBERTError)
        assert kind.__doc__
        assert kind.exit_code in {2, 3, 4, 5, 6, 75, 130}, name


# --- writing ---


def writes(call):
    """Whether a call writes a file, by its name and its mode."""
    function = call.func
    text = ast.unparse(function)
    if text in WRITING_CALLS or text.rpartition(".")[2] in WRITING_NAMES:
        return True
    if text.rpartition(".")[2] not in {"open", "fdopen", "NamedTemporaryFile"}:
        return False
    literals = [*call.args, *[keyword.value for keyword in call.keywords]]
    modes = [
        node.value for node in literals if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return any(re.fullmatch(r"[rwxab+tU]{1,3}", mode) and set(mode) & set("wxa+") for mode in modes)


def test_only_artifacts_write():
    found = {name_of(path) for path in SOURCES if any(writes(call) for call in calls(path))}
    assert found - set(WRITERS) == set()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("path.write_text('x')", True),
        ("open(path, 'w')", True),
        ("path.open(mode='ab')", True),
        ("json.dump(x, f)", True),
        ("torch.save(x, p)", True),
        ("path.open('rb')", False),
        ("path.open()", False),
        ("json.dumps(x)", False),
        ("FeatureStore.open(directory)", False),
    ],
)
def test_the_search_for_writers_finds_them(code, expected):
    assert writes(ast.parse(code).body[0].value) is expected


def test_nothing_is_pickled():
    allowed = {"core/features/backbones/weights.py"}  # it only names the error that refuses one
    importers = {
        name_of(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import)
        and {alias.name for alias in node.names} & {"pickle", "shelve", "marshal"}
    }
    assert importers <= allowed
    unsafe = [
        name_of(path)
        for path in SOURCES
        for call in calls(path)
        if ast.unparse(call.func) in {"torch.load", "pickle.load", "pickle.loads", "np.load"}
        and not {"weights_only=True", "allow_pickle=False"}
        & {ast.unparse(keyword) for keyword in call.keywords}
    ]
    assert unsafe == []


# --- what must not be in a public file ---


def tracked_files():
    done = subprocess.run(["git", "ls-files", "-z"], capture_output=True, cwd=ROOT, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file() and path.stat().st_size < 2_000_000]


def registry_hosts():
    """Hosts of this machine's package index, where it is not the public one; they are nobody's business."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    text = done.stdout + " ".join(
        value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))
    )
    public = {"pypi.org", "download.pytorch.org", "files.pythonhosted.org"}
    return {host.rpartition("@")[2] for host in re.findall(r"https?://([^/\s'\"]+)", text)} - public


@pytest.mark.slow
def test_no_tracked_file_names_this_machine():
    places = [ROOT, ROOT.parent / "shared", Path(sys.prefix), Path.home()]
    # A place such as /app or /root is too short a name to tell anything.
    names = [*(str(place) for place in places if len(place.parts) > 2), *registry_hosts()]
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked_files()
        for name in names
        if name.encode() in path.read_bytes()
    ]
    assert found == []
