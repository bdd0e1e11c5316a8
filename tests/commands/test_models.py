"""Which model answers: the one named, that of the environment, that of the newest finished run."""

import os
from pathlib import Path

import pytest

from videobert_cli.artifacts import publish_json, seal
from videobert_cli.commands.models import find_models, require_model
from videobert_cli.errors import MissingInputError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDEOBERT_MODEL", raising=False)
    return tmp_path


def _model(directory: str, *, seconds: int = 0) -> Path:
    path = Path(directory)
    publish_json(path / "config.json", {})
    seal(path, kind="model")
    os.utime(path / "manifest.json", (seconds, seconds))
    return path


def test_a_model_directory_is_itself_and_a_run_is_its_models() -> None:
    pretrained, classifier = _model("runs/a/pretrain/model"), _model("runs/a/finetune/model")
    assert find_models(str(pretrained)) == [pretrained]
    assert find_models("runs/a") == [pretrained, classifier]


def test_the_flag_wins_over_the_environment_and_that_over_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = _model("one"), _model("two"), _model("runs/x/pretrain/model")
    assert find_models(None) == [three]
    monkeypatch.setenv("VIDEOBERT_MODEL", "two")
    assert find_models(None) == [two]
    assert find_models("one") == [one]


def test_the_newest_finished_run_is_taken() -> None:
    _model("runs/old/pretrain/model", seconds=1000)
    newest = _model("runs/new/pretrain/model", seconds=2000)
    publish_json(Path("runs/newer/pretrain/model/config.json"), {})  # not sealed: not finished
    assert find_models(None) == [newest]


def test_without_any_model_the_two_commands_that_make_one_are_named() -> None:
    with pytest.raises(MissingInputError, match="there is no model: no --model") as caught:
        find_models(None)
    assert "videobert demo demo && videobert pretrain demo" in caught.value.fix


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOBERT_MODEL", "nowhere")
    with pytest.raises(MissingInputError, match="no finished model") as caught:
        find_models(None)
    assert caught.value.at == "$VIDEOBERT_MODEL nowhere"


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "features.npy"])
def test_p41_a_pickle_is_no_model(name: str) -> None:
    Path(name).write_bytes(b"cos\nsystem\n(S'touch PWNED'\ntR.")
    with pytest.raises(MissingInputError, match="no finished model"):
        find_models(name)
    with pytest.raises(MissingInputError, match="is not a model directory"):
        require_model(Path(name))
    assert not Path("PWNED").exists()


def test_where_one_model_is_wanted_a_run_is_answered_with_its_models() -> None:
    _model("runs/a/pretrain/model")
    require_model(Path("runs/a/pretrain/model"))
    with pytest.raises(MissingInputError, match="runs/a is a run, not one model directory") as caught:
        require_model(Path("runs/a"))
    assert caught.value.fix == "name one of its models: --model runs/a/pretrain/model"
