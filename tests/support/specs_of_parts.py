# ruff: noqa: E501
"""Small specs whose parts have several values, share weights, take steps, or are networks; `PARTS` by their names."""

from __future__ import annotations

MAP = "inputs: {image: [N, 4, 12, 12]}\n"

STREAMS = """
blocks:
  streams:
    params: {width: int}
    inputs: [r, t]
    outputs: {r: sum, t: transient}
    body:
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}, from: r, name: residual}
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}, from: t, name: transient}
      - {add, from: [residual, transient], name: both}
      - {conv2d: {out_channels: width, kernel_size: 1}, from: r, name: project, when: r.channels != width}
      - {add, from: [both, project], name: sum}
"""

CONV = """
blocks:
  conv:
    params: {width: int, kernel: 3}
    body:
      - conv2d: {out_channels: width, kernel_size: kernel, padding: kernel // 2, bias: false}
      - batch_norm
      - relu
"""

TWICE = """
blocks:
  twice:
    params: {inner: body, width: 6}
    body:
      - {inner, name: first}
      - {conv2d: {out_channels: width, kernel_size: 1}, name: between}
      - {inner, name: second}
"""

_BODIES = {
    # Several values
    "block with two inputs and outputs": MAP
    + STREAMS
    + "network: [{relu, name: a}, {streams: 6, from: [image, a], name: s}, {add, from: [s.r, s.t]}]",
    "second output first": MAP
    + STREAMS
    + "network: [{relu, name: a}, {streams: 6, from: [a, image], name: s}, {concat, from: [s.t, s, image, s.r]}]",
    "an output that nothing uses": MAP
    + STREAMS
    + "network: [{relu, name: a}, {streams: 4, from: [a, image], repeat: 2, name: s}, tanh]",
    "two values through a repeat": MAP
    + STREAMS
    + "network: [{relu, name: a}, {streams: 6, from: [image, a], repeat: 3, name: s}, {streams: 8}, {concat, from: [s.r, s.t]}]\n",
    "one value entering twice": MAP
    + STREAMS
    + "network: [{streams: 6, from: [image, image]}, {streams: 6, name: s}, {add, from: [s.r, s.t]}]",
    "what enters leaves too": MAP
    + """
blocks:
  keep:
    inputs: [a, b]
    outputs: {a: c, b: b}
    body: [{conv2d: {out_channels: 4, kernel_size: 1}, from: a}, {add, from: [a, b]}, {tanh, name: c}]
network: [{relu, name: x}, {keep, from: [image, x], repeat: 3, name: k}, {concat, from: [k.a, k.b]}]
""",
    "values left out": MAP
    + STREAMS
    + "network: [{relu, name: a}, {streams: 4, from: [image, a], when: 1 > 2, name: s}, {multiply, from: [s.r, s.t]}]",
    "streams in a branch": MAP
    + STREAMS
    + "network: [{relu, name: a}, {add: {branches: {x: [{streams: 4, from: [input, a]}], y: []}}}, {streams: 5, from: [a, image]}]",
    "parts of the network in its outputs": MAP
    + STREAMS
    + "network: [{tanh, name: a}, {streams: 6, from: [image, a], name: s}]\noutputs: {one: s.t, two: s.r, three: a}",
    "last step's outputs": MAP + STREAMS + "network: [{tanh, name: a}, {streams: 6, from: [image, a]}]",
    "a named input": MAP
    + """
blocks:
  gate:
    inputs: [x]
    body: [{sigmoid, name: g}, {multiply, from: [x, g, input]}, {conv2d: {out_channels: x.channels, kernel_size: 1}}]
network: [gate, {conv2d: {out_channels: 6, kernel_size: 1}}, gate]
""",
    # Shared weights
    "shared op": MAP
    + "network: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: a}, relu, {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, share: a}]",
    "shared block": MAP
    + CONV
    + "network: [{conv: 4, name: a}, {conv: 4, share: a, name: b}, {conv: {width: 4, kernel: 1}}, {conv: 4, share: b}, {add, from: [a, b]}]",
    "one shared by all copies": MAP
    + CONV
    + "network: [{conv: 4, name: a}, {conv: 4, repeat: 3, share: a, name: more}, {conv2d: {out_channels: 4, kernel_size: 1}, name: c}, {conv2d: {out_channels: 4, kernel_size: 1}, share: c, repeat: 2}]",
    "copies shared one by one": MAP
    + CONV
    + "network: [{conv: 4, repeat: 2, name: stage}, tanh, {conv: 4, repeat: 2, share: stage}, {max_pool2d: 2}]",
    "shared in a block used often": MAP
    + """
blocks:
  tied:
    params: {width: int}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}, name: up}
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}, name: a, init: {weight: {normal: {std: 0.1}}, bias: 0}}
      - relu
      - {conv2d: {out_channels: width, kernel_size: 3, padding: 1}, share: a, name: b}
      - {add, from: [up, b]}
network: [{tied: 6, name: first}, {tied: 8, repeat: 2, name: rest}, {tied: 8, name: last}, {tied: 8, share: last}]
""",
    "shared on two inputs": """
inputs: {left: [N, 3, 10, 10], right: [N, 3, 10, 10]}
blocks:
  tower:
    body: [{conv2d: {out_channels: 5, kernel_size: 3}}, batch_norm, relu, {adaptive_avg_pool2d: 1}, flatten]
network: [{tower, from: left, name: tower}, {tower, from: right, share: tower, name: other}, {multiply, from: [tower, other]}, {linear: 2}]
""",
    "streams shared": MAP
    + STREAMS
    + "network: [{tanh, name: a}, {streams: 4, from: [image, a], name: s}, {streams: 4, share: s, repeat: 2, name: t}, {add, from: [t.r, t.t]}]",
    # Steps as arguments
    "steps as an argument": MAP
    + TWICE
    + "network: [{twice: {inner: [relu, {conv2d: {out_channels: 4, kernel_size: 1}}]}}, {max_pool2d: 2}]",
    "steps that differ by use": MAP
    + TWICE
    + "params: {w: 5}\nnetwork: [{twice: {inner: [relu]}}, {twice: {inner: [{conv2d: {out_channels: w, kernel_size: 1}}, tanh], width: 7}}, {twice: {inner: []}}]",
    "steps that see where they stand": MAP
    + """
params: {w: 5}
blocks:
  around:
    params: {inner: body, width: int}
    body: [{conv2d: {out_channels: width, kernel_size: 1}}, {add: {branches: {a: [inner], b: [{conv2d: {out_channels: 8, kernel_size: 1}}]}}}]
  outer:
    params: {width: int}
    body: [{around: {inner: [{conv2d: {out_channels: width, kernel_size: 1}}, {conv2d: {out_channels: "input.channels + width - width", kernel_size: 1}}], width: w}, when: width == 8}, {tanh, name: end}]
network: [{outer: 8}, {outer: 8, repeat: 2}]
""".replace("input.channels + width - width", "width"),
    "steps handed on": MAP
    + """
blocks:
  inside:
    params: {steps: body}
    body: [relu, {steps, name: a}, {steps, name: b, share: a}]
  outside:
    params: {steps: body}
    body: [inside: {steps: [steps, tanh]}]
network: [{outside: {steps: [{conv2d: {out_channels: input.channels, kernel_size: 1}}]}, repeat: 2}]
""",
    # Networks
    "networks of one file": """
inputs: {noise: [N, 10], image: [N, 20]}
params: {width: 16}
networks:
  generator:
    inputs: {z: [N, 10]}
    body: [{linear: width}, relu, {linear: 20}, sigmoid]
  discriminator:
    inputs: {x: [N, 20]}
    outputs: {score: score, features: hidden}
    body: [{linear: width, name: hidden}, {leaky_relu: 0.2}, {linear: 1, name: score}]
network:
  - {generator, from: noise, name: fake}
  - {discriminator, name: d}
  - {discriminator, from: image, share: d, name: real}
outputs: {fake: d.score, real: real.score, features: real.features}
""",
    "a network in a network in a block": MAP
    + """
networks:
  inner: {inputs: {x: [N, 4, H, W]}, body: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}, relu]}
  outer: {inputs: {y: [N, 4, H, W]}, body: [inner, {inner, name: again}, {tanh, name: t}]}
blocks: {both: {body: [outer, {batch_norm, name: norm}]}}
network: [both, {both, repeat: 2}, {inner, name: last}]
""",
    "another spec as a step": """
inputs: {image: [N, 3, H, W]}
params: {classes: 7, depth: 1}
network:
  - {network: {spec: resnet20_cifar, params: {n: depth}, outputs: [layer3, layer1]}, name: backbone}
  - {adaptive_avg_pool2d: 1, from: backbone.layer3}
  - flatten
  - {linear: classes, name: fc}
  - {conv2d: {out_channels: classes, kernel_size: 1}, from: backbone.layer1, name: map}
outputs: {logits: fc, map: map}
""",
    "another spec twice": """
inputs: {left: [N, 3, 32, 32], right: [N, 3, 32, 32]}
network:
  - {network: {spec: resnet20_cifar, params: {n: 1, classes: 5}}, from: left, name: a}
  - {network: {spec: resnet20_cifar, params: {n: 2, classes: 5}}, from: right, name: b}
  - {add, from: [a.logits, b]}
""",
    # What the fuzzer of parts found, each as small as it gets
    "a block in itself, as steps": MAP
    + """
blocks:
  around: {params: {inner: body}, body: [inner, {conv2d: {out_channels: 4, kernel_size: 1}}]}
  other: {params: {inner: body}, body: [{around: {inner: [inner]}}, tanh]}
network: [around: {inner: [around: {inner: [other: {inner: [around: {inner: [relu]}]}]}]}, other: {inner: [other: {inner: []}]}]
""",
    "streams shared on one value": MAP
    + STREAMS
    + "network: [{streams: 4, from: [image, image], name: s}, {streams: 4, share: s, repeat: 2, name: t}, {add, from: [t.r, t.t]}]",
    "shared by one that shares": MAP
    + CONV
    + "network: [{conv: 4, name: a}, {conv: 4, repeat: 2, share: a, name: b}, {conv: 4, repeat: 2, share: b}, {conv2d: {out_channels: 4, kernel_size: 1}, name: c}, {conv2d: {out_channels: 4, kernel_size: 1}, share: c, name: d}, {conv2d: {out_channels: 4, kernel_size: 1}, share: d, repeat: 2}]",
    "streams copied and shared": MAP
    + STREAMS
    + "network: [{tanh, name: a}, {streams: 4, from: [image, a], repeat: 2, name: s}, {streams: 4, from: [a, s.t], share: s, repeat: 2, name: t}, {add, from: [t.r, t.t]}]",
    "steps shared that are a class": MAP
    + """
blocks: {both: {params: {inner: body}, body: [{inner, name: a}, {inner, share: a, repeat: 2}]}}
network: [both: {inner: [{conv2d: {out_channels: 4, kernel_size: 1}}, {add, from: [conv2d_, input]}]}]
""".replace("1}}, {add", "1}, name: conv2d_}, {add"),
    "streams that change sides": MAP
    + """
blocks:
  swap: {inputs: [a, b], outputs: {l: b, r: s}, body: [{conv2d: {out_channels: 4, kernel_size: 1}, from: a}, {add, from: [conv2d_1, b], name: s}]}
  turn: {inputs: [a, b], outputs: {l: b, r: a}, body: [{relu, from: a}]}
network: [{tanh, name: x}, {swap, from: [image, x], repeat: 4, name: s}, {turn, from: [s.l, s.r], repeat: 3, name: t}, {concat, from: [t.l, t.r, s.r]}]
""".replace("from: a}, {add", "from: a, name: conv2d_1}, {add"),
    "the last copy gives what nothing uses": MAP
    + """
blocks: {turn: {inputs: [a, b], outputs: {l: b, r: s}, body: [{relu, from: a, name: s}]}}
network: [{tanh, name: x}, {turn, from: [image, x], repeat: 3, name: t}, {conv2d: 4, from: t.l}]
""".replace("conv2d: 4", "conv2d: {out_channels: 4, kernel_size: 1}"),
    "copies that read what stands around, in a branch": MAP
    + """
network:
  - {relu, name: r}
  - add:
      branches:
        skip: []
        main:
          - {add: {branches: {a: [{leaky_relu: 0.2, from: r}, {conv2d: {out_channels: 2, kernel_size: 1}}], b: [{conv2d: {out_channels: 2, kernel_size: 1}}]}}, repeat: 2}
          - conv2d: {out_channels: 4, kernel_size: 1}
""",
    "a width from a list, by the number of the copy": MAP
    + "params: {widths: [2, 5, 3]}\nnetwork: [{concat: {branches: {a: [], b: [{conv2d: {out_channels: 'widths[index % 3]', kernel_size: 1}}]}}, repeat: 3}]",
    "a width that enters a network": MAP
    + """
params: {wide: 6}
networks:
  head: {inputs: {x: [N, 4, H, W]}, body: [{add: {branches: {a: [{conv2d: {out_channels: 2, kernel_size: 1}}], b: [{conv2d: {out_channels: 2, kernel_size: 1}}]}}}]}
network: [{conv2d: {out_channels: wide, kernel_size: 1}}, head]
""",
    "a width read from what does not enter": MAP
    + """
params: {wide: 6}
network:
  - {conv2d: {out_channels: wide, kernel_size: 1}, name: c}
  - concat:
      branches:
        a: [{conv2d: {out_channels: 1, kernel_size: 1}}]
        b: [{dropout: 0.5, from: image}, {relu, name: r}, {add, from: [r, image]}, {conv2d: {out_channels: input.channels, kernel_size: 1}}]
    repeat: 3
""",
    "one initialiser for layers with long names": MAP
    + """
blocks:
  some: {body: [{conv2d: {out_channels: 4, kernel_size: 1}, name: convolution, init: {weight: xavier_uniform}}, {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}]}
network: [{some, repeat: 3, name: stage}, {conv2d: {out_channels: 4, kernel_size: 1}}, some]
""",
    "one initialiser of a bias that some layers have": MAP
    + "network: [{conv2d: {out_channels: 4, kernel_size: 1}, init: {bias: 0.5}}, {conv2d: {out_channels: 4, kernel_size: 1, bias: false}}]",
}

PARTS = {name: f"netspec: 1\nname: net\n{body}" for name, body in _BODIES.items()}
