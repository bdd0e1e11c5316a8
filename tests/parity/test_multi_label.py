"""Several classes a segment: the loss is torch's, balanced weights are scikit-learn's, the gradient reaches each class."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from videobert_cli.core.model.label_heads import multi_score, single_score
from videobert_cli.core.model.labels import LabelHead
from videobert_cli.core.training.classification import balanced_weights

CLASSES = ("cut", "fry", "pour")


def draws(num=40):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num, 3, generator=generator)
    return logits, (torch.rand(num, 3, generator=generator) < torch.tensor([0.2, 0.5, 0.7])).long()


@pytest.mark.parametrize("weights", [None, torch.tensor([4.0, 1.0, 0.5])])
def test_the_loss_is_torchs_binary_cross_entropy(weights) -> None:
    logits, targets = draws()
    expected = torch.nn.BCEWithLogitsLoss(pos_weight=weights)(logits, targets.float())
    torch.testing.assert_close(multi_score(logits, targets, weights_C=weights).loss, expected)
    # Segments without a label change nothing.
    padded = torch.cat([targets, torch.full((5, 3), -100)])
    score = multi_score(torch.cat([logits, torch.randn(5, 3)]), padded, weights_C=weights)
    torch.testing.assert_close(score.loss, expected)
    assert int(score.num) == 40


def test_balanced_weights_are_scikit_learns_for_each_class() -> None:
    _, targets = draws()
    found = balanced_weights(targets.numpy(), head=LabelHead(name="verbs", kind="multi", classes=CLASSES))
    for column, weight in zip(targets.numpy().T, found.tolist(), strict=True):
        without, with_it = compute_class_weight("balanced", classes=np.array([0, 1]), y=column)
        assert weight == pytest.approx(with_it / without, rel=1e-6)
    verbs = np.array([0, 0, 1, 2, 2, 2])
    single = balanced_weights(verbs[:, None], head=LabelHead(name="verb", kind="single", classes=CLASSES))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=verbs)
    assert single.tolist() == pytest.approx(expected, rel=1e-6)


def test_one_class_a_segment_is_torchs_cross_entropy() -> None:
    logits, _ = draws()
    truth = torch.arange(40) % 3
    score = single_score(logits, truth[:, None])
    torch.testing.assert_close(score.loss, torch.nn.functional.cross_entropy(logits, truth))
    assert int(score.num_hits) == int((logits.argmax(1) == truth).sum())
