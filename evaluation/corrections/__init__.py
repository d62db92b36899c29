"""Corrections that people wrote down, asked of a whole service as its callers would.

A set (`sets.py`) is read into cases of one shape (`cases.py`): what the user said before, what the
user corrects, and what is asked, with what is expected of each answer. `player.py` plays the cases
of one user through `kgt.client`. `counting.py` counts what was won and what it cost. Nothing here
knows how the service works, so two versions of it are measured alike.
"""
