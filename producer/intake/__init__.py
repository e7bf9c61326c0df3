"""Opens an import: from the administrator's file and two addresses to work that waits for workers.

`endpoints`, `manifest` (with `sheet` and `columns`) and `plan` decide and are pure; what asks servers and writes to the
store lies beside them.
"""
