"""`netspec explain`: tells where a part of a network, and each of its values, comes from in the spec."""
