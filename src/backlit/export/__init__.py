"""Trained networks for other programs: ONNX, and a plain NumPy program."""
