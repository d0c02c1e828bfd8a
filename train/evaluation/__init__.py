"""Measurements that hold a model of the miniature worlds against the truth, section by section."""
