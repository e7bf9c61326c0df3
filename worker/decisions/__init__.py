"""The decisions of a worker: about copies, folders, errors and lanes. Pure."""
