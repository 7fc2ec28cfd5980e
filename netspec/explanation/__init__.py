"""`netspec explain`: where a part of a network comes from, and each of its values."""
