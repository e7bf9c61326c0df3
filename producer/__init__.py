"""The control plane: opens imports, follows them to their end, and shows them.

`intake` turns a manifest into a plan, `coordinator` counts the batches home and rings again for what was lost, `cli`
and `admin` show it, and both do so only through `operations`. It never imports `worker`: the two meet in Redis, over
what `shared` says.
"""
