collect_ignore = ["generate.py"]  # needs PyTorch, which the tests do not
