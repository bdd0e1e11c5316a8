"""Backbones that other packages bring: the example of docs/backbones.md, installed and run; plug-ins that are broken."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from executable import shell

from videobert_cli.core.features import plugins
from videobert_cli.core.features.backbones.registry import load_backbone
from videobert_cli.core.features.options import ExtractOptions
from videobert_cli.core.features.store.reader import FeatureStore
from videobert_cli.errors import InputError, RecipeError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")
CPU = torch.device("cpu")


def install(folder: Path, *, package: str, entries: str, files: dict[str, str]) -> Path:
    """Put a package where Python looks for installed ones: its modules, and the dist-info that pip would write."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{entries}\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def example(tmp_path) -> Path:
    """The page's example, as its entry point names it."""
    source = re.search(r"A whole one, `colour_grid.py`:\n\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)
    entry = re.search(r'\[project.entry-points."videobert.backbones"\]\n(.*?)\n```', PAGE, re.DOTALL).group(1)
    return install(
        tmp_path / "site",
        package="colour-grid",
        entries=entry.replace('"', ""),
        files={"colour_grid.py": source},
    )


@pytest.mark.slow
def test_the_example_of_the_page_runs_by_the_command_line(example, short_clip, tmp_path) -> None:
    paths = os.pathsep.join([str(example), str(ROOT)])
    done = shell(
        "extract",
        short_clip,
        "--out",
        "features",
        "--backbone",
        "colour_grid",
        folder=tmp_path,
        PYTHONPATH=paths,
    )
    assert done.exit_code == 0, done.err
    [video] = FeatureStore.open(tmp_path / "features").ids()
    found = FeatureStore.open(tmp_path / "features").read(video).features_TD
    assert found.shape == (2, 48)
    assert 0.1 < found.min() < found.max() < 0.9
    doctor = shell("doctor", folder=tmp_path, PYTHONPATH=paths)
    assert "colour_grid (colour-grid 1.0)" in doctor.out
    wrong = shell(
        "extract", short_clip, "--out", "o", "--backbone", "color_grid", folder=tmp_path, PYTHONPATH=paths
    )
    assert wrong.exit_code == 2
    assert "did you mean colour_grid?" in wrong.error_lines[0]
    absent = shell(
        "extract",
        short_clip,
        "--out",
        "o",
        "--backbone",
        "colour_grid",
        folder=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert absent.exit_code == 2


def use(monkeypatch, folder: Path) -> None:
    monkeypatch.syspath_prepend(str(folder))


def test_an_installed_name_is_a_recipe_s_name_and_the_weights_are_handed_over(
    example, tmp_path, monkeypatch
) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        ExtractOptions(backbone="colour_grid")
    use(monkeypatch, example)
    assert load_backbone(ExtractOptions(backbone="colour_grid"), device=CPU).state == {}
    torch.save({"w": torch.arange(3.0)}, tmp_path / "w.pt")
    options = ExtractOptions(backbone="colour_grid", weights=tmp_path / "w.pt")
    np.testing.assert_array_equal(load_backbone(options, device=CPU).state["w"], [0, 1, 2])
    with pytest.raises(RecipeError, match="has no weights called 'kinetics400'"):
        load_backbone(ExtractOptions(backbone="colour_grid", weights="kinetics400"), device=CPU)


BROKEN = {
    "raises": (
        "broken:Raises",
        "raise OSError('no such library')",
        "does not load .OSError: no such library",
    ),
    "absent": ("broken:Other", "", "does not load .AttributeError"),
    "number": ("broken:VALUE", "VALUE = 3", "is a int, not a class or a function"),
    "empty": (
        "broken:Empty",
        "class Empty:\n    def __init__(self, state, **_): pass\n",
        "lacks name, dim, parts",
    ),
    "fails": (
        "broken:fails",
        "def fails(state, **_): return 1 / 0\n",
        "gives no backbone .ZeroDivisionError: division by zero",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plug_in_is_named_with_its_package(tmp_path, monkeypatch, case) -> None:
    value, source, expected = BROKEN[case]
    monkeypatch.delitem(__import__("sys").modules, "broken", raising=False)
    use(
        monkeypatch,
        install(tmp_path, package="broken-one", entries=f"mine = {value}", files={"broken.py": source}),
    )
    with pytest.raises(InputError, match=expected) as caught:
        load_backbone(ExtractOptions(backbone="mine"), device=CPU)
    assert "mine" in caught.value.at
    assert caught.value.fix


def test_features_of_another_shape_are_the_plug_in_s_fault(
    example, short_clip, tmp_path, monkeypatch, invoke
) -> None:
    module = example / "colour_grid.py"
    whole = module.read_text()
    module.write_text(whole.replace(".mean(1).reshape(-1, 48)", ".mean(1).reshape(-1, 24)"))
    assert module.read_text() != whole
    monkeypatch.delitem(__import__("sys").modules, "colour_grid", raising=False)
    use(monkeypatch, example)
    outcome = invoke("extract", short_clip, "--out", tmp_path / "o", "--backbone", "colour_grid")
    assert outcome.exit_code == 3
    assert "features of the shape [4, 24] came of 2 clips, not [2, 48]" in outcome.error_lines[0]
    assert "extract.backbone: colour_grid" in outcome.error_lines[1]


def test_names_that_are_taken_are_shown_and_not_used(tmp_path, monkeypatch, invoke) -> None:
    for package in ("first", "second"):
        use(
            monkeypatch,
            install(tmp_path / package, package=package, entries="twice = m:f\ns3d = m:f", files={}),
        )
    with pytest.raises(ValueError, match="2 packages bring that name"):
        ExtractOptions(backbone="twice")
    assert "twice" not in plugins.known_backbones()
    outcome = invoke("doctor")
    assert "warn  backbone twice of first cannot be used: 2 packages bring that name" in outcome.out
    assert "warn  backbone s3d of second cannot be used: the name is videobert's own" in outcome.out
    assert "backbones" in json.loads(invoke("doctor", "--json").out)["outputs"]
