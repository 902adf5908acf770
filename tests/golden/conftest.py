collect_ignore_glob = ["*.py"]  # no tests: what makes the references, much of it with PyTorch
