"""What needs torch: modules made from source, the proof of them, and files of weights."""
