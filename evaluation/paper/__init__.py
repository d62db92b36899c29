"""The paper's tables: its data, its metrics and its protocol, for every system."""
