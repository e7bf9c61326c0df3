"""The API (`docs/api.md`): an administrator without a terminal. Everything it does is one of `producer.operations`.

Who may ask stands in `access`, what may be asked for in `reach` and `guard`, how it is asked in `asked`; `app` puts the
routes together and `__main__` is the process.
"""
