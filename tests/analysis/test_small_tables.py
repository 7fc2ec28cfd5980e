"""The tables of all reports on two small networks, whose figures are few enough to be reckoned by hand."""
# ruff: noqa: E501 - tables are as wide as they are

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import netspec
from netspec.analysis.compare import compare
from netspec.analysis.memory import memory
from netspec.analysis.parameters import parameters
from netspec.analysis.receptive_fields import receptive_fields
from tests.support.lazy import lazy_imports

with lazy_imports():
    from netspec.backends.pytorch.runtime.prove import prove_module

SMALL = """
netspec: 1
name: small
title: A small network
inputs: {image: [N, 2, 9, 12]}
blocks:
  unit:
    params: {width: int}
    body:
      - conv2d: {out_channels: width, kernel_size: [3, 2], stride: [2, 1], padding: [1, 0]}
      - batch_norm
      - relu
network:
  - {unit: 4, name: stem}
  - {max_pool2d: {kernel_size: [1, 2]}, name: pool}
  - {unit: 6, name: body}
  - {adaptive_avg_pool2d: 1, name: mean}
  - flatten
  - {linear: 5, name: fc}
"""

PAIR = """
netspec: 1
name: pair
inputs: {left: [N, 2, 8, 8], right: [N, 2, 8, 8]}
network:
  - {max_pool2d: 2, from: left, name: a}
  - {avg_pool2d: {kernel_size: 3, stride: 2, padding: 1}, from: right, name: b}
  - {add, from: [a, b], name: both}
  - {flatten, name: flat}
outputs: {both: both, flat: flat}
"""

SPECS = {
    "small": SMALL,
    "pair": PAIR,
    "open": SMALL.replace("[N, 2, 9, 12]", "[N, 2, H, 12]").replace("title: A small network", "source: A paper"),
}


def net(name: str) -> netspec.Network:
    return netspec.loads(SPECS[name])


# `stem.conv2d`: 2 x 3 x 2 x 4 weights and 4 biases, 48 products for each of 5 x 11 units; `body.conv2d`: 4 x 3 x 2 x 6
# and 6, 24 x 6 for each of 3 x 4; `fc`: 6 x 5 and 5. A unit of `body` sees 3 + 2 * 2 = 7 rows and 2 + 1 + 2 = 5
# columns. Of 10,000 images: 8.64 MB; a map of `stem` 8.8 MB, three of them; of `pool` 4.0 MB, and 8.0 MB of indices; of
# `body` 2.88 MB. Held while `pool` runs: 8.64 + 8.8 + 4.0 + 8.0 = 29.44 MB. In training, while `body.relu` goes back:
# images 8.64; kept 8.8 + 8.8 + 8.0 + 4.0 + 2.88 + 2.88; two gradients of 2.88; the output, 0.2: 49.96 MB.
TABLES: dict[str, tuple[Callable[[], Any], str]] = {
    "comparison": (
        lambda: compare([net("small").graph, net("pair").graph, net("open").graph]),
        """
network  input                 output         depth  ops  parameters   MACs  sees
-------------------------------------------------------------------------------------
small    2 x 9 x 12            5                  3   10         257  4,398  7x5 /4x2
pair     2 x 8 x 8, 2 x 8 x 8  2 x 4 x 4, 32      0    4           0      0  -
small    2 x H x 12            5                  3   10         257      -  7x5 /4x2
""",
    ),
    "fields": (
        lambda: receptive_fields(net("small").graph),
        """
A small network: receptive fields in image 2 x 9 x 12

layer        kind                 map     size    stride  start   share
-----------------------------------------------------------------------------
stem.conv2d  3x2 conv, 4, /2x1    5 x 11  3 x 2   2 x 1   -1 x 0  33 % x 17 %
pool         1x2 max pool, /1x2   5 x 5   3       2       -1 x 0  33 % x 25 %
body.conv2d  3x2 conv, 6, /2x1    3 x 4   7 x 5   4 x 2   -3 x 0  78 % x 42 %
mean         global average pool  1 x 1   9 x 12  0       0       100 %
""",
    ),
    "fields of each input": (
        lambda: receptive_fields(net("pair").graph, every=True),
        """
pair: receptive fields in left 2 x 8 x 8, right 2 x 8 x 8

layer  kind                  of     map    size  stride  start  share
---------------------------------------------------------------------
a      2x2 max pool, /2      left   4 x 4  2     2       0      25 %
b      3x3 average pool, /2  right  4 x 4  3     2       -1     38 %
both   add                   left   4 x 4  2     2       0      25 %
both   add                   right  4 x 4  3     2       -1     38 %
flat   flatten               left          2     -       -      25 %
flat   flatten               right         3     -       -      38 %
""",
    ),
    "fields without a map": (
        lambda: receptive_fields(netspec.load("lstm_classifier").graph),
        """
LSTM classifier of texts: no receptive fields, since no input has positions on a map
""",
    ),
    "fields in an open size": (
        lambda: receptive_fields(net("open").graph),
        """
small: receptive fields in image 2 x H x 12

layer        kind                 map              size    stride  start   share
------------------------------------------------------------------------------------
stem.conv2d  3x2 conv, 4, /2x1    (H + 1)//2 x 11  3 x 2   2 x 1   -1 x 0  - x 17 %
pool         1x2 max pool, /1x2   (H + 1)//2 x 5   3       2       -1 x 0  - x 25 %
body.conv2d  3x2 conv, 6, /2x1    (H + 3)//4 x 4   7 x 5   4 x 2   -3 x 0  - x 42 %
mean         global average pool  1 x 1            H x 12  0       0       - x 100 %
""",
    ),
    "parameters": (
        lambda: parameters(net("small").graph),
        """
A small network: parameters by layer

layer            kind               parameters  share
---------------------------------------------------------------------------------------
stem.conv2d      3x2 conv, 4, /2x1          52   20.2 %  ##########
stem.batch_norm  batch norm                  8    3.1 %  ##
body.conv2d      3x2 conv, 6, /2x1         150   58.4 %  ##############################
body.batch_norm  batch norm                 12    4.7 %  ##
fc               linear, 5                  35   13.6 %  #######
---------------------------------------------------------------------------------------
total                                      257
""",
    ),
    "parameters by op": (
        lambda: parameters(net("small").graph, "op"),
        """
A small network: parameters by op

op          kind           layers  parameters  share
--------------------------------------------------------------------------------------
conv2d      convolution         2         202   78.6 %  ##############################
linear      linear              1          35   13.6 %  #####
batch_norm  normalization       2          20    7.8 %  ###
--------------------------------------------------------------------------------------
total                           5         257
""",
    ),
    "parameters by block": (
        lambda: parameters(net("small").graph, "block"),
        """
A small network: parameters by block

block  kind     layers  parameters  share
---------------------------------------------------------------------------
unit   block         4         222   86.4 %  ##############################
small  network       1          35   13.6 %  #####
---------------------------------------------------------------------------
total                5         257
""",
    ),
    "memory": (
        lambda: memory(net("small").graph, batch=10000),
        """
A small network: memory of inference, batch 10000, float32

layer    kind                    output      new MB  live MB
--------------------------------------------------------------------------------------------
stem     unit 4                  4 x 5 x 11    26.4     26.2  #########################
pool     1x2 max pool, /1x2      4 x 5 x 5      4.0     29.4  ##############################
body     unit 6                  6 x 3 x 4      8.6     15.5  ##########
mean     global average pool     6 x 1 x 1      0.2     11.8  ####
flatten  flatten                 6              0.0      8.9
fc       linear, 5               5              0.2      9.1  #
--------------------------------------------------------------------------------------------
weights  parameters and buffers                          0.0
inputs                                                   8.6
peak                                                    29.4

Most is held in pool.
""",
    ),
    "memory of training": (
        lambda: memory(net("small").graph, "train", batch=10000, optimizer="adam"),
        """
A small network: memory of training, Adam, batch 10000, float32

layer      kind                    output      new MB  kept MB  live MB
-------------------------------------------------------------------------------------------------------
stem       unit 4                  4 x 5 x 11    26.4     17.6     35.0  #####################
pool       1x2 max pool, /1x2      4 x 5 x 5      4.0      8.0     38.2  #######################
body       unit 6                  6 x 3 x 4      8.6      9.8     46.9  ##############################
mean       global average pool     6 x 1 x 1      0.2      0.0     44.2  ############################
flatten    flatten                 6              0.0      0.0     44.2  ############################
fc         linear, 5               5              0.2      0.2     44.4  ############################
-------------------------------------------------------------------------------------------------------
weights    parameters and buffers                                   0.0
gradients  of the parameters                                        0.0
optimizer  adam                                                     0.0
inputs                                                              8.6
kept       for the backward pass                                   35.6
peak                                                               50.0

Most is held in body.relu (backward).
""",
    ),
    "summary": (
        lambda: net("small").summary(),
        """
A small network

layer    kind                 output      parameters   MACs  sees
---------------------------------------------------------------------
image    input                2 x 9 x 12           -      -
stem     unit 4               4 x 5 x 11          60  2,640  3x2 /2x1
pool     1x2 max pool, /1x2   4 x 5 x 5            0      0  3 /2
body     unit 6               6 x 3 x 4          162  1,728  7x5 /4x2
mean     global average pool  6 x 1 x 1            0      0  all
flatten  flatten              6                    0      0  all
fc       linear, 5            5                   35     30  all
---------------------------------------------------------------------
total                                            257  4,398

257 parameters (1.0 KB as float32), 22 values in buffers; 4.40 K MACs at N = 1.
""",
    ),
    "summary of each input": (
        lambda: net("pair").summary(),
        """
pair

layer  kind                  output     parameters  MACs  sees
-------------------------------------------------------------------------------
left   input                 2 x 8 x 8           -     -
right  input                 2 x 8 x 8           -     -
a      2x2 max pool, /2      2 x 4 x 4           0     0  left 2 /2
b      3x3 average pool, /2  2 x 4 x 4           0     0  right 3 /2
both   add                   2 x 4 x 4           0     0  left 2 /2; right 3 /2
flat   flatten               32                  0     0  left 2; right 3
-------------------------------------------------------------------------------
total                                            0     0

0 parameters (0.0 KB as float32); 0 MACs at N = 1.
""",
    ),
    "summary in an open size": (
        lambda: net("open").summary(),
        """
small
A paper

layer    kind                 output                 parameters  MACs  sees
-------------------------------------------------------------------------------
image    input                2 x H x 12                      -     -
stem     unit 4               4 x ((H + 1)//2) x 11          60     -  3x2 /2x1
pool     1x2 max pool, /1x2   4 x ((H + 1)//2) x 5            0     0  3 /2
body     unit 6               6 x ((H + 3)//4) x 4          162     -  7x5 /4x2
mean     global average pool  6 x 1 x 1                       0     0  all
flatten  flatten              6                               0     0  all
fc       linear, 5            5                              35    30  all
-------------------------------------------------------------------------------
total                                                       257     -

257 parameters (1.0 KB as float32), 22 values in buffers; MACs are unknown while sizes are open: fix them with `--input`.
""",
    ),
}


NOTES = {
    "fields without a map": 0,
    "comparison": 2,
    "fields": 3,
    "parameters": 0,
    "memory": 5,
    "memory of training": 4,
    "summary": 2,
}
"""How many lines of notes stand below a table."""


@pytest.mark.parametrize("name", TABLES)
def test_the_table(name: str) -> None:
    report, expected = TABLES[name]
    lines = [line.rstrip() for line in str(report()).splitlines()]
    wanted = expected.strip("\n").splitlines()
    assert lines[: len(wanted)] == wanted
    notes = [line for line in lines[len(wanted) :] if line]
    assert len(notes) == NOTES.get(name, NOTES[name.partition(" ")[0]])


def test_what_the_comparison_says_beside_its_table() -> None:
    data = compare([net("small").graph, net("pair").graph], "train")
    first, second = data["networks"]
    assert data["mode"] == "train"
    assert (first["title"], first["at"], first["complete"]) == ("A small network", {"N": 1}, True)
    assert (first["parameters"], first["parameters_training"]) == (257, 257)
    assert first["receptive_field"] == {"size": [7, 5], "stride": [4, 2], "start": [-3, 0]}
    assert second["receptive_field"] is None


DEAD = """\
netspec: 1
name: p
inputs: {x: [N, 3, 4, 4]}
network:
  - {conv2d: {out_channels: 8, kernel_size: 1}, name: unused}
  - {relu, from: x, name: last}
  - {conv2d: {out_channels: 2, kernel_size: 1}, name: auxiliary}
outputs: {y: last}
"""


def test_steps_that_no_output_needs() -> None:
    """They are in no total but that of the module; every table and the line of `compile` say how many there are."""
    network = netspec.loads(DEAD)
    module = network.compile()
    totals = network.summary()["totals"]
    assert sum(p.numel() for p in module.parameters()) == totals["parameters_training"] == 32 + 8
    assert (totals["parameters"], totals["macs"]) == (0, 0)
    assert "\n0 parameters (0.0 KB as float32), 40 more in steps that no output needs; 0 MACs" in network.summary().to(
        "table"
    )
    assert "A module holds 40 more in steps that no output needs." in parameters(network.graph).to("table")
    assert "A module holds 40 more parameters in steps that no output needs." in network.memory().to("table")
    assert "40 parameters (40 of them in steps that no output needs)" in prove_module(
        network.graph, network.to_source()
    )
    for said in (network.summary(mode="train")["totals"], parameters(network.graph)):
        assert said.get("parameters", said.get("total")) == 0


def test_what_is_built_in_training_is_told_from_what_nothing_needs() -> None:
    text = DEAD.replace("{y: last}", "{y: last, aux: {from: auxiliary, mode: train}}")
    network = netspec.loads(text)
    assert (
        "0 parameters (0.0 KB as float32), 8 in training, 32 more in steps that no output needs;"
        in network.summary().to("table")
    )
    assert network.summary()["totals"]["parameters_training"] == 40
    both = netspec.loads(text.replace("  - {conv2d: {out_channels: 8, kernel_size: 1}, name: unused}\n", ""))
    assert ", 8 in training; " in both.summary().to("table")
    assert "no output needs" not in "".join(
        report.to("table") for report in (both.summary(), parameters(both.graph), both.memory())
    )
