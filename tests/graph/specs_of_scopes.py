"""Specs in which one name means different things at different places, each with other values of its parameters."""

HEAD = "netspec: 1\nname: scopes\n"

SPECS: dict[str, str] = {
    "argument and file": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
network:
  - b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
""",
    "steps in a repeat": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {inner, repeat: 2}
      - {conv2d: {out_channels: width, kernel_size: 1}}
network:
  - b: {width: width, inner: [{conv2d: {out_channels: other + index, kernel_size: 1}}]}
    repeat: other - 1
""",
    "steps with a repeat": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: 4, inner: body}
    body:
      - conv2d: {out_channels: width, kernel_size: 1}
      - inner
network:
  - b:
      width: other + index
      inner:
        - {conv2d: {out_channels: width + index, kernel_size: 1}, repeat: other - 1}
        - {conv2d: {out_channels: width * (index + 1), kernel_size: 1}}
    repeat: 2
""",
    "steps in steps": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
      - {conv2d: {out_channels: other, kernel_size: 1}}
network:
  - b:
      width: 2*other
      inner:
        - b: {width: other, inner: [{conv2d: {out_channels: width + other, kernel_size: 1}}]}
        - {conv2d: {out_channels: width, kernel_size: 1}}
""",
    "steps passed on": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
  c:
    params: {width: int, inner: body}
    body:
      - b: {width: 2*width, inner: [inner, {conv2d: {out_channels: width, kernel_size: 1}}]}
      - b: {width: other, inner: [inner]}
network:
  - c: {width: other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
""",
    "a default": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: 6, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
network:
  - b: {inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
  - b: {width: other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
  - b: {width: width, inner: [{conv2d: {out_channels: other, kernel_size: 1}}]}
""",
    "networks": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
networks:
  trunk:
    inputs: {image: [N, 3, 8, 8]}
    body:
      - b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
      - {conv2d: {out_channels: other, kernel_size: 1}}
network:
  - trunk
  - {conv2d: {out_channels: width, kernel_size: 1}}
""",
    "an embedded network": """
params: {width: 5, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
network:
  - network: {spec: embedded.yaml, params: {width: 2*other}}
  - b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
""",
    "conditions": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - {inner, when: width > 3}
      - {inner, when: width > 3, name: again}
network:
  - b:
      width: 2*other
      inner:
        - {conv2d: {out_channels: width, kernel_size: 1}, when: width > 4}
        - {relu, when: width != 3}
        - {conv2d: {out_channels: 3, kernel_size: 1}, repeat: width - 4}
  - b: {width: other + 1, inner: [{conv2d: {out_channels: width, kernel_size: 1}, when: width == 6}]}
""",
    "shadowed twice": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  a:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
  b:
    params: {width: int, inner: body}
    body:
      - a: {width: width + 1, inner: [{conv2d: {out_channels: width, kernel_size: 1}}, inner]}
network:
  - b:
      width: 2*other
      inner:
        - {conv2d: {out_channels: width, kernel_size: 1}}
        - {conv2d: {out_channels: input.channels + width, kernel_size: 1}}
""",
    "branches": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - concat:
          branches:
            left: [inner, {conv2d: {out_channels: width, kernel_size: 1}}]
            right: [{conv2d: {out_channels: width, kernel_size: 1}}, inner]
network:
  - b:
      width: other
      inner:
        - concat:
            branches:
              one: [{conv2d: {out_channels: width, kernel_size: 1}}]
              two:
                - {conv2d: {out_channels: other, kernel_size: 1}}
                - {conv2d: {out_channels: width + other, kernel_size: 3, padding: 1}}
""",
    "equal by chance": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {inner: body}
    body:
      - inner
      - {conv2d: {out_channels: 4, kernel_size: 1}}
network:
  - b: {inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
  - b: {inner: [{conv2d: {out_channels: 2*other, kernel_size: 1}}]}
""",
    "defaults": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
defaults: {conv2d: {out_channels: width}}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {kernel_size: 1}}
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
network:
  - b: {width: 2*other, inner: [{conv2d: {kernel_size: 1}}, {conv2d: {out_channels: other, kernel_size: 1}}]}
""",
    "shared weights": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - {conv2d: {out_channels: 3, kernel_size: 1}}
      - {inner, name: i}
      - {conv2d: {out_channels: 3, kernel_size: 1}}
      - {inner, share: i}
      - {conv2d: {out_channels: 3, kernel_size: 1}}
network:
  - {b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}, name: q}
  - {b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}, share: q}
""",
    "kinds of parameters": """
params: {width: 6, other: 3, widths: [4, 5, 6], mode: 'reflect', rate: 0.5, wide: true}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {widths: [1, 2], mode: 'zeros', rate: 0.1, wide: false, inner: body}
    body:
      - {conv2d: {out_channels: 'widths[0]', kernel_size: 3, padding: 1, padding_mode: $mode, bias: wide}}
      - dropout: rate
      - inner
network:
  - b:
      rate: rate/2
      inner:
        - {conv2d: {out_channels: 'widths[index]', kernel_size: 3, padding: 1, padding_mode: $mode, bias: wide}}
        - dropout: rate
    repeat: len(widths)
  - {conv2d: {out_channels: width + other, kernel_size: 1}}
""",
    "sizes of steps": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int}
    body:
      - {conv2d: {out_channels: 2*width, kernel_size: 1}, name: wide}
      - {conv2d: {out_channels: wide.channels + input.channels, kernel_size: 1}, name: more}
      - multiply:
          branches:
            gate:
              - adaptive_avg_pool2d: 1
              - {conv2d: {out_channels: more.channels // 2, kernel_size: 1}, name: less}
              - {conv2d: {out_channels: less.channels + other, kernel_size: 1}, name: wide}
              - {conv2d: {out_channels: more.channels, kernel_size: 1}, when: wide.channels > 1}
            map: []
      - {conv2d: {out_channels: wide.channels, kernel_size: 1}}
network:
  - {conv2d: {out_channels: width, kernel_size: 1}, name: start}
  - {b: start.channels, name: first}
  - {b: {width: other}, name: wide, repeat: start.channels // 3}
  - {conv2d: {out_channels: start.channels + index, kernel_size: 1}, name: last, repeat: 2}
  - {conv2d: {out_channels: last.channels + wide.channels + start.height, kernel_size: 1}, name: end}
  - {conv2d: {out_channels: 2, kernel_size: 1}, when: end.channels == 2}
""",
    "sizes of steps in an argument": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    inputs: [left, right]
    outputs: {sum: sum, kept: right}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}, from: left, name: wide}
      - {inner, name: inner}
      - {conv2d: {out_channels: inner.channels + wide.channels + right.channels, kernel_size: 1}}
      - {conv2d: {out_channels: right.channels, kernel_size: 1}, name: back}
      - {add, from: [back, right], name: sum}
network:
  - {conv2d: {out_channels: other, kernel_size: 1}, name: wide}
  - b:
      width: wide.channels + width
      inner:
        - {conv2d: {out_channels: width, kernel_size: 1}, name: wide}
        - {conv2d: {out_channels: 2 * wide.channels, kernel_size: 1}}
    from: [image, wide]
    name: two
  - {conv2d: {out_channels: two.kept.channels + two.channels + two.sum.channels, kernel_size: 1}}
""",
    "two uses": """
params: {width: 6, other: 3}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {width: int, inner: body}
    body:
      - {conv2d: {out_channels: width, kernel_size: 1}}
      - inner
  w:
    params: {width: int}
    body:
      - b: {width: 2*width, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
      - b: {width: 4, inner: [{conv2d: {out_channels: 3, kernel_size: 1}}]}
network:
  - w: 2*other
  - w: width
  - b: {width: 2*other, inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
""",
}

EMBEDDED = """netspec: 1
name: embedded
params: {width: 4, other: 2}
inputs: {image: [N, 3, 8, 8]}
blocks:
  b:
    params: {inner: body}
    body:
      - {conv2d: {out_channels: width + 1, kernel_size: 1}}
      - inner
  c:
    params: {width: int}
    body:
      - b: {inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
network:
  - b: {inner: [{conv2d: {out_channels: width, kernel_size: 1}}]}
  - c: {width: width + other}
  - {conv2d: {out_channels: 3, kernel_size: 1}}
"""

EXTENDED = """netspec: 1
extends: scopes.yaml
name: extended
params: {width: 7}
"""

SETTINGS = ({"other": 5}, {"width": 9}, {"width": 7, "other": 4})
