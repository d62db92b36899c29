"""A conversation in the terminal, or over a pipe: `kgt chat`.

`saying` tells what a line is, `conversation` does what it asks for, `reading` takes the lines.
"""
