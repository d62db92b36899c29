"""A server of the Model Context Protocol: a user's memory as tools for any assistant.

It calls a KGT service as that user. Whose memory it is comes from how the server was started, or
from the caller's token, and never from what a model writes.
"""
