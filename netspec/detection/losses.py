"""The losses of Fast and Faster R-CNN: cross-entropy over classes, and smooth L1 over deltas of boxes.

They are normalised as the original code does: each is a sum over samples, divided by how many anchors or regions were
sampled. Only objects count in the sum over deltas, so that its weight against the classification is 1.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

from netspec.detection.checks import need_positive
from netspec.detection.targets import AnchorTargets, RoiTargets
from netspec.errors import fail
from netspec.shape_text import shape_text


def smooth_l1(predicted: Tensor, target: Tensor, *, sigma: float = 1.0) -> Tensor:
    """The smooth L1 loss of each element: (sigma * d)**2 / 2 where |d| < 1 / sigma**2, else |d| - 1 / (2 * sigma**2).

    It is torch's with beta = 1 / sigma**2, without a reduction. Raises NetspecError NS503 if sigma is not above 0.
    """
    need_positive("sigma", sigma)
    return smooth_l1_loss(predicted, target, reduction="none", beta=1 / sigma**2)


def rpn_losses(logits: Tensor, deltas: Tensor, targets: AnchorTargets, *, sigma: float = 3.0) -> tuple[Tensor, Tensor]:
    """The losses of a region proposal network: of classification and of regression, both scalars.

    Its `logits` are (N, 2 * A, h, w), background of all anchors first, and its `deltas` (N, 4 * A, h, w). Both losses
    are divided by the number of sampled anchors, of all images.

    Raises NetspecError NS503 if the targets are of another number of anchors.
    """
    images, count = targets.labels.shape
    for name, value, each in (("logits", logits, 2), ("deltas", deltas, 4)):
        sizes = value.shape
        if len(sizes) != 4 or sizes[0] != images or sizes[1] % each or value.numel() != images * count * each:
            message = f"`{name}` are ({images}, {each} * A, h, w), where A * h * w is {count}"
            fail("NS503", f"{message}, and were given as {shape_text(tuple(sizes))}")
    if logits.shape[2:] != deltas.shape[2:]:
        given = " and ".join(shape_text(tuple(value.shape[2:])) for value in (logits, deltas))
        fail("NS503", f"`logits` and `deltas` are maps of one size, and were given as {given}")
    kinds = logits.reshape(images, 2, logits.shape[1] // 2, *logits.shape[2:])
    scores = kinds.permute(0, 3, 4, 2, 1).reshape(-1, 2).to(targets.deltas)
    moves = deltas.permute(0, 2, 3, 1).reshape(-1, 4).to(targets.deltas)
    labels = targets.labels.flatten()
    objects = labels == 1
    sampled = (labels >= 0).sum().clamp(min=1)
    classification = cross_entropy(scores, labels, ignore_index=-1, reduction="sum")
    regression = smooth_l1(moves[objects], targets.deltas.flatten(0, 1)[objects], sigma=sigma).sum()
    return classification / sampled, regression / sampled


def head_losses(logits: Tensor, deltas: Tensor, targets: RoiTargets, *, sigma: float = 1.0) -> tuple[Tensor, Tensor]:
    """The losses of a detector's head: of classification and of regression, both scalars.

    Its `logits` are (S, classes), background first, and its `deltas` (S, 4 * classes), of which those of a region's own
    class count. Both losses are divided by the number of regions.

    The network predicts raw deltas, which the op `detections` decodes as they are. The loss divides them by the
    standard deviations of the targets, so that it sees numbers of about 1. (The original divides targets only, and
    multiplies the last layer's weights by the standard deviations when it saves them, to the same effect.)

    Raises NetspecError NS503 if there are targets for another number of regions.
    """
    count = len(targets.labels)
    if logits.ndim != 2 or len(logits) != count or deltas.shape != (count, 4 * logits.shape[1]):
        given = f"{shape_text(tuple(logits.shape))} and {shape_text(tuple(deltas.shape))}"
        message = f"for {count} regions, `logits` are ({count}, classes) and `deltas` ({count}, 4 * classes)"
        fail("NS503", f"{message}, and were given as {given}")
    if bool((targets.labels >= logits.shape[1]).any().item()):
        fail("NS503", f"label {int(targets.labels.max())} is not one of {logits.shape[1]} classes, from 0")
    objects = (targets.labels > 0).nonzero().squeeze(1)
    moves = deltas.reshape(count, logits.shape[1], 4)[objects, targets.labels[objects]].to(targets.deltas)
    classification = cross_entropy(logits.to(targets.deltas), targets.labels, reduction="sum")
    regression = smooth_l1(moves / targets.stds, targets.deltas[objects], sigma=sigma).sum()
    return classification / max(count, 1), regression / max(count, 1)
