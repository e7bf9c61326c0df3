"""The API (`docs/api.md`) and the page (`docs/web.md`): an administrator without a terminal. Everything they do is one of
`producer.operations`.

Who may ask stands in `access`, what may be asked for in `reach` and `guard`, how it is asked in `asked`; `pages` is the
page; `app` puts the routes together and `__main__` is the process.
"""
