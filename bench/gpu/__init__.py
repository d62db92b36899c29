"""What random weights in the shapes of large models cost on a GPU (python -m bench.gpu)."""
