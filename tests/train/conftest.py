"""What tests of training share: a tiny config, and one whole run of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from undisturbed import undisturbed

from train.__main__ import main

TINY = Path(__file__).parent / "tiny.toml"


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
