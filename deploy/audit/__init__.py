"""The audit of a release: known faults of packages, dangerous calls in our code, licences, a list of what is in it.

`make audit` runs it in a tool environment of its own, so that its tools are not in the lock.
"""
