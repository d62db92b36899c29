"""Copies of a whole store in files that any store can take back."""
