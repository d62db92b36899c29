"""A page for people: what KGT knows about them, why, and how to change it.

It is a small web application in front of a KGT service, which it calls over gRPC. Every page works
without scripts. With them, answers come without a reload and the graph is drawn.
"""
