"""The Python side of the driver: a parent that has everything imported, and the interpreters forked from it.

`parent` forks on request; `child` turns a fork into a process of its own; `interpreter` speaks the protocol and runs
commands through `commands`. `docs/protocol.md` describes what is said on the sockets.
"""
