"""The limits of the language: a spec is untrusted input, and a small file must not take all memory or time."""

from __future__ import annotations

# Files and texts.

MAX_FILE_BYTES = 4 * 1024 * 1024
"""The bytes of a spec's file; a longer one is refused, and the rest of it is not read."""
MAX_TEXT_CHARACTERS = 4 * 1024 * 1024
"""The characters of a spec's text, from a file or not."""
MAX_PATH_LENGTH = 4096
"""The characters of a spec's path: resolving a long one takes quadratic time."""
MAX_EXPORTED_BYTES = 4 * 1024 * 1024
"""The bytes of one piece of metadata in an ONNX model: the largest may be a spec."""
MAX_EXPORTED_FIELDS = 100_000
"""The fields of an ONNX file that are read in search of its metadata."""

# Data.

MAX_DATA_DEPTH = 64
"""The depth of nested lists and mappings: readers of data are recursive."""
MAX_INTEGER_DIGITS = 19
"""The digits of an integer, enough for 64 bits: reading more takes quadratic time."""

# What is read.

MAX_EXTENDS = 8
"""The files of one chain of `extends`."""
MAX_USED_FILES = 64
"""The files whose blocks one spec uses, directly or through others."""
MAX_EMBEDDED_SPECS = 64
"""The specs that one spec embeds, directly or through others."""
MAX_INPUT_AXES = 8
"""The axes of an input, more than any op needs."""
MAX_LIST_ITEMS = 256
"""The values of a list, nested ones included: expressions may read them at every step."""
MAX_PARAMETER_TEXT = 1_000
"""The characters of a parameter that is text: expressions may compare it at every step."""
MAX_IMAGE_SIDE = 8_192
"""The height or width that an image is resized to: a spec from elsewhere must not fill the memory."""
MAX_PIXEL_STATISTIC = 1e6
"""The largest `mean` and `std` in `preprocess`, so that pixels stay within float32."""
MIN_PIXEL_STD = 1e-6
"""The smallest `std` in `preprocess`, which pixels are divided by, for the same reason."""

# What is elaborated.

MAX_BODY_DEPTH = 64
"""The depth of nested blocks and branches: elaboration is recursive."""
MAX_REPEAT = 100_000
"""The copies of one `repeat`."""
MAX_NODES = 250_000
"""The nodes of a network: a block that uses another twice doubles them, at every level."""
MAX_STEPS = 500_000
"""The steps that are elaborated, with and without nodes: empty blocks multiply, too."""
MAX_PATH_CHARACTERS = 32 * 1024 * 1024
"""The characters of the paths of all nodes and scopes: each path repeats the names of the scopes around it."""
MAX_ITEMS_READ = 4_000_000
"""The list items that the expressions of a network read: every copy may read a long list."""
