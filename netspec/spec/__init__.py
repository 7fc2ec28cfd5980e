"""The language: text to data, data to a Spec, a Spec to a graph, and the JSON Schema of it all."""
