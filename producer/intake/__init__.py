"""Opens an import: turns the administrator's file and two addresses into work that waits for workers.

`endpoints`, `manifest` (with `sheet` and `columns`) and `plan` decide and are pure. The modules that ask servers and
write to the store lie beside them.
"""
