"""`videobert verify`: what is whole is listed, what is damaged is named, all of it."""

import json
import shutil
from pathlib import Path

import pytest

from videobert_cli.artifacts import Damage, discard, publish_bytes, seal, verify


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    for name in ("a.bin", "b.bin"):
        publish_bytes(tmp_path / "run" / "store" / name, name.encode() * 100)
    seal(tmp_path / "run" / "store", kind="words")
    return tmp_path / "run" / "store"


def test_a_whole_artifact_is_listed(invoke, artifact: Path) -> None:
    outcome = invoke("verify", artifact.parent)
    assert outcome.exit_code == 0
    assert outcome.out.split()[:2] == ["ok", "words"]
    assert outcome.out.rstrip().endswith(str(artifact))


@pytest.mark.parametrize("harm", ["flip", "cut", "delete", "manifest"])
def test_p32_damage_is_named(invoke, artifact: Path, harm: str) -> None:
    victim = artifact / ("manifest.json" if harm == "manifest" else "b.bin")
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 4
    if harm == "delete":
        victim.unlink()
    elif harm == "manifest":
        victim.write_text("{")
    else:
        victim.write_bytes(data if harm == "flip" else data[:50])
    outcome = invoke("verify", artifact.parent)
    assert outcome.exit_code == 3
    assert str(victim) in outcome.error_lines[0]
    assert outcome.error_lines[1] == f"  at: {artifact}"
    assert outcome.error_lines[2].startswith("  fix: remove the artifact and run its stage again")


def test_all_damaged_files_are_named_also_in_json(invoke, artifact: Path) -> None:
    for name in ("a.bin", "b.bin"):
        (artifact / name).write_bytes(b"x")
    document = json.loads(invoke("verify", artifact, "--json").out)
    assert document["exit_code"] == 3
    assert all(name in document["error"]["what"] for name in ("a.bin has 1 bytes", "b.bin has 1 bytes"))


def test_a_manifest_that_cannot_be_read_hides_no_other_damage(invoke, artifact: Path) -> None:
    other = artifact.with_name("zoo")
    shutil.copytree(artifact, other)
    (artifact / "manifest.json").write_text("{")
    (other / "a.bin").write_bytes(b"x")
    outcome = invoke("verify", artifact.parent)
    assert outcome.exit_code == 3
    assert outcome.error_lines[0].startswith(
        f"error: {artifact / 'manifest.json'}: the manifest cannot be read"
    )
    assert outcome.error_lines[1] == f"       {other / 'a.bin'} has 1 bytes, not 500"
    assert len(outcome.error_lines) == 4


@pytest.mark.parametrize("moment", ["listed", "hashing"])
def test_p11_a_checkpoint_that_is_thrown_away_meanwhile_is_not_damaged(
    invoke, artifact: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    kept = artifact.with_name("zoo")
    shutil.copytree(artifact, kept)

    def while_thrown_away(directory: Path) -> list[Damage]:
        if directory == artifact and moment == "listed":
            discard(artifact)
        found = verify(directory)
        if directory == artifact:
            discard(artifact)
            return [Damage(path=artifact / "a.bin", problem="is missing")]
        return found

    monkeypatch.setattr("videobert_cli.commands.verify.verify", while_thrown_away)
    outcome = invoke("verify", artifact.parent)
    assert outcome.exit_code == 0
    assert [line.split()[-1] for line in outcome.out.splitlines()] == [str(kept)]


def test_p11_an_artifact_that_is_replaced_meanwhile_is_looked_at_again(
    invoke, artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def while_replaced(directory: Path) -> list[Damage]:
        calls.append(directory)
        if len(calls) > 1:
            return verify(directory)
        publish_bytes(artifact / "c.bin", b"new")
        seal(artifact, kind="words")
        return [Damage(path=artifact / "a.bin", problem="is missing")]

    monkeypatch.setattr("videobert_cli.commands.verify.verify", while_replaced)
    assert invoke("verify", artifact).exit_code == 0
    assert calls == [artifact, artifact]


def test_what_a_killed_process_left_is_no_artifact(invoke, artifact: Path) -> None:
    left = artifact.parent / ".trash-0123456789ab-step-000002"
    artifact.rename(left)
    (left / "a.bin").unlink()
    assert invoke("verify", artifact.parent).error_lines[0] == "error: there is no finished artifact here"
    publish_bytes(artifact / "c.bin", b"c")
    seal(artifact, kind="words")
    assert invoke("verify", artifact.parent).exit_code == 0


def test_p34_an_artifact_of_a_newer_format_asks_for_an_upgrade(invoke, artifact: Path) -> None:
    manifest = artifact / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 999'))
    outcome = invoke("verify", artifact)
    assert outcome.exit_code == 3
    assert "newer than this videobert knows" in outcome.error_lines[0]
    assert outcome.error_lines[2] == "  fix: pip install --upgrade videobert-cli"
