"""The limits of the language: a spec is untrusted input, and a small file must not take all memory or time."""

from __future__ import annotations

# Files and texts.

MAX_FILE_BYTES = 4 * 1024 * 1024
"""The bytes of a spec's file: no more is read, whatever the file is."""
MAX_TEXT_CHARACTERS = 4 * 1024 * 1024
"""The characters of a spec's text, also where it comes from no file."""
MAX_PATH_LENGTH = 4096
"""The characters of a spec's path: to resolve a long one takes quadratic time."""
MAX_EXPORTED_BYTES = 4 * 1024 * 1024
"""The bytes of one piece of metadata in an ONNX model: the largest may be a spec."""
MAX_EXPORTED_FIELDS = 100_000
"""The fields of an ONNX model's file that are looked at for its metadata."""

# Data.

MAX_DATA_DEPTH = 64
"""How deep lists and mappings nest: readers of data are recursive."""
MAX_INTEGER_DIGITS = 19
"""The digits of an integer, enough for 64 bits: to read more takes quadratic time."""

# What is read.

MAX_EXTENDS = 8
"""The files that extend each other in one chain."""
MAX_USED_FILES = 64
"""The files whose blocks one spec uses, those that they use included."""
MAX_EMBEDDED_SPECS = 64
"""The specs that one spec embeds, those that they embed included."""
MAX_INPUT_AXES = 8
"""The axes of an input, more than any op has a use for."""
MAX_LIST_ITEMS = 256
"""The values of a list, those of the lists in it included: expressions may read them at every step."""
MAX_PARAMETER_TEXT = 1_000
"""The characters of a parameter that is text: expressions may compare it at every step."""
MAX_IMAGE_SIDE = 8_192
"""The height or width that an image is resized to: a spec from elsewhere must not fill the memory."""
MAX_PIXEL_STATISTIC = 1e6
"""The most that `mean` and `std` in `preprocess` are: pixels stay numbers that float32 holds."""
MIN_PIXEL_STD = 1e-6
"""The least `std` in `preprocess`, which pixels are divided by, for the same reason."""

# What is elaborated.

MAX_BODY_DEPTH = 64
"""How deep blocks and branches nest: elaboration is recursive."""
MAX_REPEAT = 100_000
"""The copies of one `repeat`."""
MAX_NODES = 250_000
"""The nodes of a network: blocks that use blocks twice double them at every level."""
MAX_STEPS = 500_000
"""The steps elaborated, those that make no node included: empty blocks multiply too."""
MAX_PATH_CHARACTERS = 32 * 1024 * 1024
"""The characters of the paths of all nodes and scopes: names repeat in the paths of all that is below."""
MAX_ITEMS_READ = 4_000_000
"""The items of lists that the expressions of a network read: every copy may go through a long one."""
