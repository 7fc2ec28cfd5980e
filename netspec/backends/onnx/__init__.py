"""Graphs as ONNX models: lowered op by op, with the weights of a module, a file, or a seed."""
