"""A long run with kills (`make soak`): what a process and Redis hold must not grow with the time that they live.

Each round delivers mail at the source, opens the import again, kills a worker or a coordinator in the middle, and waits
for the end. A worker and a coordinator beside them are never killed: these are measured after each round.
"""
