"""The ops: one class each, in REGISTRY by name. docs/adding-an-op.md says how to add one."""

# Importing a file registers its ops.
from netspec.ops import activation as activation
from netspec.ops import adaptive_pooling as adaptive_pooling
from netspec.ops import arithmetic as arithmetic
from netspec.ops import attention as attention
from netspec.ops import convolution as convolution
from netspec.ops import detections as detections
from netspec.ops import dropout as dropout
from netspec.ops import embedding as embedding
from netspec.ops import keep_channel as keep_channel
from netspec.ops import layer_norm as layer_norm
from netspec.ops import linear as linear
from netspec.ops import matrix as matrix
from netspec.ops import maxout as maxout
from netspec.ops import merge as merge
from netspec.ops import normalization as normalization
from netspec.ops import parameter as parameter
from netspec.ops import piecewise as piecewise
from netspec.ops import pooling as pooling
from netspec.ops import positions as positions
from netspec.ops import proposals as proposals
from netspec.ops import rearrange as rearrange
from netspec.ops import recurrence as recurrence
from netspec.ops import recurrent as recurrent
from netspec.ops import reduction as reduction
from netspec.ops import region_pooling as region_pooling
from netspec.ops import resize as resize
from netspec.ops import response_norm as response_norm
from netspec.ops import sampling as sampling
from netspec.ops import sequence as sequence
from netspec.ops import shape as shape
from netspec.ops import shuffling as shuffling
from netspec.ops import splitting as splitting
from netspec.ops import transposed_convolution as transposed_convolution
from netspec.ops import unpooling as unpooling
from netspec.ops import warp_regions as warp_regions
from netspec.ops.base import REGISTRY, Op, RuleError

__all__ = ["REGISTRY", "Op", "RuleError"]
