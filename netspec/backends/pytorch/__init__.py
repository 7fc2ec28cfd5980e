"""PyTorch: a graph as source (`source.to_source`), and the module that the source defines (`runtime.load.compile`)."""
