"""Backends: printers of graphs as PyTorch source, YAML, diagrams and ONNX models, and readers of weights."""
