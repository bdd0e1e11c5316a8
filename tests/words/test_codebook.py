"""The codebook: any amount of data, words by descent, the artifact and its checks."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from videobert_cli.artifacts import read_manifest, seal
from videobert_cli.core.words.codebook import Codebook, fit_codebook
from videobert_cli.core.words.options import QuantizeOptions
from videobert_cli.core.words.tree import word_id, word_path
from videobert_cli.errors import ArtifactError, CodebookMismatchError, InputError, UsageError

CPU = torch.device("cpu")


def features(num, dim=16, seed=0, num_groups=20):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_groups, dim)) * 2
    return (centres[rng.integers(num_groups, size=num)] + rng.normal(size=(num, dim)) * 0.4).astype(
        np.float16
    )


def fit(features_ND, *, parts=None, seed=0, **options):
    parts = parts or (features_ND.shape[1],)
    return fit_codebook(
        features_ND,
        options=QuantizeOptions(**options),
        parts=parts,
        fingerprint={"backbone": "b"},
        seed=seed,
        device=CPU,
    )


def nearest_in_tree(codebook, point):
    """Descend in float64, one child after another, from the leaves' and counts' definition alone."""
    node = 0
    for level in codebook.levels:
        ids = torch.nonzero(level.counts_M > 0).flatten()
        rows = [
            int(torch.nonzero(ids == child))
            for child in range(node * codebook.branching, (node + 1) * codebook.branching)
            if child in ids
        ]
        distances = (level.centroids_RD[rows].double() - point).square().sum(dim=1)
        node = int(ids[rows[int(distances.argmin())]])
    return node


@given(st.integers(2, 20), st.integers(1, 5), st.data())
def test_word_and_path_are_one_to_one(branching, num_levels, data):
    word = data.draw(st.integers(0, branching**num_levels - 1))
    path = word_path(word, branching=branching, num_levels=num_levels)
    assert len(path) == num_levels
    assert word_id(path, branching=branching) == word


@pytest.mark.parametrize("num", [1, 2, 5, 50, 500])
def test_any_number_of_features_fits_the_papers_tree(num):
    features_ND = features(num)
    codebook = fit(features_ND)
    assert codebook.num_words == 20_736
    words_T = codebook.assign(features_ND)
    assert (np.bincount(words_T, minlength=20_736) == codebook.usage_K).all()
    assert codebook.usage_K.sum() == num
    if num <= 50:
        assert len(set(words_T.tolist())) == len(np.unique(features_ND, axis=0))


def test_alike_features_share_one_word():
    codebook = fit(np.ones((300, 8), dtype=np.float16), branching=3, num_levels=3)
    assert (codebook.usage_K > 0).sum() == 1
    assert len(set(codebook.assign(np.random.default_rng(0).normal(size=(50, 8))).tolist())) == 1


def test_assignment_is_descent_to_the_nearest_child():
    codebook = fit(features(600), branching=4, num_levels=3)
    new_TD = features(80, seed=9)
    expected = [nearest_in_tree(codebook, torch.from_numpy(row).double()) for row in new_TD]
    assert codebook.assign(new_TD).tolist() == expected
    assert (codebook.usage_K[expected] > 0).all()


def test_words_do_not_depend_on_the_company_nor_on_allowed_coarse_products():
    features_ND = features(900, dim=64)
    codebook = fit(features_ND, branching=5, num_levels=3, scaling="standardize_parts", num_components=20)
    together = codebook.assign(features_ND)
    one_by_one = np.concatenate([codebook.assign(features_ND[i : i + 7]) for i in range(0, 900, 7)])
    assert (together == one_by_one).all()
    torch.set_float32_matmul_precision("medium")
    try:
        assert (codebook.assign(features_ND) == together).all()
    finally:
        torch.set_float32_matmul_precision("highest")


def test_exact_ties_go_to_the_first_child():
    codebook = fit(np.array([[-1, 0], [1, 0]], dtype=np.float32), branching=2, num_levels=1)
    for num in (1, 3, 64):
        assert set(codebook.assign(np.tile([[0.0, 5.0]], (num, 1)).astype(np.float32)).tolist()) == {0}


def test_parts_get_the_same_total_variance():
    rng = np.random.default_rng(0)
    features_ND = np.hstack([rng.normal(size=(500, 6)) * 30, rng.normal(size=(500, 3)) * 0.01 + 5]).astype(
        np.float32
    )
    codebook = fit(features_ND, parts=(6, 3), branching=2, num_levels=2, scaling="standardize_parts")
    projected = codebook.projection.apply(features_ND, device=CPU).numpy()
    assert projected[:, :6].var(axis=0).sum() == pytest.approx(1, rel=1e-4)
    assert projected[:, 6:].var(axis=0).sum() == pytest.approx(1, rel=1e-4)


def test_a_part_that_never_changes_does_no_harm():
    features_ND = np.hstack([features(50), np.full((50, 4), 7, dtype=np.float16)])
    codebook = fit(
        features_ND, parts=(16, 4), branching=3, num_levels=2, scaling="standardize_parts", num_components=8
    )
    assert np.isfinite(codebook.visual_embeddings()).all()


@pytest.mark.parametrize("dim", [40, 400])
def test_principal_components_equal_scikit_learns(dim):
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    features_ND = (rng.normal(size=(700, 12)) * np.arange(12, 0, -1) @ rng.normal(size=(12, dim))).astype(
        np.float32
    )
    features_ND += rng.normal(size=features_ND.shape).astype(np.float32) * 0.1 + 3
    codebook = fit(features_ND, branching=2, num_levels=1, num_components=6, whiten=True)
    ours = codebook.projection.apply(features_ND, device=CPU).numpy()
    theirs = PCA(6, whiten=True, svd_solver="full").fit_transform(features_ND)
    assert ours.shape == (700, 6)
    signs = np.sign((ours * theirs).sum(axis=0))
    np.testing.assert_allclose(ours, theirs * signs, atol=2e-2)
    components = codebook.projection.components_KD
    assert (components.gather(1, components.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_whitening_without_a_number_of_components_takes_all():
    scales = np.array([1, 3, 9, 27, 81], dtype=np.float32)
    features_ND = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32) * scales + 3
    whitened = fit(features_ND, branching=2, num_levels=1, whiten=True)
    asked = fit(features_ND, branching=2, num_levels=1, num_components=5, whiten=True)
    ours = whitened.projection.apply(features_ND, device=CPU).numpy()
    np.testing.assert_allclose(np.cov(ours.T), np.eye(5), atol=1e-2)
    np.testing.assert_array_equal(whitened.centroids_KD, asked.centroids_KD)


def test_more_components_than_the_data_has_are_left_out():
    codebook = fit(features(5, dim=30), num_components=20, whiten=True, branching=2, num_levels=1)
    assert 1 <= codebook.projected_dim <= 4
    assert np.isfinite(codebook.visual_embeddings()).all()
    assert (
        fit(features(1, dim=30), num_components=20, whiten=True, branching=2, num_levels=1).projected_dim == 1
    )


def test_dead_leaves_have_their_parents_centroid_and_no_row_is_zero():
    codebook = fit(features(40, dim=6), branching=4, num_levels=3, scaling="standardize_parts")
    rows = codebook.visual_embeddings()
    assert rows.shape == (64, 6)
    assert rows.dtype == np.float32
    assert (np.abs(rows).sum(axis=1) > 0).all()
    above, leaves = codebook.levels[-2:]
    parent = int(torch.nonzero((leaves.counts_M.view(-1, 4) == 0).any(dim=1) & (above.counts_M > 0))[0])
    dead = parent * 4 + int(torch.nonzero(leaves.counts_M.view(-1, 4)[parent] == 0)[0])
    row_of_parent = int((above.counts_M[:parent] > 0).sum())
    np.testing.assert_array_equal(rows[dead], above.centroids_RD[row_of_parent].numpy())


def test_statistics_count_nodes_and_fall_in_inertia():
    statistics = fit(features(800), branching=4, num_levels=3).statistics
    assert [level.num_nodes for level in statistics] == [4, 16, 64]
    assert all(0 < level.perplexity <= level.num_used <= level.num_nodes for level in statistics)
    assert statistics[0].inertia > statistics[1].inertia > statistics[2].inertia


def test_saved_and_loaded_it_gives_the_same_words_and_the_same_bytes(tmp_path):
    features_ND = features(300)
    codebook = fit(features_ND, branching=4, num_levels=3, scaling="standardize_parts", num_components=5)
    first = codebook.save(tmp_path / "a", parents={"features": "abc"})
    loaded = Codebook.load(tmp_path / "a")
    assert (loaded.assign(features_ND) == codebook.assign(features_ND)).all()
    np.testing.assert_array_equal(loaded.visual_embeddings(), codebook.visual_embeddings())
    assert loaded.statistics == codebook.statistics
    assert loaded.fingerprint == {"backbone": "b"}
    again = fit(features_ND, branching=4, num_levels=3, scaling="standardize_parts", num_components=5)
    assert loaded.save(tmp_path / "b") == again.save(tmp_path / "c") == first
    assert read_manifest(tmp_path / "a", kind="codebook").parents == {"features": "abc"}
    assert fit(features_ND, branching=4, num_levels=3, seed=1).save(tmp_path / "d") != first


def damaged(directory, change):
    description = json.loads((directory / "codebook.json").read_text())
    tensors = load_file(directory / "centroids.safetensors")
    change(description, tensors)
    (directory / "codebook.json").write_text(json.dumps(description))
    save_file(tensors, directory / "centroids.safetensors")
    seal(directory, kind="codebook")


CHANGES = {
    "usage of level 1": lambda description, tensors: tensors.update({"usage.1": tensors["usage.1"][:-1]}),
    "does not add up": lambda description, tensors: tensors["usage.0"].__setitem__(
        0, tensors["usage.0"][0] + 1
    ),
    "one finite row": lambda description, tensors: tensors["centroids.1"].fill_(float("nan")),
    "centroids of level 0": lambda description, tensors: tensors.update(
        {"centroids.0": tensors["centroids.0"][:, :3].clone()}
    ),
    "is not possible": lambda description, tensors: description.update(branching=10**6, num_levels=9),
    "projection": lambda description, tensors: description.update(dim=99),
    "centroids.2": lambda description, tensors: description.update(num_levels=3),
    "branching": lambda description, tensors: description.pop("branching"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_parts_that_do_not_fit_are_refused(tmp_path, message):
    fit(features(100), branching=3, num_levels=2).save(tmp_path / "book")
    damaged(tmp_path / "book", CHANGES[message])
    with pytest.raises(ArtifactError, match=message.replace("centroids.2", "usage.2")):
        Codebook.load(tmp_path / "book")


def test_a_flipped_bit_and_a_missing_codebook_are_refused(tmp_path):
    fit(features(100), branching=3, num_levels=2).save(tmp_path / "book")
    path = tmp_path / "book" / "centroids.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"centroids\.safetensors has the right size and another content"):
        Codebook.load(tmp_path / "book")
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        Codebook.load(tmp_path / "nothing")


def test_what_cannot_be_fitted_or_assigned_says_why():
    with pytest.raises(InputError, match="not one feature"):
        fit(np.zeros((0, 8), dtype=np.float16))
    with pytest.raises(InputError, match="1 of 3 features are not finite"):
        fit(np.array([[1, 2], [np.nan, 1], [0, 0]], dtype=np.float32))
    with pytest.raises(UsageError, match="makes 16,777,216 words"):
        fit(features(10), branching=256, num_levels=3)
    with pytest.raises(InputError, match="do not add up"):
        fit(features(10), parts=(3, 3))
    codebook = fit(features(30), branching=2, num_levels=2)
    with pytest.raises(CodebookMismatchError, match="16-d features"):
        codebook.assign(np.zeros((2, 9), dtype=np.float16))
    with pytest.raises(InputError, match="not finite"):
        codebook.assign(np.full((1, 16), np.inf, dtype=np.float16))
    assert codebook.assign(np.zeros((0, 16), dtype=np.float16)).shape == (0,)
