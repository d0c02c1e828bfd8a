"""What a timeline does and what to mind about it, in plain words, from its matrix alone."""


def describe(levels, sources, window_size):
    return ""


def warnings(levels, sources, prior, missing):
    return []
