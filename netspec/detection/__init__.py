"""Targets and losses to train detectors with: anchors, box coding, sampling, and the losses of Faster R-CNN.

All of it is PyTorch, and none of it is loaded before it is used. docs/detection.md shows a training step.

>>> import netspec
>>> netspec.detection.anchors_of_map(38, 63).shape
torch.Size([21546, 4])
"""

from netspec.detection.anchors import anchors_of_map
from netspec.detection.boxes import box_iou, clip_boxes, decode_boxes, encode_boxes
from netspec.detection.losses import head_losses, rpn_losses, smooth_l1
from netspec.detection.targets import AnchorTargets, RoiTargets, anchor_targets, roi_targets

__all__ = [
    "AnchorTargets",
    "RoiTargets",
    "anchor_targets",
    "anchors_of_map",
    "box_iou",
    "clip_boxes",
    "decode_boxes",
    "encode_boxes",
    "head_losses",
    "roi_targets",
    "rpn_losses",
    "smooth_l1",
]
