"""The JSON Schema of specs, for editors."""
