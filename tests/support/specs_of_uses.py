"""Small specs of values that are used twice, of expressions between modules, of repeats and shares of expressions."""

from __future__ import annotations

MAP = "inputs: {image: [N, 3, 8, 8]}\n"

_BODIES = {
    "expression between a module and its merge": MAP
    + """
network:
  - {conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}, name: low}
  - {conv2d: {out_channels: 8, kernel_size: 3, stride: 2, padding: 1}, name: high}
  - {conv2d: {out_channels: 8, kernel_size: 1}, from: low, name: lateral}
  - {interpolate, from: [high, low], name: top}
  - {add, from: [top, lateral]}
""",
    "part of a map between a module and its merge": MAP
    + """
network:
  - {relu, name: a}
  - {conv2d: {out_channels: 2, kernel_size: 1}, from: image, name: b}
  - {narrow: {dim: 1, start: 0, length: 2}, from: a, name: c}
  - {add, from: [b, c]}
""",
    "parameter beside a module": MAP
    + """
network:
  - {parameter: {shape: [3, 1, 1]}, name: gamma}
  - {conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, from: image, name: conv}
  - {interpolate, from: [gamma, image], name: scale}
  - {multiply, from: [scale, conv]}
""",
    "value twice in an expression": MAP
    + """
network:
  - {add, from: [input, input], name: a}
  - {concat, from: [a, a], name: c}
  - {multiply, from: [a, a]}
  - {avg_pool2d: 1, name: m}
  - {interpolate, from: [m, c]}
""",
    "repeated expression": MAP
    + """
network:
  - {permute: {dims: [0, 1, 3, 2]}, repeat: 2}
  - {transpose: {dim0: 2, dim1: 3}, repeat: 3, name: turned}
  - {conv2d: {out_channels: 3, kernel_size: 1}, name: permute_0}
  - {add, from: [turned, permute_0]}
""",
    "shared expression": MAP
    + """
network:
  - {permute: {dims: [0, 1, 3, 2]}, name: f}
  - {permute: {dims: [0, 1, 3, 2]}, share: f}
  - {permute: {dims: [0, 1, 3, 2]}, share: f, repeat: 2, name: g}
  - {permute: {dims: [0, 1, 3, 2]}, share: g, repeat: 2}
  - {narrow: {dim: 1, start: 0, length: 2}, name: part}
  - {narrow: {dim: 1, start: 0, length: 2}, share: part}
""",
    "repeated expression in a block": MAP
    + """
blocks:
  turn:
    params: {n: int, flag: false}
    body:
      - {transpose: {dim0: 2, dim1: 3}, repeat: n, name: some, when: index > 0 or flag}
      - {conv2d: {out_channels: 3, kernel_size: 1}}
network: [{turn: 2}, {turn: {n: 3, flag: true}}, {turn: 2, repeat: 2, name: t}, {turn: 2, share: t, repeat: 2}]
""",
    "sizes that are kept": """
inputs: {image: [N, 3, H, 8]}
blocks:
  sized:
    params: {flag: bool}
    body:
      - {adaptive_avg_pool2d: {output_size: [null, 4]}, when: flag}
      - adaptive_avg_pool2d: {output_size: [null, null]}
      - {adaptive_max_pool2d: {output_size: [7, null]}, when: not flag}
network: [{sized: true}, {sized: false}, {adaptive_max_pool2d: {output_size: [null, null]}}]
""",
    "names of attributes": """
inputs: {size: [N, 3, 8, 8], shape: [N, 3, 8, 8]}
network:
  - {conv2d: {out_channels: 3, kernel_size: 3, padding: 1}, from: size, name: start}
  - {center_crop, from: [start, shape], name: math}
  - {add, from: [math, shape], name: out}
  - {add, from: [out, size], name: x}
outputs: {note: x, size: out}
""",
    "names of the loop and of the outputs": """
inputs: {layer: [N, 3, 8, 8], NetOutput: [N, 3, 8, 8]}
blocks:
  two:
    inputs: [a, b]
    outputs: {layer_2: r, b: t}
    body:
      - {tanh, from: a, name: t}
      - {conv2d: {out_channels: 3, kernel_size: 1}, from: b, name: r}
network:
  - {two, from: [layer, NetOutput], repeat: 3, name: k}
  - {add, from: [k.layer_2, k.b, layer, NetOutput], name: NetOutputs}
outputs: {first: NetOutputs, second: k.b}
""",
    "chunks as many as their channels": """
inputs: {image: [N, 4, 8]}
blocks:
  couple:
    params: {width: int}
    inputs: [a, b]
    outputs: {a: s, b: a}
    body:
      - {conv1d: {out_channels: width, kernel_size: 3, padding: 1}, from: a}
      - {conv1d: {out_channels: b.channels, kernel_size: 1}, name: f}
      - {add, from: [f, b], name: s}
network:
  - {chunk: 2, name: halves}
  - {couple: 6, name: flow, repeat: 3}
  - {concat, from: [flow.a, flow.b]}
""",
}

USES = {name: f"netspec: 1\nname: net\n{body.strip()}\n" for name, body in _BODIES.items()}
