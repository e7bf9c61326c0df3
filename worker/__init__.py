"""The data plane. A worker is stateless, copies one batch at a time, and knows only what is in Redis.

Any number of workers may run, on any host, and any of them may be killed at any moment: the next one finds the intent
that was left behind and looks before it appends. The worker never imports `producer`.
"""
