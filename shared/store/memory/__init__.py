"""The store in plain Python: the model that the scripts are compared with, and that tests use."""
