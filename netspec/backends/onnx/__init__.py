"""The ONNX backend: exports graphs op by op, with weights of a module, a file or a seed, and runs models."""
