"""The API (`docs/api.md`) and the page (`docs/web.md`), for an administrator without a terminal.

Both do nothing but call `producer.operations`.

`access` says who may ask, `reach` and `guard` what may be asked for, and `asked` reads the bodies of requests. `pages`
is the page. `app` puts the routes together, and `__main__` is the process.
"""
