"""Recognisers: real forward passes of models made here (random: what they say is no measure of quality)."""

import numpy as np
import pytest
from speech_samples import write_wav2vec2, write_whisper

from videobert_cli.core.text.borrowed_models import model_identity
from videobert_cli.core.text.speech import load_recogniser
from videobert_cli.errors import InputError, MissingInputError


def load(model, *, engine="transformers", language=None):
    return load_recogniser(engine, model=str(model), language=language, compute_type="default", device="cpu")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "whisper"
    write_whisper(directory)
    return directory


def test_a_whisper_of_transformers_gives_timed_text_the_same_each_time(whisper):
    samples_S = np.random.default_rng(0).normal(size=16_000 * 4).astype(np.float32) * 0.1
    found = load(whisper).segments(samples_S)
    assert found
    for segment in found:
        assert 0 <= segment.start_seconds <= segment.end_seconds <= 4
        assert segment.text.strip()
    assert load(whisper).segments(samples_S) == found


def test_a_ctc_model_gives_a_segment_for_each_word(tmp_path):
    write_wav2vec2(tmp_path)
    samples_S = np.random.default_rng(0).normal(size=16_000 * 2).astype(np.float32) * 0.1
    found = load(tmp_path).segments(samples_S)
    assert found
    assert all(0 <= segment.start_seconds <= segment.end_seconds <= 2.1 for segment in found)
    assert all(len(segment.text.split()) == 1 for segment in found)


def test_a_model_is_known_by_its_files(whisper, tmp_path):
    before = model_identity(str(whisper))
    assert model_identity("openai/whisper-tiny") == "openai/whisper-tiny"
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in whisper.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert model_identity(str(copy)) == before
    (copy / "config.json").write_text("{}")
    assert model_identity(str(copy)) != before


def test_a_wrong_model_is_three_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingInputError, match="no such directory") as raised:
        load("./nowhere")
    assert raised.value.at == "pretrain.text.asr.model: ./nowhere"
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="transformers cannot load this speech model") as raised:
        load(tmp_path)
    assert raised.value.fix
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(InputError, match="the package faster-whisper is not installed") as raised:
            load("tiny.en", engine="faster-whisper")
    assert raised.value.fix == "pip install 'videobert-cli[asr]'"


def test_an_unknown_language_is_three_lines(tmp_path):
    write_whisper(tmp_path, is_multilingual=True)
    with pytest.raises(InputError, match="does not know the language 'xx'") as raised:
        load(tmp_path, language="xx")
    assert raised.value.fix.endswith("one of: en")
    samples_S = np.random.default_rng(0).normal(size=16_000).astype(np.float32) * 0.1
    assert load(tmp_path, language="en").segments(samples_S)


def test_a_mistyped_name_of_faster_whisper_is_three_lines():
    pytest.importorskip("faster_whisper")
    with pytest.raises(InputError, match="faster-whisper cannot load this speech model") as raised:
        load("tiny.eng", engine="faster-whisper")
    assert raised.value.at == "pretrain.text.asr.model: tiny.eng"
