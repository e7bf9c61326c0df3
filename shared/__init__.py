"""The code that producer and worker share.

It holds the nouns, the job payloads, and the ports to mail servers and to the state store.

It imports neither `producer` nor `worker`. It is no bag of odds and ends. A module here is named after a noun of the
domain. The nouns themselves (`shared.model` and its neighbours) use no I/O, no clock and no randomness.
"""
