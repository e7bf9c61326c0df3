"""A mail server in memory, for tests and benchmarks. The product does not import this package."""
