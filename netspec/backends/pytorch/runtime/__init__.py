"""The part of the PyTorch backend that imports torch: compiled modules, their proofs, and files of weights."""
