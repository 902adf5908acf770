collect_ignore_glob = ["generate*.py"]  # they need PyTorch, which the tests do not
