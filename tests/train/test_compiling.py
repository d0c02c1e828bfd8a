"""Steps are compiled where torch finds what it compiles with."""

import pytest
import torch

from train import compiling
from train.config import load_config


@pytest.mark.parametrize(
    "programs, headers, there", [({"g++"}, True, True), ({"g++"}, False, False), ((), True, False)]
)
def test_steps_are_compiled_where_that_is_possible(
    tmp_path, tiny_toml, monkeypatch, capsys, programs, headers, there
):
    if headers:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr(compiling.shutil, "which", lambda name: name in programs or None)
    monkeypatch.setattr(compiling.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    compiling.can_compile.cache_clear()
    try:
        module, asked = torch.nn.Linear(1, 1), load_config(tiny_toml, {"compile": True})
        assert (compiling.compiled(module, asked) is not module) == there
        assert ("needs g++ and Python's headers" in capsys.readouterr().err) != there
        assert compiling.compiled(module, load_config(tiny_toml, {"compile": False})) is module
    finally:
        compiling.can_compile.cache_clear()
