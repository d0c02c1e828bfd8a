"""Whether steps are compiled: where a run asks for it and torch finds what it compiles with."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path

import torch
from torch import nn

from . import parallel
from .config import TrainConfig


def compiled(module: nn.Module, config: TrainConfig) -> nn.Module:
    """The same module through `torch.compile`, where asked for and possible."""
    return torch.compile(module) if config.compile and can_compile() else module  # type: ignore[return-value]


@cache
def can_compile() -> bool:
    """Whether there are a compiler, of C for a GPU, of C++ for a CPU, and Python's headers."""
    names = ("cc", "gcc", "clang") if torch.cuda.is_available() else ("c++", "g++", "clang++")
    there = any(map(shutil.which, names))
    there = there and Path(sysconfig.get_path("include"), "Python.h").exists()
    if not there and parallel.is_first():
        print(
            f"Training goes on without torch.compile, and slower: it needs {names[1]} and Python's "
            "headers (on Debian, build-essential and python3-dev).",
            file=sys.stderr,
        )
    return there
