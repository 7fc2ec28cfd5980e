"""A linear SVM with hard negatives, for R-CNN: there are too many negatives to fit it to all of them."""

from __future__ import annotations

import numpy as np
from sklearn.svm import LinearSVC

HARD, EASY = -1.0001, -1.2
"""Negatives that score more are hard and join the fit; those that score less leave it. Both are the authors'."""


def fit_svm(positive: np.ndarray, negative: np.ndarray, first: int = 2000, rounds: int = 4) -> tuple[np.ndarray, float]:
    """The weights and the bias of an SVM that tells positives (P, F) from negatives (Q, F).

    It is fitted to some of the negatives by chance, then to those of all that are hard, until no others are.
    """
    used = np.zeros(len(negative), bool)
    used[np.random.default_rng(0).permutation(len(negative))[:first]] = True
    for _ in range(rounds):
        x = np.concatenate([positive, negative[used]])
        y = np.concatenate([np.ones(len(positive)), np.zeros(used.sum())])
        # The authors' settings: positives count twice, and the bias is hardly held back.
        svm = LinearSVC(C=0.001, class_weight={1: 2}, intercept_scaling=10, dual=True, max_iter=20_000, random_state=0)
        svm.fit(x, y)
        scores = svm.decision_function(negative)
        hard = ~used & (scores > HARD)
        if not hard.any():
            break
        used = hard | used & (scores >= EASY)
    return svm.coef_[0].astype(np.float32), float(svm.intercept_[0])
