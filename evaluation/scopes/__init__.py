"""How well scope keys, and what the model would answer, tell what a query asks.

The facts of many users are compared with questions in other words, which must find the right fact,
and with questions that only look alike, which must find none. No answer is generated and nothing is
stored, so that a model's two thresholds can be chosen in minutes.
"""
