collect_ignore = ["generate.py", "generate_networks.py"]  # need PyTorch, which the tests do not
