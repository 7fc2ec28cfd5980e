"""Finds the text of a spec: bundled specs by name, files by path, and ONNX models with a spec in them."""
