"""Whether an error says that there was no memory left, which each library says in its own words."""

# of torch on a CPU, of CUDA's libraries and MPS, and of the system
_WORDS = ("not enough memory", "out of memory", "can't allocate memory", "cannot allocate memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is Python's, torch's or a GPU's way of saying that memory ran out."""
    said = str(error).lower()
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or any(words in said for words in _WORDS)
