"""The `kgt` command, for people and for scripts.

`run` is the command line. `parser` knows every command; each group of commands has a module that
says which arguments they take and what they do (`questions`, `facts`, `history`, `transfer`).
`arguments` has what the commands share, and `telling` shows the responses to people.
"""
