"""Baselines that store what users say in the weights of the model.

They run on transformers' own layers in float32. Each keeps to its paper, and its docstring says
where it differs. `catalog.WEIGHT_METHODS` has them all.
"""
