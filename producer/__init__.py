"""The control plane: opens imports, follows them to their end, and shows them.

`intake` turns a manifest into a plan. `coordinator` takes back expired leases and sends lost jobs again. `cli` and
`web` show imports and change them, only through `operations`. This package never imports `worker`: the two meet in
Redis and share only what `shared` defines.
"""
