# ruff: noqa: E501
"""Small specs, by a name each, that have every form of the language; `FORMS` maps names to YAML text."""

from __future__ import annotations

MAP = "inputs: {image: [N, 4, 12, 12]}\n"
VECTOR = "inputs: {features: [N, 6]}\n"

CONV = """
  conv:
    params: {width: int, kernel: 3, stride: 1}
    body:
      - conv2d: {out_channels: width, kernel_size: kernel, stride: stride, padding: kernel // 2, bias: false}
      - batch_norm
      - relu
"""

BLOCKS = f"blocks:{CONV}"

SEQUENCE = "inputs: {tokens: [N, 5, 8]}\n"
ENCODER = """
blocks:
  encoder:
    params: {heads: int, wide: 16}
    body:
      - {layer_norm: {eps: 1e-6}, name: first}
      - {multihead_attention: heads, name: attention}
      - {add, from: [attention, input], name: attended}
      - {linear: wide}
      - gelu
      - {linear: input.features, name: back}
      - {add, from: [back, attended]}
"""

_BODIES = {
    # Modules called in their own way, and expressions
    "gates of channels": MAP
    + "blocks: {se: {params: {width: int}, body: [multiply: {branches: {gate: [adaptive_avg_pool2d: 1, conv2d: {out_channels: width, kernel_size: 1}, relu, conv2d: {out_channels: input.channels, kernel_size: 1}, sigmoid], map: []}}]}}\n"
    + "network: [se: 2, conv2d: {out_channels: 6, kernel_size: 1}, se: 3, relu]",
    "gates of places": MAP
    + "network: [multiply: {branches: {map: [relu], gate: [conv2d: {out_channels: 1, kernel_size: 1}, sigmoid]}}]",
    "a scale of a layer": MAP
    + "blocks: {scaled: {body: [{conv2d: {out_channels: input.channels, kernel_size: 3, padding: 1}, name: conv}, {parameter: {shape: [input.channels, 1, 1]}, name: gamma, init: {weight: 0.5}}, {multiply, from: [conv, gamma], name: scaled}, {add, from: [scaled, input]}]}}\n"
    + "network: [scaled, conv2d: {out_channels: 6, kernel_size: 1}, scaled]",
    "differences, quotients and factors": MAP
    + "blocks: {centred: {params: {by: 0.5}, body: [{adaptive_avg_pool2d: 1, name: mean}, {subtract, from: [input, mean]}, scale: by, relu, divide: {branches: {map: [], gate: [sigmoid]}}]}}\n"
    + "network: [centred, centred: {by: 2}, {scale: -1, repeat: 2}]",
    "reductions": MAP
    + "blocks: {pooled: {params: {axes: [2, 3]}, body: [conv2d: {out_channels: 4, kernel_size: 3}, mean: {dim: axes, keepdim: true}]}}\n"
    + "network: [pooled, {sum: {dim: [-2, -1]}, name: s}, {pooled: {axes: [1, 3]}, from: image}, amax: {dim: [2], keepdim: true}, amin: -1, {mean: 1}, {sum: 1}]",
    "a scale without a batch": MAP
    + "blocks: {scaled: {params: {start: int}, body: [{conv2d: {out_channels: input.channels, kernel_size: 3, padding: 1}, name: conv}, {parameter: {shape: [input.channels, 1, 1], expand: false}, name: gamma, init: {weight: 1e-6}}, {multiply, from: [gamma, conv], name: scaled}, {conv2d: {out_channels: start, kernel_size: 1}}]}}\n"
    + "network: [scaled: 6, scaled: 8, {parameter: {shape: [1, 8, 1, 1], expand: false}, name: shift, init: {weight: 1}}, {parameter: {shape: [1], expand: false}, name: one, init: {weight: [0.25]}}, {parameter: {shape: [8, 1, 1], expand: false}, name: drawn, init: {weight: {normal: {std: 0.02}}}}, {add: {broadcast: true}, from: [shift, scaled_2, one, drawn]}]".replace(
        "scaled: 8", "{scaled: 8, name: scaled_2}"
    ),
    "starts that differ": SEQUENCE
    + "blocks: {a: {body: [{parameter: {shape: [input.features], expand: false}, name: p, init: {weight: 0.5}}, {multiply, from: [p, input]}]}, b: {params: {wide: true}, body: [{linear: 8}, {layer_norm, when: wide}]}}\n"
    + "network: [a, {b: true}, {a: {}, name: again}]",
    "sizes of steps": MAP
    + "blocks: {inverted: {params: {ratio: int}, body: [{conv2d: {out_channels: ratio * input.channels, kernel_size: 1}, name: wide}, {conv2d: {out_channels: wide.channels, kernel_size: 3, padding: 1, groups: wide.channels}}, {multiply: {branches: {gate: [adaptive_avg_pool2d: 1, {conv2d: {out_channels: wide.channels // 2, kernel_size: 1}, name: narrow}, relu, {conv2d: {out_channels: 2 * narrow.channels, kernel_size: 1}}], map: []}}, name: gated}, {batch_norm, when: gated.channels > 12}, {conv2d: {out_channels: wide.channels - input.channels, kernel_size: 1}}]}}\n"
    + "network: [{conv2d: {out_channels: 6, kernel_size: 3, padding: 1}, name: stem}, {inverted: 2}, {inverted: {ratio: 4}, name: end}, {relu, repeat: end.channels // stem.channels}, {conv2d: {out_channels: stem.channels, kernel_size: [stem.height, 1]}}]",
    "sizes of what a condition leaves out": MAP
    + "params: {wide: false}\n"
    + "network: [{conv2d: {out_channels: 6, kernel_size: 1}, when: wide, name: stem}, {conv2d: {out_channels: 2 * stem.channels, kernel_size: 1}, name: again}, {conv2d: {out_channels: again.channels, kernel_size: 1}}]",
    "a sum that broadcasts": MAP
    + "network: [add: {broadcast: true, branches: {map: [relu], mean: [adaptive_avg_pool2d: 1]}}, {relu, name: r}, {adaptive_avg_pool2d: {output_size: [1, null]}, name: row}, {add: {broadcast: true}, from: [r, row]}]",
    "attention": SEQUENCE + "network: [{multihead_attention: 2}]",
    "attention after attention": SEQUENCE + "network: [{multihead_attention: 2, repeat: 3}, relu]",
    "query, key and value": "inputs: {query: [N, 5, 8], memory: [N, 7, 8]}\n"
    "network: [{multihead_attention: {num_heads: 4, bias: false}, from: [query, memory, memory]}]",
    "sequence blocks": SEQUENCE
    + ENCODER
    + "network: [{encoder: 2, repeat: 2, name: layers}, {linear: 12}, {encoder: {heads: 4, wide: 6}}]",
    "attention in a branch": SEQUENCE
    + "network: [{add: {branches: {a: [layer_norm, multihead_attention: 2], b: []}}}]",
    "attention that some uses have": SEQUENCE
    + "blocks: {a: {params: {heads: int}, body: [linear: 8, {multihead_attention: heads, when: heads > 0}, relu]}}\n"
    "network: [a: 2, a: 0, a: 4]",
    "parameters": SEQUENCE
    + "params: {width: 8}\n"
    + """
network:
  - {parameter: {shape: [1, width]}, name: token, init: {weight: 1}}
  - {concat, from: [token, tokens], name: joined}
  - {parameter: {shape: [6, width]}, name: position, init: {weight: {normal: {std: 0.02}}}}
  - {add, from: [joined, position]}
  - {select: {dim: 1, index: 0}}
  - linear: width
""",
    "parameters of blocks": MAP
    + """
blocks: {shifted: {params: {shift: list}, body: [{parameter: {shape: shift}, name: offset, init: {weight: 1}}, {add, from: [input, offset]}]}}
network: [shifted: {shift: [4, 12, 12]}, {conv2d: {out_channels: 3, kernel_size: 1}}, shifted: {shift: [3, 12, 12]}]
""",
    "parameters in a repeat": SEQUENCE + "network: [{parameter: {shape: [2, 4]}, repeat: 2}, relu]",
    "parameter from an image": MAP + "network: [{parameter: {shape: [3]}}, relu]",
    "expressions one after another": MAP
    + "network: [{transpose: {dim0: 1, dim1: 3}}, {permute: {dims: [0, 2, 1, 3]}}, relu, {narrow: {dim: 1, start: 2, length: 3}}, {select: {dim: -1, index: 1}}]",
    "an index into a sum": MAP
    + "blocks: {b: [relu]}\nnetwork: [{relu, name: a}, {add, from: [a, input]}, {select: {dim: 1, index: 0}}]".replace(
        "blocks: {b: [relu]}\n", ""
    ),
    "an index into a sum in a block": MAP
    + "blocks: {b: {body: [{relu, name: a}, {add, from: [a, input]}, {select: {dim: 1, index: 0}}]}}\nnetwork: [b]",
    "channels behind axes that moved": MAP
    + "params: {width: 6}\nnetwork: [conv2d: {out_channels: width, kernel_size: 1}, flatten: 2, {transpose: {dim0: 1, dim1: 2}}, layer_norm, linear: 5, {transpose: {dim0: 1, dim1: 2}}, {unflatten: {dim: 2, unflattened_size: [12, 12]}}, batch_norm]",
    "a part of the channels": MAP
    + "network: [{narrow: {dim: 1, start: 1, length: 2}}, {conv2d: {out_channels: 3, kernel_size: 1}}]",
    "rearranging that some uses have": MAP
    + "blocks: {a: {params: {turned: bool}, body: [relu, {transpose: {dim0: 2, dim1: 3}, when: turned}]}}\n"
    "network: [a: true, a: false]",
    "up and down": MAP
    + "network: [{conv2d: {out_channels: 8, kernel_size: 3}, name: a}, {max_pool2d: 2}, {conv_transpose2d: {out_channels: 4, kernel_size: 2, stride: 2}, name: b}, {center_crop, from: [a, b], name: center_crop}, {concat, from: [center_crop, b]}, {center_crop, from: [a, b], name: again}, {concat, from: [again, b]}]",
    "pyramid": MAP
    + "network: [{conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, name: low}, {max_pool2d: 3, name: high}, {interpolate, from: [high, low], name: up}, {add, from: [up, low]}, {interpolate: {scale_factor: 1.5, mode: bilinear, align_corners: true}}, {interpolate: {size: 7, mode: area}}]",
    "norms": MAP + "network: [{group_norm: 2}, {layer_norm: {normalized_shape: [12, 12], bias: false}}, layer_norm]",
    # Chains
    "one op": MAP + "network: [relu]",
    "chain": MAP + "network: [{conv2d: {out_channels: 8, kernel_size: 3}}, relu, batch_norm, {max_pool2d: 2}]",
    "one weightless value used thrice": MAP + "network: [{relu, name: a}, {add, from: [a, a, input]}]",
    # Blocks and their parameters
    "block used once": MAP + BLOCKS + "network: [conv: 8]",
    "block used often": MAP
    + BLOCKS
    + "network: [conv: 8, conv: {width: 6, kernel: 1}, conv: {width: 8, stride: 2}, conv: 5]",
    "default never given": MAP
    + """
blocks:
  conv:
    params: {width: int, kernel: 3, stride: 2}
    body: [{conv2d: {out_channels: width, kernel_size: kernel, stride: stride}}]
network: [{conv: 8}, {conv: 6}]
""",
    "default always overridden": MAP + BLOCKS + "network: [conv: {width: 8, kernel: 1}, conv: {width: 6, kernel: 1}]",
    "default only": MAP
    + """
blocks:
  stem:
    params: {width: 8}
    body: [{conv2d: {out_channels: width, kernel_size: 3}}, relu]
network: [stem, {stem: 6}, stem]
""",
    "parameters of every type": MAP
    + """
blocks:
  odd:
    params: {width: int, slope: 0.1, bias: true, mode: zeros, sizes: [3, 5]}
    body:
      - conv2d: {out_channels: width, kernel_size: sizes, padding: ["sizes[0] // 2", "sizes[1] // 2"], bias: bias, padding_mode: $mode}
      - leaky_relu: slope
network:
  - odd: 4
  - odd: {width: 8, slope: 0.3, bias: false, mode: reflect, sizes: [5, 3]}
  - odd: {width: 8, sizes: [3, 3]}
  - odd: {width: 8, slope: 0.01, sizes: [1, 1]}
""",
    "required parameters of every type": MAP
    + """
blocks:
  odd:
    params: {width: int, slope: float, bias: bool, mode: str, sizes: list}
    body:
      - conv2d: {out_channels: width, kernel_size: sizes, padding: same, bias: bias, padding_mode: $mode}
      - elu: slope
      - leaky_relu: slope * 2
network:
  - odd: {width: 4, slope: 1, bias: true, mode: circular, sizes: [3, 5]}
  - odd: {width: 8, slope: 2, bias: false, mode: zeros, sizes: [3, 3]}
""",
    "list of one kind of item": MAP
    + """
blocks:
  tower:
    params: {widths: list, kernels: [3, 3]}
    body:
      - {conv2d: {out_channels: "widths[0]", kernel_size: "kernels[0]"}, name: a}
      - {conv2d: {out_channels: "widths[len(widths) - 1]", kernel_size: "max(kernels)"}, name: b}
network: [tower: {widths: [4, 4]}, tower: {widths: [8]}, {tower: {widths: [3, 4, 5], kernels: [1, 1]}}]
""",
    "list compared": MAP
    + """
blocks:
  tower:
    params: {sizes: [3, 3]}
    body:
      - {conv2d: {out_channels: 4, kernel_size: sizes}}
      - {relu, when: "sizes == [3, 3]"}
network: [tower, {tower: {sizes: [1, 3]}}]
""",
    "an int for a float": MAP
    + """
blocks:
  drop:
    params: {p: float, slope: 0.2}
    body: [{dropout: p}, {leaky_relu: slope}]
network: [{drop: 0}, {drop: 0.5}, {drop: {p: 0.3, slope: 1}}, {drop: 1}]
""",
    "text with quotes": MAP
    + r"""
blocks:
  pick:
    params: {kind: str}
    body: [{relu, when: "kind == 'a'"}, {tanh, when: "kind != 'a'"}]
network: [{pick: a}, {pick: 'it''s "x" \ y'}, {pick: "\"b\""}]
""",
    "pair kernels": MAP
    + "network: [{conv2d: {out_channels: 8, kernel_size: [3, 5], padding: [1, 2], stride: [2, 1]}}, "
    + "{max_pool2d: {kernel_size: [1, 2], stride: [2, 2]}}, {adaptive_avg_pool2d: {output_size: [2, null]}}]",
    "pair in some uses": MAP
    + """
blocks:
  conv:
    params: {width: int, kernel: [3, 3], h: 3, w: 3}
    body: [{conv2d: {out_channels: width, kernel_size: kernel, padding: same}}, {conv2d: {out_channels: width, kernel_size: [h, w], padding: same}}]
network: [{conv: 8}, {conv: {width: 8, kernel: [1, 3]}}, {conv: {width: 4, h: 1}}]
""",
    "unsayable size": MAP
    + """
blocks:
  halved:
    body: [{conv2d: {out_channels: input.height // 2, kernel_size: 3}}, {conv2d: {out_channels: "min(input.shape[1], 5)", kernel_size: 1}}]
network: [halved, halved, halved]
""",
    "expressions": MAP
    + """
params: {ratio: 0.5}
blocks:
  mix:
    params: {width: int, flag: false, kind: a}
    body:
      - conv2d: {out_channels: "max(1, floor(width * ratio))", kernel_size: 3 if not flag and width > 8 else 1}
      - conv2d: {out_channels: "ceil(width / 3)", kernel_size: "min(3, -(-width // 8) + 1)", padding: 1, bias: flag == true}
      - dropout: 0.5 if kind == 'a' or flag else width % 7 / 10
network: [{mix: 8}, {mix: {width: 16, flag: true}}, {mix: {width: 12, kind: b}}]
""",
    "nested three deep": MAP
    + BLOCKS
    + """
  pair:
    params: {width: int, kernel: 3}
    body: [{conv: {width: width, kernel: kernel}}, {conv: 2*width, name: second}]
  quad:
    params: {width: int}
    body: [{pair: {width: width, kernel: 1}}, {pair: width + 1}]
network: [{quad: 4}, {quad: 6}, {pair: 3}]
""",
    "block of a repeat of blocks": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int, stride: 1}
    body:
      - conv: {width: width, stride: stride}
      - {conv: width, repeat: n - 1, name: more}
network: [{stage: {width: 4, n: 3, stride: 2}}, {stage: {width: 6, n: 2}}]
""",
    # Branches and merges
    "residual": MAP + BLOCKS + "network: [add: {branches: {left: [conv: 4, conv: 4], right: []}}, relu]",
    "identity first": MAP + BLOCKS + "network: [add: {branches: {skip: [], body: [conv: 4]}}]",
    "identities only": MAP + "network: [add: {branches: {a: [], b: [], c: []}}]",
    "branches of one op": MAP + "network: [multiply: {branches: {gate: [sigmoid], value: [tanh]}}]",
    "named merges": MAP
    + BLOCKS
    + """network:
  - {add: {branches: {a: [conv: 4], b: []}}, name: first}
  - {add: {branches: {a: [conv: 4], b: []}}, name: second}
  - {concat: {branches: {a: [conv: 4], b: [], c: [relu]}}, name: third}
""",
    "residual in residual": MAP
    + BLOCKS
    + """
  inner:
    params: {width: int}
    body:
      - add:
          branches:
            a: [{conv: width}, {add: {branches: {deep: [{conv: width}], id: []}}, name: mid}, {conv: width}]
            b: [{conv: {width: width, kernel: 1}}]
      - relu
network: [{inner: 4}, {inner: 6}]
""",
    "from several": MAP
    + """network:
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: a}
  - {relu, name: b}
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: c, from: a}
  - {add, from: [b, c], name: d}
  - {concat, from: [a, d, image, b]}
""",
    "from reaches into a branch": MAP
    + BLOCKS
    + """
network:
  - {conv: 4, name: stem}
  - {conv: 4, name: second}
  - add:
      branches:
        a: [{conv: 4}, {add, from: [conv, stem], name: joined}]
        b: [{add, from: [stem, input]}, relu]
        c: [{conv: 4, from: stem}]
""".replace("[{conv: 4}, {add, from: [conv", "[{conv: 4, name: conv}, {add, from: [conv"),
    "outer value enters a branch first": MAP
    + """
network:
  - {conv2d: {out_channels: 5, kernel_size: 1}, name: stem}
  - {conv2d: {out_channels: 3, kernel_size: 1}, name: second}
  - concat:
      branches:
        a: [{relu, from: stem}, {conv2d: {out_channels: input.channels, kernel_size: 1}}, {concat, from: [conv, input]}]
        b: []
""".replace(
        "{conv2d: {out_channels: input.channels, kernel_size: 1}}",
        "{conv2d: {out_channels: input.channels, kernel_size: 1}, name: conv}",
    ),
    "branch with a merge, wires crossed": MAP
    + """
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: a}
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: b, from: a}
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: c, from: a}
  - {add, from: [a, b], name: d}
  - {concat, from: [c, b, d]}
  - {add, from: [d, c, b], name: e}
""",
    "operand used again": MAP
    + """
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: a}
  - {tanh, name: b, from: a}
  - {sigmoid, name: c, from: a}
  - {add, from: [b, c], name: d}
  - {multiply, from: [d, c], name: e}
""",
    "concat of four": MAP
    + BLOCKS
    + """
  inception:
    params: {a: int, b: int, c: int, d: int}
    body:
      - concat:
          branches:
            b1: [conv: {width: a, kernel: 1}]
            b3: [conv: {width: b, kernel: 1}, conv: b]
            b5: [conv: {width: 2, kernel: 1}, conv: {width: c, kernel: 5}]
            pool: [{max_pool2d: {kernel_size: 3, stride: 1, padding: 1}}, conv: d]
network: [inception: {a: 2, b: 3, c: 4, d: 5}, inception: {a: 3, b: 2, c: 1, d: 4}, {inception: {a: 2, b: 2, c: 2, d: 2}, name: last}]
""",
    "concat on other axes": MAP
    + "network: [{relu, name: a}, {concat: -1, from: [a, input], name: b}, {concat: -3, from: [b, b]}, {conv2d: {out_channels: 3, kernel_size: 1}}]",
    "branch and merge of one name": MAP
    + BLOCKS
    + "network: [{add: {branches: {join: [conv: 4], other: []}}, name: join}, {add: {branches: {join: [relu], other: []}}, name: other}]",
    # Repeats
    "repeated ops": MAP
    + "network: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, repeat: 3}, {relu, repeat: 2}, {tanh, repeat: 0}, {sigmoid, repeat: 1}]",
    "repeated block": MAP + BLOCKS + "network: [{conv: 8, repeat: 3, name: stage}]",
    "repeated merge": MAP
    + BLOCKS
    + "network: [{add: {branches: {a: [conv: 4, conv: 4], b: []}}, repeat: 3, name: stage}, {concat: {branches: {a: [conv: 4], b: []}}, repeat: 2, name: dense}]",
    "repeated merge in a block": MAP
    + BLOCKS
    + """
  dense:
    params: {growth: int, n: 2}
    body: [{concat: {branches: {old: [], new: [conv: growth]}}, repeat: n, name: layers}]
network: [{dense: 3}, {dense: {growth: 5, n: 4}}, {dense: {growth: 2, n: 1}}]
""",
    "count differs by use": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int}
    body: [{conv: width, repeat: n, name: layers}]
network: [{stage: {width: 8, n: 3}}, {stage: {width: 6, n: 1}}, {stage: {width: 6, n: 2}}]
""",
    "count of none in some uses": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int}
    body: [{conv: width}, {conv: width, repeat: n, name: more}, relu]
network: [{stage: {width: 8, n: 3}}, {stage: {width: 6, n: 0}}, {stage: {width: 5, n: 1}}]
""",
    "whole body of none": MAP
    + BLOCKS
    + """
  stage:
    params: {n: int}
    body: [{conv: 4, repeat: n}]
network: [{stage: 1}, {stage: 0}, {stage: 2}, {relu, name: last}]
""",
    "index at the top": MAP
    + BLOCKS
    + "network: [{conv: {width: 4 * (index + 1), stride: 2 if index == 0 else 1}, repeat: 4, name: stage}]",
    "index in a block, one count": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int}
    body: [{conv: {width: width + index, stride: 2 if index == 0 else 1}, repeat: 3, name: layers}]
network: [{stage: 4}, {stage: 6}]
""",
    "index in a block, counts differ": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int}
    body: [{conv: {width: width * (index + 1)}, repeat: n, name: layers}]
network: [{stage: {width: 4, n: 3}}, {stage: {width: 6, n: 2}}, {stage: {width: 3, n: 4}}]
""",
    "index of a kernel, counts differ": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int}
    body: [{conv: {width: width, kernel: 2 * index + 1}, repeat: n, name: layers}]
network: [{stage: {width: 4, n: 3}}, {stage: {width: 6, n: 2}}, {stage: {width: 3, n: 4}}]
""",
    "index in a repeated merge": MAP
    + BLOCKS
    + """
  stage:
    params: {n: int}
    body:
      - add: {branches: {a: [{conv: {width: 4, kernel: 1 + 2 * index}}], b: [{conv: {width: 4, kernel: 1}, when: index > 0}]}}
        repeat: n
        name: layers
network: [{stage: 2}, {stage: 3}]
""",
    "repeat in a repeat": MAP
    + BLOCKS
    + """
  group:
    params: {width: int, n: int}
    body: [{conv: {width: width + index}, repeat: n, name: inner}]
network: [{group: {width: 4, n: index + 1}, repeat: 3, name: outer}]
""",
    "copies with an outer value": MAP
    + """
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: stem}
  - add: {branches: {a: [{conv2d: {out_channels: 4, kernel_size: 1}}], b: [{tanh, from: stem}]}}
    repeat: 3
    name: stage
  - relu
""",
    "copies with an outer value in a block": MAP
    + """
blocks:
  stage:
    params: {n: int}
    body:
      - {conv2d: {out_channels: 4, kernel_size: 1}, name: stem}
      - add: {branches: {a: [{conv2d: {out_channels: 4, kernel_size: 1}}], b: [{tanh, from: stem}]}}
        repeat: n
        name: layers
network: [{stage: 2}, {stage: 3}]
""",
    "copies left out": MAP
    + BLOCKS
    + "network: [{conv: 4, repeat: 4, name: stage, when: index % 2 == 1}, {relu, repeat: 2, when: index == 0}]",
    "copies left out in a branch": MAP
    + BLOCKS
    + """
  odd:
    params: {skip: int}
    body: [{add: {branches: {a: [{conv: 4, repeat: 4, name: stage, when: index != skip}], b: []}}}]
network: [{odd: 1}, {odd: 7}, {odd: 3}, {odd: 0}]
""",
    "long repeats": MAP + BLOCKS + "network: [{conv: 4, repeat: 30, name: stage}, {relu, repeat: 12}]",
    # Conditions
    "when in a branch": MAP
    + BLOCKS
    + """
  basic:
    params: {width: int, stride: 1}
    body:
      - add:
          branches:
            residual: [{conv: {width: width, stride: stride}}, {conv: width}]
            shortcut: [{conv: {width: width, kernel: 1, stride: stride}, when: stride != 1 or input.channels != width}]
      - relu
network: [{basic: 4}, {basic: {width: 8, stride: 2}}, {basic: 8, repeat: 2}, {basic: 6}]
""",
    "when first, last and in the middle": MAP
    + BLOCKS
    + """
  some:
    params: {a: false, b: false, c: false}
    body:
      - {conv: 4, when: a}
      - {conv2d: {out_channels: 4, kernel_size: 1}}
      - {relu, when: b}
      - {batch_norm, when: b and not a}
      - {conv2d: {out_channels: 6 if c else 4, kernel_size: 1}}
      - {tanh, when: c}
network: [{some: {a: true, b: true, c: true}}, some, {some: {b: true}}, {some: {c: true}}, {some: {a: true}}]
""",
    "when changes channels": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, wide: false}
    body:
      - {conv: 2*width, when: wide}
      - {conv: {width: input.channels, kernel: 1}}
      - conv: width
network: [{some: {width: 4, wide: true}}, {some: 5}, {some: 6}]
""",
    "when on a merge with from": MAP
    + """
blocks:
  inverted:
    params: {width: int, ratio: 6, stride: 1}
    body:
      - {conv2d: {out_channels: input.channels*ratio, kernel_size: 1, bias: false}, name: expand, when: ratio != 1}
      - {batch_norm, when: ratio != 1}
      - {conv2d: {out_channels: input.channels*ratio, kernel_size: 3, stride: stride, padding: 1, groups: input.channels*ratio, bias: false}}
      - batch_norm
      - relu6
      - {conv2d: {out_channels: width, kernel_size: 1, bias: false}}
      - {batch_norm, name: project}
      - {add, from: [project, input], when: stride == 1 and input.channels == width}
network: [{inverted: {width: 4, ratio: 1}}, {inverted: {width: 6, stride: 2}}, {inverted: 6, repeat: 2}, {inverted: 8}]
""",
    "when on a repeated step": MAP
    + BLOCKS
    + """
  some:
    params: {n: 2, deep: true}
    body: [{conv: 4}, {conv: 4, repeat: n, when: deep, name: more}, relu]
network: [some, {some: {deep: false}}, {some: {n: 3}}]
""",
    "when on a merge with branches": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, joined: true}
    body:
      - conv: width
      - add: {branches: {a: [conv: width], b: []}}
        when: joined
      - relu
network: [{some: 4}, {some: {width: 6, joined: false}}, {some: {width: 5, joined: true}}]
""",
    "when on a named merge with branches": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, joined: true}
    body:
      - conv: width
      - {add: {branches: {a: [conv: width], b: []}}, when: joined, name: join}
      - relu
network: [{some: 4}, {some: {width: 6, joined: false}}, {some: {width: 5, joined: true}}]
""",
    "when on a merge that reads an outer value": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, joined: true}
    body:
      - {conv: width, name: first}
      - {conv: width, name: second}
      - {add: {branches: {a: [conv: width], b: [{relu, from: first}]}}, when: joined, name: join}
      - relu
network: [{some: 4}, {some: {width: 6, joined: false}}, {some: {width: 5, joined: true}}]
""",
    "when deep inside": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, squeeze: true}
    body:
      - add:
          branches:
            a:
              - conv: width
              - add: {branches: {c: [{conv: {width: input.channels, kernel: 1}, when: squeeze}, relu], d: []}}
                name: deep
              - {conv: {width: width, kernel: 1}, when: input.channels < width}
            b: [{conv: {width: width, kernel: 1}, when: input.channels != width}]
network: [{some: 4}, {some: {width: 6, squeeze: false}}, {some: {width: 6, squeeze: true}}]
""",
    "when inside a repeat inside a branch": MAP
    + BLOCKS
    + """
  some:
    params: {n: int}
    body:
      - add:
          branches:
            a: [{conv: 4, repeat: n, when: index > 0, name: copies}, relu]
            b: [{conv: {width: 4, kernel: 1}, repeat: n, name: copies}]
network: [{some: 3}, {some: 2}, {some: 1}]
""",
    "never": MAP + BLOCKS + "network: [{conv: 4, when: 1 > 2}, relu]",
    # What expressions read
    "input in nested branches": MAP
    + BLOCKS
    + """
  some:
    params: {width: int}
    body:
      - conv: width
      - add:
          branches:
            a:
              - conv: 2 * input.channels
              - concat: {branches: {c: [{conv: input.channels // 2}], d: [{conv: input.channels}]}}
                name: cat
              - {conv: {width: input.channels, kernel: 1}}
            b: []
network: [{some: 4}, {some: 6}]
""",
    "file parameters in blocks": MAP
    + """
params: {growth: 4, deep: true, kernel: 3, classes: 7}
blocks:
  layer:
    params: {kernel: 1}
    body: [{conv2d: {out_channels: growth, kernel_size: kernel}}, {conv2d: {out_channels: 2 * growth, kernel_size: 1}, when: deep}]
network: [layer, {layer: {kernel: 3}}, {layer: {kernel: kernel}}, {conv2d: {out_channels: classes, kernel_size: 1}}]
""",
    # Arguments of the network's class
    "classes": VECTOR + "params: {classes: 10, hidden: 5}\nnetwork: [{linear: hidden}, relu, {linear: classes}]",
    "width before a linear": MAP
    + "params: {width: 6, classes: 3}\nnetwork: [{conv2d: {out_channels: width, kernel_size: 3}}, {max_pool2d: 2}, flatten, {linear: classes}]",
    "width before a global pool": MAP
    + "params: {width: 6, classes: 3}\nnetwork: [{conv2d: {out_channels: width, kernel_size: 3}}, {adaptive_avg_pool2d: 1}, flatten, {linear: classes}]",
    "stride before a linear": MAP
    + "params: {stride: 2, classes: 3}\nnetwork: [{conv2d: {out_channels: 5, kernel_size: 3, stride: stride}}, flatten, {linear: classes}]",
    "stride down to one pixel": "inputs: {image: [N, 4, 4, 4]}\n"
    + "params: {stride: 4, width: 5}\nnetwork: [{conv2d: {out_channels: width, kernel_size: 1, stride: stride}}, flatten, {linear: 3}]",
    "stride before a block that flattens": "inputs: {image: [N, 4, 4, 4]}\nparams: {stride: 4}\n"
    + """
blocks: {head: {params: {classes: int}, body: [flatten, {linear: classes}]}}
network: [{conv2d: {out_channels: 5, kernel_size: 1, stride: stride}}, {head: 3}]
""",
    "width into a block that flattens": MAP
    + """
params: {width: 6, classes: 3}
blocks: {head: {params: {classes: int}, body: [{max_pool2d: 2}, flatten, {linear: classes}]}}
network: [{conv2d: {out_channels: width, kernel_size: 3}}, {head: classes}]
""",
    "block argument that decides": MAP
    + BLOCKS
    + """
  some:
    params: {width: int}
    body: [{conv: width}, {conv: 4, when: width > 4}, relu]
params: {width: 6, more: 2}
network: [{some: width}, {conv: more}]
""",
    "block argument that counts": MAP
    + BLOCKS
    + """
  stage:
    params: {width: int, n: int}
    body: [{conv: width, repeat: n, name: layers}]
params: {width: 6, n: 2}
network: [{stage: {width: width, n: n}}]
""",
    "root argument that two things read": MAP
    + "params: {width: 6}\nnetwork: [{conv2d: {out_channels: width, kernel_size: 1}, name: a}, {conv2d: {out_channels: width, kernel_size: 3, padding: 1}}, "
    + "{conv2d: {out_channels: 2 * width, kernel_size: 1}}, {conv2d: {out_channels: width, kernel_size: 1}, name: b}, {add, from: [a, b]}]",
    "root argument unsayable": MAP
    + "params: {width: 6}\nnetwork: [{conv2d: {out_channels: width, kernel_size: 1}}, "
    + "{concat: {branches: {a: [{conv2d: {out_channels: 'min(input.shape[1], 5)', kernel_size: 1}}], b: []}}}]",
    "root arguments of every type": MAP
    + "params: {width: 6, p: 0.25, bias: true, mode: zeros, kernels: [3, 5]}\n"
    + "network: [{conv2d: {out_channels: width, kernel_size: kernels, bias: bias, padding_mode: $mode}}, {dropout: p}, {conv2d: {out_channels: 2, kernel_size: 1, bias: not bias}}]",
    "linear on a sequence": "inputs: {tokens: [N, 5, 6]}\nparams: {width: 5, classes: 4}\n"
    + "network: [{linear: width}, batch_norm, relu, {linear: 2 * width}, {flatten, name: flat}, {linear: classes}]",
    "blocks on a sequence": "inputs: {tokens: [N, 5, 6]}\n"
    + """
blocks: {mlp: {params: {width: int}, body: [{linear: 2*width}, gelu, {linear: width}]}}
network: [{mlp: 6}, {mlp: 4}, {mlp: 6, repeat: 2}]
""",
    "root argument in a named merge": MAP
    + BLOCKS
    + """
params: {width: 4, classes: 3}
network:
  - {concat: {branches: {a: [{conv: width}], b: [{conv2d: {out_channels: width, kernel_size: 1}}]}}, name: join}
  - {conv: classes}
""",
    # Inputs, outputs, and the ways between them
    "several inputs": """
inputs: {left: [N, 3, 8, 8], right: [N, 4, 8, 8]}
network: [{conv2d: {out_channels: 4, kernel_size: 1}, from: left, name: a}, {add, from: [a, right], name: b}, {concat, from: [left, b, right]}]
""",
    "several outputs": MAP
    + BLOCKS
    + "network: [{conv: 4, name: a}, {conv: 5, name: b}, {conv: 6, name: c}]\noutputs: {last: c, first: a, again: a, count: b}",
    "input as output": MAP + "network: [{relu, name: a}]\noutputs: {same: image, other: a}",
    "output in the middle": MAP
    + BLOCKS
    + "network: [{conv: 4, name: a}, {conv: 5, name: b}, {add, from: [a, image], name: c}, {concat, from: [c, b]}]",
    "dead steps": MAP
    + BLOCKS
    + """
network:
  - {conv: 4, name: a}
  - {conv: 5, name: dead}
  - {relu, name: dead_too}
  - {conv2d: {out_channels: 3, kernel_size: 1}, name: dead_op, from: a}
  - {add: {branches: {l: [conv: 4], r: []}}, name: dead_merge, from: a}
  - {relu, name: last, from: a}
outputs: {out: last}
""",
    "dead steps in a block": MAP
    + BLOCKS
    + """
  some:
    params: {width: int, joined: false}
    body:
      - {conv: width, name: a}
      - {conv: width, name: dead}
      - {relu, name: dead_too}
      - {conv: width, from: a, name: b}
      - {add, from: [a, b], when: joined}
  gone:
    params: {on: false}
    body: [{conv: 4, name: a}, {add, from: [input, a], when: on}]
network: [{some: 4}, {some: {width: 6, joined: true}}, {conv: 4}, gone, {gone: {on: true}}, {conv: 3}, {gone: {on: false}, from: input, name: never}, {relu, from: input}]
""",
    "a block that changes nothing": MAP
    + BLOCKS
    + """
  same:
    params: {on: false}
    body: [{conv: 4, name: a}, {add, from: [input, a], when: on}]
  around:
    params: {on: false}
    body: [{conv: 4, name: first}, {same: {on: on}, name: inner}, {relu, from: first, name: last}, {add, from: [last, inner]}]
network:
  - {same, name: a}
  - {same: true, name: b}
  - {around, name: c}
  - {around: true, name: d}
  - {add: {branches: {p: [{same, name: inner}], q: []}}, name: e}
  - {same, repeat: 2, name: f}
outputs: {a: a, b: b, c: c, d: d, f: f, e: e}
""",
    "output before the end": MAP + BLOCKS + "network: [{conv: 4, name: a}, {conv: 5}]\noutputs: {out: a}",
    # Names
    "names of torch": MAP
    + """
blocks:
  tensor: {params: {kernel: 1}, body: [{conv2d: {out_channels: 4, kernel_size: kernel}}]}
  ordered_dict: {body: [{tensor: 1}, {tensor: 3}]}
  named_tuple: {body: [relu]}
  module: {body: [tensor, {conv: 4}]}
  nothing: {body: [tensor]}
  conv: {params: {width: int}, body: [{conv2d: {out_channels: width, kernel_size: 1}, name: math}]}
  net_output: {body: [relu]}
  i: {body: [relu]}
  sequential: {body: [{conv: 4}, {conv: 3}, {add: {branches: {conv2d: [{conv2d: {out_channels: 3, kernel_size: 1}}], linear: []}}}]}
network: [tensor, {ordered_dict, name: a}, named_tuple, module, nothing, {net_output, name: b}, i, sequential]
outputs: {a: a, b: b}
""",
    "names of variables": MAP
    + """
network:
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: x}
  - {conv2d: {out_channels: 4, kernel_size: 1}, name: out}
  - {relu, name: nn_}
  - {relu, name: Tensor, from: x}
  - {relu, name: residual, from: x}
  - {relu, name: l, from: x}
  - {add, from: [x, out, nn_, Tensor, residual, l, image], name: x_2}
  - {add, from: [x_2, out, residual, x], name: x_3}
  - {multiply, from: [x_3, x_2, l]}
""",
    "input named x": "inputs: {x: [N, 4, 8, 8]}\nnetwork: [{relu, name: a}, {tanh, name: b, from: x}, {add, from: [x, b, a]}]",
    "parameters named badly": MAP
    + """
blocks:
  conv:
    params: {in_channels: int, input_channels: 3, n: 1, self_: 1, x: 0.5, range: 1, _: 1, math: 2, l: 1, int: 3, tuple: 1}
    body:
      - {conv2d: {out_channels: in_channels, kernel_size: input_channels, padding: input_channels // 2, stride: self_}}
      - {conv2d: {out_channels: "ceil(in_channels / math)", kernel_size: int, padding: tuple}, repeat: n + range, name: layers}
      - {conv2d: {out_channels: "l * _ + input.channels", kernel_size: 1}}
      - {dropout: x}
network:
  - {conv: 4}
  - {conv: {in_channels: 6, n: 2, x: 0.1}}
  - {conv: {in_channels: 5, input_channels: 1, range: 2, math: 1, l: 2, _: 3, int: 1, tuple: 0}}
""",
    "file parameters named badly": MAP
    + """
params: {in_channels: 5, init_weights: 4, range: 3, l: 6, _: 2, math: 3, image: 2}
defaults: {conv2d: {init: {weight: {normal: {std: 0.1}}}}}
blocks:
  conv:
    params: {width: int}
    body: [{conv2d: {out_channels: width + in_channels, kernel_size: 1}}, {conv2d: {out_channels: input.channels, kernel_size: 1}}]
network:
  - {conv: in_channels}
  - {conv: 3}
  - {conv2d: {out_channels: init_weights, kernel_size: range}, repeat: 2}
  - {conv2d: {out_channels: l * _, kernel_size: 1}}
  - {conv2d: {out_channels: "floor(math / 2)", kernel_size: 1}}
""".replace("image: 2", "img: 2"),
    "merge's name and a scope's": MAP
    + BLOCKS
    + """
  some:
    params: {joined: true}
    body:
      - {conv: 4, name: with_add}
      - {add, from: [with_add, input], when: joined}
network: [some, {some: {joined: false}}, {add: {branches: {a: [conv: 4], b: []}}, name: conv}, {add: {branches: {a: [conv: 4], b: []}}, name: other}]
""",
    "long names": MAP
    + f"""
blocks:
  a_block_with_a_name_that_is_rather_long_for_a_block_and_goes_on:
    params: {{the_number_of_output_channels_of_the_convolution: int, the_size_of_the_kernel_in_both_directions: 3, {"w" * 70}: 1}}
    body:
      - {{conv2d: {{out_channels: the_number_of_output_channels_of_the_convolution, kernel_size: the_size_of_the_kernel_in_both_directions}}, name: {"c" * 90}}}
      - {{conv2d: {{out_channels: the_number_of_output_channels_of_the_convolution + the_size_of_the_kernel_in_both_directions * {"w" * 70}, kernel_size: 1}}}}
      - {{relu, name: {"r" * 90}}}
network:
  - {{a_block_with_a_name_that_is_rather_long_for_a_block_and_goes_on: 4, name: {"s" * 100}}}
  - a_block_with_a_name_that_is_rather_long_for_a_block_and_goes_on: {{the_number_of_output_channels_of_the_convolution: 5, the_size_of_the_kernel_in_both_directions: 1, {"w" * 70}: 2}}
    repeat: 2
  - {{add: {{branches: {{{"b" * 90}: [relu], {"d" * 60}: [tanh]}}}}}}
""",
    "long conditions": MAP
    + BLOCKS
    + """
  some:
    params: {a_rather_long_name: 1, another_rather_long_name: 2, the_third_rather_long_name: 3}
    body:
      - {conv: {width: 4, kernel: 1}, when: a_rather_long_name != another_rather_long_name or the_third_rather_long_name != 4 and input.channels != 4}
      - conv: {width: "4 if a_rather_long_name == another_rather_long_name * the_third_rather_long_name else the_third_rather_long_name", kernel: "a_rather_long_name + another_rather_long_name * the_third_rather_long_name - 4 - 5 * (the_third_rather_long_name - 3)"}
      - add: {branches: {a: [{conv: 4, when: a_rather_long_name + another_rather_long_name + the_third_rather_long_name > 6}, {conv: 4}], b: [{conv: {width: 4, kernel: 1}}]}}
      - {relu, name: final}
      - {add, from: [final, input], when: a_rather_long_name + another_rather_long_name + the_third_rather_long_name > 6}
network: [some, {some: {a_rather_long_name: 2, the_third_rather_long_name: 4}}]
""",
    "many arguments": MAP
    + "blocks:\n  many:\n    params: {"
    + ", ".join(f"width_{k}: {k % 5 + 1}" for k in range(40))
    + "}\n    body:\n"
    + "".join(f"      - {{conv2d: {{out_channels: width_{k}, kernel_size: 1}}}}\n" for k in range(40))
    + "network: [many, {many: {"
    + ", ".join(f"width_{k}: {k % 3 + 1}" for k in range(40))
    + "}}]",
    "many branches": MAP
    + "network: [concat: {branches: {"
    + ", ".join(f"branch_{k}: [{{conv2d: {{out_channels: {k + 1}, kernel_size: 1}}}}, relu]" for k in range(12))
    + "}}, {add: {branches: {"
    + ", ".join(f"arm_{k}: [relu]" for k in range(20))
    + "}}}]",
    "many inputs": "inputs: {"
    + ", ".join(f"input_number_{k}: [N, 3]" for k in range(12))
    + "}\nnetwork: [{add, from: ["
    + ", ".join(f"input_number_{k}" for k in range(12))
    + "]}]",
    "texts": MAP
    + r"""
title: "\"Quoted\" \"\"\"triple\"\"\" back\\slash \\\"\"\" über 網 \u200b\u202e tab\t'' end\""
source: "line one\nline two\n\n\n\nparagraph with torch.compile, math.pi, OrderedDict(x), (NamedTuple) and a word that is longwithoutanyspace0123456789012345678901234567890123456789012345678901234567890123456789\n\n  \n\"\"\"\n"
network: [relu]
""",
    "text that ends in a backslash": MAP + 'title: "back\\\\"\nsource: "\\"first\\nlast\\\\"\nnetwork: [relu]',
    "blank texts": MAP + 'title: " "\nsource: "\\n\\n  \\n"\nnetwork: [relu]',
    # Initialisers
    "initialisers": MAP
    + """
defaults:
  conv2d: {init: {weight: {kaiming_normal: {mode: fan_out, nonlinearity: relu}}, bias: 0}}
  linear: {init: {weight: {normal: {std: 0.01}}, bias: 0.1}}
  batch_norm: {init: {weight: 1}}
network:
  - {conv2d: {out_channels: 3, kernel_size: 1}, init: {bias: [0.1, 0.2, 0.3]}}
  - {conv2d: {out_channels: 3, kernel_size: 1}, init: {weight: {uniform: {a: -0.1, b: 0.1}}}}
  - {conv2d: {out_channels: 3, kernel_size: 1}, init: {bias: 1}}
  - {conv2d: {out_channels: 3, kernel_size: 1, bias: false}}
  - {conv2d: {out_channels: 3, kernel_size: 1}, init: {bias: 1}}
  - batch_norm
  - {batch_norm: {affine: false}}
  - flatten
  - {linear: 5}
  - {linear: 5, init: {weight: xavier_uniform}}
""",
    "initialisers on some layers": MAP
    + """
network:
  - {conv2d: {out_channels: 3, kernel_size: 1}, init: {weight: {normal: {std: 0.01}}}}
  - {conv2d: {out_channels: 3, kernel_size: 1}}
  - {conv2d: {out_channels: 4, kernel_size: 1}, repeat: 3, name: copies, init: {bias: [0.1, 0.2, 0.3, 0.4]}}
  - {conv2d: {out_channels: 30, kernel_size: 1}, init: {bias: [0.12345678, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.12345678, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.12345678, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]}}
  - {conv2d: {out_channels: 2, kernel_size: 1}, repeat: 4, when: index % 2 == 1, name: odd, init: {weight: 0.5}}
""",
    "initialisers in repeated blocks": MAP
    + """
blocks:
  unit:
    params: {width: int}
    body:
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}, init: {weight: {kaiming_normal: {mode: fan_out}}, bias: 0}}
      - {batch_norm, init: {weight: 1, bias: 0}}
      - add: {branches: {a: [{conv2d: {out_channels: width, kernel_size: 1}}, {batch_norm, init: {weight: 0}}], b: []}}
network: [{unit: 4, repeat: 3, name: stage}, {unit: 6}]
""",
    "initialisers of matrices": VECTOR
    + "network: [{linear: 6, init: {weight: orthogonal, bias: zeros}}, {linear: 6, init: {weight: eye}}, {linear: 2, init: {weight: {trunc_normal: {std: 0.02, a: -0.04, b: 0.04}}}}]",
    # Ranks and symbols
    "batch_norm of every rank": """
inputs: {vector: [N, 4], sequence: [N, 4, 9], image: [N, 4, 8, 8]}
blocks:
  norm: {body: [batch_norm, relu]}
  pooled: {body: [{adaptive_avg_pool2d: 1}, flatten]}
network:
  - {norm, from: vector, name: a}
  - {norm, from: sequence, name: b}
  - {norm, from: image, name: c}
  - {norm, name: d}
  - {pooled, from: d, name: e}
  - {norm, name: f}
  - {add, from: [a, f]}
outputs: {a: a, b: b, c: c, f: f}
""",
    "symbols": "inputs: {image: [N, 3, H, W]}\nparams: {classes: 4}\n"
    + BLOCKS
    + """
  basic:
    params: {width: int, stride: 1}
    body:
      - add:
          branches:
            residual: [{conv: {width: width, stride: stride}}, {conv: width}]
            shortcut: [{conv: {width: width, kernel: 1, stride: stride}, when: stride != 1 or input.channels != width}]
      - relu
network: [{conv: {width: 4, stride: 2}, name: stem}, {basic: 4, repeat: 2, name: layer1}, {basic: {width: 6, stride: 2}}, {adaptive_avg_pool2d: 1}, flatten, {linear: classes, name: fc}]
outputs: {logits: fc}
""",
    "every op with a default that is not written": MAP
    + "network: [{leaky_relu: 0.01}, {leaky_relu: 0.2}, {dropout: 0.5}, {dropout: 0.25}, prelu, {prelu: 4}, {softmax: 1}, {softmax: -1}, {elu: 1}, gelu, {gelu: tanh}, silu, "
    + "hardswish, {softplus: 2}, {local_response_norm: {size: 2, alpha: 0.001}}, {avg_pool2d: {kernel_size: 2, stride: 1}}, identity, {log_softmax: 1}]",
    "defaults that differ by use": MAP
    + """
blocks:
  act:
    params: {p: 0.5, slope: 0.01, slopes: 1}
    body: [{dropout: p}, {leaky_relu: slope}, {prelu: slopes}]
network: [act, {act: {p: 0.25, slope: 0.2}}, {act: {slopes: 4}}]
""",
}

FORMS = {name: f"netspec: 1\nname: net\n{body}" for name, body in _BODIES.items()}
