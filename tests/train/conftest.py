"""What tests of training share: a tiny config, and one whole run of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from train.__main__ import main

TINY = Path(__file__).parent / "tiny.toml"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Training sets threads and signal handlers; pytest wants its own back."""
    threads = torch.get_num_threads()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture
def own_signals() -> Iterator[None]:
    with undisturbed():
        yield


@pytest.fixture(scope="session")
def tiny_toml() -> Path:
    return TINY


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run of the tiny config; its model is in `model`."""
    folder = tmp_path_factory.mktemp("finished")
    with undisturbed():
        assert main([str(TINY), "--out", str(folder), "--threads", "1"]) == 0
    return folder
