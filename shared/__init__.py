"""The code that producer and worker share: the nouns, the job payloads, the ports to mail servers and to the state
store.

It imports neither `producer` nor `worker`. It is no bag of odds and ends: a module here is named after a noun of the
domain, and the nouns themselves (`shared.model` and its neighbours) use no I/O, no clock and no randomness.
"""
