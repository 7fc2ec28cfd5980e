"""A Spec to a graph: blocks are opened, copies repeated, conditions decided, and every shape inferred."""
