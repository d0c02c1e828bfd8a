"""Checkpoints: published files load, hostile ones are refused with the reason and without cost."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import types
import zipfile
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.made_up import save_latte
from fvdm_core import checkpoint, hub, model_folder, pickles, weights
from fvdm_core.autoencoder import Autoencoder, AutoencoderConfig
from fvdm_core.checkpoint import (
    SaveError,
    convert,
    load_model,
    load_model_folder,
    read_tensors,
    resolve_source,
    save_model,
    save_model_folder,
    write_safetensors,
)
from fvdm_core.files import atomic_write
from fvdm_core.kl_autoencoder import read_kl_config
from fvdm_core.model import VideoDiT
from fvdm_core.model_folder import read_config
from fvdm_core.shape import VideoDiTConfig

DATA = Path(__file__).parents[1] / "data"
TINY = VideoDiTConfig(
    hidden_size=16,
    depth=2,
    num_heads=2,
    patch_size=1,
    latent_size=4,
    latent_channels=3,
    num_frames=5,
    num_classes=2,
)
TINY_AUTOENCODER = AutoencoderConfig(image_size=8, latent_channels=3, widths=(4,), blocks=1)


def tiny_model(**changes) -> VideoDiT:
    torch.manual_seed(0)
    model = VideoDiT(VideoDiTConfig(**{**TINY.__dict__, **changes}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.02)
    return model.eval()


def refusal(call, *arguments, **named) -> str:
    with pytest.raises(ValueError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def peak_growth(call) -> int:
    """By how many bytes this process' largest resident size grew during a call."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


# ── published files ───────────────────────────────────────────────────────────────────────────


def test_a_published_file_gives_the_published_output():
    model = load_model(DATA / "published_fvdm_tiny.pt")
    reference = load_file(DATA / "published_fvdm_tiny_io.safetensors")
    with torch.no_grad():
        out = model(reference["x"], reference["t"])
    assert (out - reference["out"]).abs().max() < 1e-5
    assert model.config == VideoDiTConfig(
        hidden_size=64,
        depth=4,
        num_heads=1,
        patch_size=2,
        latent_size=8,
        latent_channels=4,
        num_frames=8,
        learn_sigma=True,
    )


def test_a_latte_file_loads_by_renaming(tmp_path):
    model = tiny_model(num_heads=1)
    save_latte(tmp_path / "l.pt", model)
    loaded = load_model(tmp_path / "l.pt")
    assert loaded.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key


@pytest.mark.parametrize(
    "changes",
    [
        {"num_heads": 1},
        {"hidden_size": 128, "num_heads": 2, "patch_size": 2, "learn_sigma": True},
        {"num_heads": 1, "num_classes": 0, "depth": 4, "mlp_ratio": 2.0, "num_frames": 3},
    ],
)
def test_configs_are_inferred_from_tensors(tmp_path, changes):
    model = tiny_model(**changes)
    write_safetensors(tmp_path / "m.safetensors", model.state_dict())
    assert load_model(tmp_path / "m.safetensors").config == model.config


def test_width_1152_has_heads_of_72(tmp_path):
    with torch.device("meta"):
        model = VideoDiT.from_size("XL/2")
    shapes = {key: tuple(t.shape) for key, t in model.state_dict().items()}
    assert checkpoint.load_model.__module__ == "fvdm_core.weights"
    from fvdm_core.weights import infer_config

    assert infer_config(shapes, "xl").num_heads == 16
    assert infer_config(shapes, "xl") == model.config
    assert infer_config(shapes, "xl", num_heads=18).num_heads == 18


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
def test_a_saved_model_comes_back(tmp_path, attention):
    model = tiny_model(attention=attention)  # 2 heads of 8: only the metadata knows
    save_model(tmp_path / "m.safetensors", model)
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.config == model.config
    x, t = torch.randn(1, 5, 3, 4, 4), torch.arange(5)[None] * 100
    assert torch.equal(loaded(x, t), model(x, t))
    first = (tmp_path / "m.safetensors").read_bytes()
    save_model(tmp_path / "m.safetensors", loaded)
    assert (tmp_path / "m.safetensors").read_bytes() == first


# ── reading tensors ───────────────────────────────────────────────────────────────────────────

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2).half()}


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        OrderedDict(WEIGHTS),
        {"ema": WEIGHTS, "model": {"other": torch.zeros(1)}, "step": 3},
        {"model": WEIGHTS, "args": argparse.Namespace(lr=1e-4, betas=(0.9, 0.99))},
        {"state_dict": {f"module._orig_mod.{key}": t for key, t in WEIGHTS.items()}},
        {key: torch.nn.Parameter(t) for key, t in WEIGHTS.items()},
    ],
)
def test_wrappings_of_torch_files_are_removed(tmp_path, content):
    torch.save(content, tmp_path / "odd.safetensors")  # a name proves nothing
    tensors = read_tensors(tmp_path / "odd.safetensors")
    assert tensors.keys() == WEIGHTS.keys()
    for key, tensor in tensors.items():
        assert torch.equal(tensor, WEIGHTS[key]) and tensor.dtype == WEIGHTS[key].dtype
        assert not tensor.requires_grad


def test_a_model_file_has_the_permissions_of_any_other_file(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", WEIGHTS)
    (tmp_path / "note.txt").write_text("any other file")
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_safetensors_are_read_by_content(tmp_path):
    write_safetensors(tmp_path / "odd.pt", WEIGHTS, {"note": "é"})
    tensors = read_tensors(tmp_path / "odd.pt")
    assert all(torch.equal(tensors[key], WEIGHTS[key]) for key in WEIGHTS)


def test_views_and_shared_tensors_are_written(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    write_safetensors(tmp_path / "v.safetensors", {"t": base.T, "b": base, "again": base})
    tensors = read_tensors(tmp_path / "v.safetensors")
    assert torch.equal(tensors["t"], base.T) and torch.equal(tensors["again"], base)


def test_what_was_read_survives_a_change_of_the_file(tmp_path):
    for path in (tmp_path / "a.safetensors", tmp_path / "a.pt"):
        if path.suffix == ".pt":
            torch.save(WEIGHTS, path)
        else:
            write_safetensors(path, WEIGHTS)
        tensors = read_tensors(path)
        os.truncate(path, 0)
        assert torch.equal(tensors["a.weight"], WEIGHTS["a.weight"])


# ── files that are refused ────────────────────────────────────────────────────────────────────


class Command:
    """What a pickle that runs a command looks like."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_runs_a_command_is_refused(tmp_path, protocol, zipped):
    path, marker = tmp_path / "model.safetensors", tmp_path / "ran"
    content = {"ema": {"w": torch.ones(2), "x": Command(marker)}} if zipped else Command(marker)
    if zipped:
        torch.save(content, path, pickle_protocol=max(2, protocol))
    else:
        path.write_bytes(pickle.dumps(content, protocol))
    message = refusal(read_tensors, path)
    assert "contains code objects" in message and "system" in message
    assert "convert it to safetensors" in message
    assert not marker.exists()


def test_allowed_names_do_not_open_a_way_to_code(tmp_path):
    """`builtins.getattr` and friends must not slip in beside tensors."""
    for opcodes in (b"cbuiltins\neval\n(S'1'\ntR.", b"(S'1'\nibuiltins\neval\n."):
        buffer = io.BytesIO()
        torch.save(WEIGHTS, buffer)
        path = tmp_path / "evil.pt"
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
            for entry in source.infolist():
                data = opcodes if entry.filename.endswith("data.pkl") else source.read(entry)
                target.writestr(entry.filename, data)
        assert "builtins.eval" in refusal(read_tensors, path)


def torch_zip(path: Path, pickle_bytes: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle_bytes)
        archive.writestr("archive/version", b"3\n")
        for name, data in entries.items():
            archive.writestr(f"archive/data/{name[1:]}", data)
    return path


def test_what_a_stack_names_is_code_whatever_text_came_last(tmp_path):
    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    marker, allowed = tmp_path / "ran", text("torch") + text("Size") + b"00"  # pushed and dropped
    call = text("posix") + text("system") + allowed + b"\x93" + text(f"touch {marker}") + b"\x85R"
    path = torch_zip(tmp_path / "stack.pt", b"\x80\x04" + call + b".")
    assert "contains code objects" in refusal(read_tensors, path)
    assert not marker.exists()


def test_torch_refuses_a_command_that_the_first_look_lets_pass(tmp_path, monkeypatch):
    path, marker = tmp_path / "model.pt", tmp_path / "ran"
    torch.save({"w": torch.ones(2), "x": Command(marker)}, path)
    monkeypatch.setattr("fvdm_core.tensors.check_torch_zip", lambda file, name: None)
    assert "is not loaded" in refusal(read_tensors, path)
    assert not marker.exists()


def test_a_deflated_bomb_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(16 << 20)}, buffer)  # 64 MB of zeros
    path = tmp_path / "bomb.pt"
    with (
        zipfile.ZipFile(buffer) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    del buffer
    assert path.stat().st_size < 200_000
    messages: list[str] = []
    assert peak_growth(lambda: messages.append(refusal(read_tensors, path))) < 20_000_000
    assert "unpacks to" in messages[0]


def doubled(times: int) -> bytes:
    """A tuple that holds one twice, which holds one twice, …: 2 ** times parts in a few bytes."""
    twice = b"".join(b"q%ch%ch%c\x86" % (k, k, k) for k in range(times))
    return b"\x80\x02})" + twice + b"K\x01s."


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02})" + b"\x85" * 900_000 + b"K\x01s.",  # a key within 900 000 tuples
        b"\x80\x02})" + b"\x85" * 1_000 + b"K\x01s.",
        doubled(25),
        doubled(10)[:-4] + b"0" + b"}h\tNs" * 100 + b".",  # the key of many dictionaries
        b"\x80\x02" + b"(" * 1_000 + b"t" * 1_000 + b".",
        b"\x80\x02]" + b"]" * 1_000 + b"a" * 1_000 + b".",
    ],
)
def test_objects_within_objects_are_refused_before_they_are_read(tmp_path, pickled):
    message = refusal(read_tensors, torch_zip(tmp_path / "nested.pt", pickled))
    assert "objects within objects" in message


def test_an_optimizer_s_state_is_no_objects_within_objects(tmp_path):
    network = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(200)])
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {"model": network.state_dict(), "opt": optimizer.state_dict()}
    torch.save(content, tmp_path / "whole.pt")
    assert len(read_tensors(tmp_path / "whole.pt")) == 400


@pytest.mark.parametrize("pickled", [b"\x80\x02\x86.", b"\x80\x02h\x00.", b"\x80\x02t."])
def test_what_takes_from_an_empty_stack_is_damaged(tmp_path, pickled):
    assert "is damaged" in refusal(read_tensors, torch_zip(tmp_path / "empty.pt", pickled))


def test_a_line_without_an_end_is_not_read_whole(tmp_path):
    path = tmp_path / "line.pt"
    with path.open("wb") as file:
        file.write(b"c")
        file.truncate(200_000_000)  # a hole: it takes no room on the disk
    assert peak_growth(lambda: refusal(checkpoint.load_model, path)) < 100_000_000


@pytest.mark.parametrize("length", [2**40, 2**62])
def test_a_text_that_claims_any_length_is_damaged(tmp_path, length):
    path = tmp_path / "claims.pt"
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", length) + bytes(10))
    assert "is damaged" in refusal(checkpoint.load_model, path)


def test_whole_numbers_are_no_weights(tmp_path):
    state = tiny_model().state_dict()
    state["final_layer.linear.weight"] = state["final_layer.linear.weight"].long()
    torch.save(state, tmp_path / "whole.pt")
    assert "final_layer.linear.weight is of int64" in refusal(
        checkpoint.load_model, tmp_path / "whole.pt"
    )


def test_stride_0_is_refused(tmp_path):
    huge = torch.zeros(1).as_strided((10**12,), (0,))
    torch.save({"w": huge}, tmp_path / "wide.pt")
    assert (tmp_path / "wide.pt").stat().st_size < 3000
    message = refusal(read_tensors, tmp_path / "wide.pt")
    assert "claims 4000000000000 bytes" in message


def test_many_views_of_one_storage_are_refused(tmp_path):
    base = torch.zeros(100_000)
    torch.save({f"w{i}": base for i in range(1000)}, tmp_path / "views.pt")
    assert "not in the file" in refusal(read_tensors, tmp_path / "views.pt")


def test_too_many_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_TENSORS", 50)
    torch.save({f"w{i}": torch.zeros(1) for i in range(60)}, tmp_path / "many.pt")
    assert "more than 50" in refusal(read_tensors, tmp_path / "many.pt")
    # one storage, so the zip directory is short and only the pickle is long
    shared = torch.zeros(60)
    torch.save({f"w{i}": shared[i:] for i in range(60)}, tmp_path / "views.pt")
    assert "more than 50" in refusal(read_tensors, tmp_path / "views.pt")


def test_a_long_directory_behind_short_numbers_is_not_read_either(tmp_path):
    path = tmp_path / "forged.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(70_000):  # more than fit in 16 bits, so zip64
            archive.writestr(zipfile.ZipInfo(f"a/{i}"), b"")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    assert data[end - 20 : end - 16] == b"PK\6\7"
    assert "at most" in refusal(read_tensors, path)  # by their number
    record = data.rindex(b"PK\6\6")
    data[record + 40 : record + 48] = (50_000_000).to_bytes(8, "little")
    data[end + 8 : end + 16] = struct.pack("<HHI", 2, 2, 100)
    path.write_bytes(data)
    assert "more than 20000 parts" in refusal(read_tensors, path)


def test_the_weights_of_a_folder_alone_are_refused(folder):
    assert "open that" in refusal(load_model_folder, folder / "transformer.safetensors")
    assert "open that" in refusal(read_config, folder / "transformer.safetensors")
    assert "open that" in refusal(load_model, folder / "transformer.safetensors")
    assert "open that" in refusal(convert, folder / "transformer.safetensors", folder / "out")


def test_the_weights_of_a_folder_are_known_wherever_they_are_copied(folder, tmp_path, monkeypatch):
    copied = shutil.copy(folder / "transformer.safetensors", tmp_path / "copied.safetensors")
    for opens in (load_model_folder, read_config, load_model):
        assert "part of a model folder" in refusal(opens, Path(copied))
    sizes: dict[str, int | None] = {"config.json": 10, "transformer.safetensors": 1000}
    fake = with_hub(monkeypatch, FakeHub(folder, sizes))
    there = resolve_source("owner/repo/transformer.safetensors")
    assert "open that" in refusal(load_model_folder, there)
    assert sorted(fake.downloads[0]["files"]) == ["config.json", "transformer.safetensors"]


def test_a_long_directory_is_not_even_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "long.pt", "w") as archive:
        for i in range(30):
            archive.writestr(f"{i}" + "x" * 60_000, b"")
    data = bytearray((tmp_path / "long.pt").read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = (50_000_000).to_bytes(4, "little")
    (tmp_path / "long.pt").write_bytes(data)
    assert "more than 20000 parts" in refusal(read_tensors, tmp_path / "long.pt")


def test_hundreds_of_thousands_of_opcodes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_OPCODES", 10_000)
    program = b"\x80\x02" + b"]" + b"0]" * 20_000 + b"."
    assert "describes more" in refusal(read_tensors, torch_zip(tmp_path / "busy.pt", program))


def safetensors_file(path: Path, header: dict | bytes, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            {"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}},
            "claims 4000000000000",
        ),
        ({"w": {"dtype": "F32", "shape": [10**30], "data_offsets": [0, 4 * 10**30]}}, "claims"),
        ({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "cut short"),
        ({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}, "damaged"),
        ({"w": {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}}, "damaged"),
        ({"w": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}, "type F4"),
        ({"w": {"dtype": "F32", "shape": [1] * 200, "data_offsets": [0, 4]}}, "dimensions"),
        ({"w": 3}, "damaged"),
        ({"__metadata__": 3}, "damaged"),
        ({}, "damaged"),
        (b"{" * 5000, "damaged"),
        (b'{"a":' * 100_000, "damaged"),
        (b"{nonsense}", "not JSON"),
    ],
)
def test_wrong_safetensors_headers_are_refused(tmp_path, header, words):
    message = refusal(read_tensors, safetensors_file(tmp_path / "w.safetensors", header, bytes(4)))
    assert words in message and message.startswith("w.safetensors")


def test_a_header_longer_than_the_file_is_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b'{"a": 1}')
    assert "header of 1099511627776 bytes" in refusal(read_tensors, tmp_path / "w.safetensors")


def test_too_many_safetensors_are_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    path = safetensors_file(tmp_path / "m.safetensors", {f"w{i}": entry for i in range(20_001)})
    assert "20001 tensors" in refusal(read_tensors, path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, suffix, value):
    broken = {"fine": torch.ones(2), "sick": torch.tensor([1.0, value])}
    path = tmp_path / f"w{suffix}"
    torch.save(broken, path) if suffix == ".pt" else save_file(broken, path)
    message = refusal(read_tensors, path)
    assert "1 of 2 tensors" in message and "sick" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"1234567", "is a text file"),
        (b"\0\1\2\3\4\5\6", "not a file of a kind"),
        (b"<!DOCTYPE html><html><title>404</title>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "Git-LFS"),
        (b"PK\3\4" + bytes(40), "cut short"),
        (b"\x93NUMPY\1\0", "not a file of a kind"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, words):
    (tmp_path / "model.pt").write_bytes(content)
    message = refusal(read_tensors, tmp_path / "model.pt")
    assert words in message and message.startswith("model.pt") and str(tmp_path) not in message


def test_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    assert "pipe" in refusal(read_tensors, tmp_path / "pipe.pt")
    assert "folder" in refusal(read_tensors, tmp_path)
    assert "does not exist" in refusal(load_model, tmp_path / "none.pt")


def test_a_cut_torch_file_is_refused(tmp_path):
    torch.save(WEIGHTS, tmp_path / "w.pt")
    data = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) * 6 // 10])
    assert "cut.pt is cut short" in refusal(read_tensors, tmp_path / "cut.pt")


def test_old_torch_files_are_refused_with_the_reason(tmp_path):
    torch.save(WEIGHTS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "before version 1.6" in refusal(read_tensors, tmp_path / "old.pt")


def test_compiled_programs_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("net/archive_format", b"pt2")
        archive.writestr("net/models/model.json", b"{}")
    assert "compiled program" in refusal(read_tensors, tmp_path / "net.pt2")
    torch_zip(tmp_path / "script.pt", b"\x80\x02}.")
    with zipfile.ZipFile(tmp_path / "script.pt", "a") as archive:
        archive.writestr("archive/code/__torch__.py", b"")
    assert "compiled program" in refusal(read_tensors, tmp_path / "script.pt")
    np.savez(tmp_path / "arrays.npz", a=np.ones(2))
    assert "not a torch checkpoint" in refusal(read_tensors, tmp_path / "arrays.npz")


@pytest.mark.parametrize(
    "content", [[1, 2], {"epoch": 3}, {"ema": {}}, {"ema": {"net": WEIGHTS}}, torch.ones(2)]
)
def test_torch_files_without_named_tensors(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    assert "no named tensors" in refusal(read_tensors, tmp_path / "w.pt")


# ── models that do not fit ────────────────────────────────────────────────────────────────────


def test_another_architecture_is_refused_from_names(tmp_path):
    other = {f"model.diffusion_model.input_blocks.{i}.weight": torch.ones(2) for i in range(9)}
    write_safetensors(tmp_path / "sd15.safetensors", other)
    message = refusal(load_model, tmp_path / "sd15.safetensors")
    assert "not a VideoDiT" in message and "9 tensors" in message and "diffusion_model" in message


def test_a_part_of_a_model_is_never_loaded(tmp_path):
    weights = tiny_model().state_dict()
    del weights["blocks_temp.0.attn.qkv.bias"], weights["t_embedder.mlp.0.bias"]
    weights["extra"] = torch.ones(1)
    weights["final_layer.linear.bias"] = torch.ones(4)
    write_safetensors(tmp_path / "part.safetensors", weights)
    message = refusal(load_model, tmp_path / "part.safetensors")
    assert "2 missing (first blocks_temp.0.attn.qkv.bias)" in message
    assert "1 unknown (first extra)" in message
    assert "1 of another shape (first final_layer.linear.bias: (4,), not (3,))" in message
    assert "nothing was loaded" in message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 1 << 20, "num_heads": 4}, "of another shape"),
        ({"depth": 1 << 20}, "depth is 1048576"),
        ({"depth": 10**12}, "depth is 1000000000000"),
        ({"hidden_size": "16"}, "hidden_size is 16"),
        ({"learn_sigma": 1}, "true or false"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio is nan"),
        ({"colour": 3}, "unknown field 'colour'"),
        ({"num_heads": 3}, "num_heads 3"),
        ({"attention": "<script>"}, "attention"),
    ],
)
def test_a_config_that_lies_is_refused_without_cost(tmp_path, changes, words):
    config = {**TINY.__dict__, **changes}
    path = tmp_path / "m.safetensors"
    write_safetensors(path, tiny_model().state_dict(), {"config": json.dumps(config)})
    messages: list[str] = []
    assert peak_growth(lambda: messages.append(refusal(load_model, path))) < 50_000_000
    assert words in messages[0]


def test_a_deep_network_of_a_file_of_many_small_tensors_is_not_laid_out(tmp_path, monkeypatch):
    tensors = {f"w{i}": torch.zeros(1) for i in range(3000)}
    for config, field in (
        (VideoDiTConfig(**{**TINY.__dict__, "depth": 2000}), "depth is 2000"),
        (AutoencoderConfig(image_size=512, widths=(4,) * 8, blocks=40), "blocks is 40"),
    ):
        laid_out = lambda config: pytest.fail("it was laid out")  # noqa: E731
        assert f"{field}, but there are only 3000" in refusal(
            weights.build, laid_out, config, tensors, "deep"
        )


def test_weights_that_do_not_fit_into_memory_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(weights, "free_memory", lambda: 50_000)
    monkeypatch.setattr(weights, "checked_copies", lambda *a: pytest.fail("they were read"))
    said = refusal(load_model_folder, folder)
    assert "transformer.safetensors needs 0.00 GB of memory, but 0.00 GB are free" in said
    assert "use a smaller model" in said
    monkeypatch.undo()
    monkeypatch.setattr(weights, "free_memory", lambda: None)  # not on every system
    assert load_model_folder(folder).transformer.config == TINY


def test_inferred_giants_are_refused_without_cost(tmp_path):
    weights = tiny_model().state_dict()
    weights["x_embedder.proj.weight"] = torch.zeros(1 << 18, 3, 1, 1)  # 3 MB that imply terabytes
    write_safetensors(tmp_path / "giant.safetensors", weights)
    messages: list[str] = []
    call = lambda: messages.append(refusal(load_model, tmp_path / "giant.safetensors"))  # noqa: E731
    assert peak_growth(call) < 100_000_000
    assert "giant.safetensors" in messages[0]


# ── model folders ─────────────────────────────────────────────────────────────────────────────

CONFIG = {
    "name": "tiny",
    "labels": ["sky", "faces"],
    "fps": 8,
    "license": "Apache-2.0",
    "trained_on": "nothing",
    "transformer": TINY.__dict__,
    "autoencoder": TINY_AUTOENCODER.__dict__,
    "schedule": {"name": "cosine", "num_train_timesteps": 1000, "prediction_type": "v"},
}


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "model"
    bf16 = {key: t.bfloat16() for key, t in tiny_model().state_dict().items()}
    autoencoder = Autoencoder(TINY_AUTOENCODER).state_dict()
    save_model_folder(path, config=CONFIG, transformer=bf16, autoencoder=autoencoder)
    return path


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="model cannot be written: Not a directory"):
        save_model_folder(
            tmp_path / "file" / "model", config=CONFIG, transformer={}, autoencoder=None
        )


def test_a_model_folder_comes_back(folder):
    opened = load_model_folder(folder)
    assert opened.transformer.config == TINY and opened.config["labels"] == ["sky", "faces"]
    assert opened.autoencoder is not None and opened.autoencoder.config == TINY_AUTOENCODER
    assert opened.schedule.name == "cosine" and opened.schedule.prediction_type == "v"
    assert len(opened.model_hash) == 16
    expected = tiny_model().state_dict()
    for key, tensor in opened.transformer.state_dict().items():
        assert tensor.dtype == torch.float32 and tensor.device.type == "cpu"
        assert torch.equal(tensor, expected[key].bfloat16().float()), key
    decoded = opened.autoencoder.decode(torch.zeros(1, 3, 4, 4))
    assert decoded.shape == (1, 3, 8, 8)
    assert load_model(folder).config == TINY
    assert sorted(file.name for file in folder.iterdir()) == [
        *("autoencoder.safetensors", "config.json", "transformer.safetensors")
    ]


def test_parts_of_two_saves_are_told_apart(folder):
    write_safetensors(
        folder / "autoencoder.safetensors", Autoencoder(TINY_AUTOENCODER).state_dict()
    )
    assert "autoencoder.safetensors is not the file" in refusal(load_model_folder, folder)


def edit(folder: Path, **changes) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "diffusers"}, "format 'diffusers'"),
        ({"version": 999}, "version '999'"),
        ({"labels": ["sky"]}, "there are 1 labels, but the network has 2 classes"),
        ({"labels": ["sky", "sky"]}, "labels must differ"),
        ({"labels": [1, 2]}, "labels"),
        ({"sampling": {"temporal_scale": 9}}, "temporal_scale is 9; it must be from 0 to 5"),
        ({"sampling": {"temporal_scale": "1"}}, "temporal_scale is '1'; it must be from 0 to 5"),
        ({"sampling": {"guidance_from": True}}, "guidance_from is True; it must be from 0 to 1000"),
        ({"sampling": {"cfg_scale": 2}}, "sampling has the unknown field 'cfg_scale'"),
        ({"sampling": 2}, "sampling must be an object"),
        ({"sampling": {"by_label": []}}, "by_label must be a table of labels"),
        ({"sampling": {"by_label": {"sky": 1}}}, "by_label: 'sky' must be a table"),
        ({"sampling": {"by_label": {"sea": {}}}}, "'sea' is none of the model's labels"),
        ({"sampling": {"by_label": {"sky": {"eta": 1}}}}, "'eta' is none of temporal_scale"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("inf")}, "fps is inf"),
        ({"name": "x" * 101}, "name"),
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"transformer": None}, "transformer"),
        ({"transformer": {"depth": 2}}, "missing"),
        ({"autoencoder": {"image_size": 16, "latent_channels": 3, "widths": [4]}}, "of size 8"),
        ({"autoencoder": {**TINY_AUTOENCODER.__dict__, "blocks": 1 << 20}}, "blocks is 1048576"),
        ({"autoencoder": {**TINY_AUTOENCODER.__dict__, "widths": [1 << 20]}}, "another shape"),
        ({"schedule": {"name": "magic"}}, "magic"),
        ({"schedule": {"name": 3}}, "schedule: 'name' is 3; it has name, num_train_timesteps"),
        ({"schedule": {"name": "flow", "shift": "3"}}, "schedule: 'shift' is '3'"),
        ({"schedule": {"name": "flow", "tilt": 3.0}}, "schedule: 'tilt' is 3.0"),
        ({"schedule": [1]}, "schedule"),
    ],
)
def test_a_config_is_checked_strictly(folder, changes, words):
    assert words in refusal(load_model_folder, edit(folder, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, '"x"', "<html>"])
def test_a_config_that_is_no_json(folder, text):
    (folder / "config.json").write_text(text)
    assert "config.json" in refusal(load_model_folder, folder)


def test_a_folder_without_a_file(folder):
    (folder / "autoencoder.safetensors").unlink()
    assert "autoencoder.safetensors does not exist" in refusal(load_model_folder, folder)
    (folder / "config.json").unlink()
    assert "model is no model: it has no config.json" in refusal(load_model_folder, folder)


def shard(folder: Path, **places: str) -> Path:
    tensors = load_file(folder / "transformer.safetensors")
    (folder / "transformer.safetensors").unlink()
    keys = sorted(tensors)
    names = [f"transformer-0000{i}-of-00002.safetensors" for i in (1, 2)]
    write_safetensors(folder / names[0], {key: tensors[key] for key in keys[:9]})
    write_safetensors(folder / names[1], {key: tensors[key] for key in keys[9:]})
    weight_map = {key: names[i >= 9] for i, key in enumerate(keys)} | places
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "transformer.safetensors.index.json").write_text(index)
    return folder


def test_a_folder_that_is_no_model_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for read in (load_model_folder, load_model, read_config):
        said = refusal(read, tmp_path / "empty")
        assert said.startswith("the folder empty is no model: it has no config.json; choose one ")
        assert "transformer.safetensors" in said
    said = refusal(read_kl_config, tmp_path / "empty")
    assert said.startswith("the folder empty is no autoencoder of diffusers: it has no config.json")


def test_a_folder_says_how_many_heads_it_has_as_a_file_does(folder):
    assert "num_heads is 16, but" in refusal(load_model, folder, num_heads=16)
    assert load_model(folder, num_heads=TINY.num_heads).config == load_model(folder).config


def test_a_sharded_transformer_is_read(folder):
    expected = load_model(folder).state_dict()
    opened = load_model_folder(shard(folder)).transformer.state_dict()
    assert all(torch.equal(opened[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    "place",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "https://example.org/transformer-00001-of-00002.safetensors",
        "sub/transformer-00001-of-00002.safetensors",
        "transformer-00001-of-00002.pt",
    ],
)
def test_a_shard_outside_the_folder_is_refused(folder, place):
    message = refusal(load_model_folder, shard(folder, pos_embed=place))
    assert place[:60] in message and "lie in the same folder" in message


def test_a_missing_shard_is_named(folder):
    (shard(folder) / "transformer-00002-of-00002.safetensors").unlink()
    assert "transformer-00002-of-00002.safetensors" in refusal(load_model_folder, folder)


def test_converting_a_published_file(tmp_path):
    convert(DATA / "published_fvdm_tiny.pt", tmp_path / "out")
    opened = load_model_folder(tmp_path / "out")
    assert opened.autoencoder is None and opened.config["name"] == "published_fvdm_tiny"
    assert opened.schedule.name == "linear" and opened.schedule.prediction_type == "eps"
    original = load_model(DATA / "published_fvdm_tiny.pt").state_dict()
    for key, tensor in opened.transformer.state_dict().items():
        assert torch.equal(tensor, original[key])
    single = load_model_folder(DATA / "published_fvdm_tiny.pt")
    assert single.autoencoder is None and single.transformer.config == opened.transformer.config


def test_a_latte_file_is_known_for_its_one_timestep_also_when_converted(tmp_path):
    save_latte(tmp_path / "l.pt", tiny_model(num_heads=1))
    convert(tmp_path / "l.pt", tmp_path / "latte")
    convert(DATA / "published_fvdm_tiny.pt", tmp_path / "fvdm")
    told = {
        place: load_model_folder(place).config["timesteps"]
        for place in (tmp_path / "l.pt", tmp_path / "latte", tmp_path / "fvdm")
    }
    assert list(told.values()) == ["scalar", "scalar", "vectorised"]


def test_the_classes_of_a_file_that_does_not_name_them_are_numbers(tmp_path):
    save_latte(tmp_path / "ucf.pt", tiny_model(num_heads=1, num_classes=3))
    save_latte(tmp_path / "ffs.pt", tiny_model(num_heads=1, num_classes=0))
    assert load_model_folder(tmp_path / "ucf.pt").config["labels"] == ["0", "1", "2"]
    assert load_model_folder(tmp_path / "ffs.pt").config["labels"] == []


# ── saving ────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, WEIGHTS)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SaveError) as caught:
        write_safetensors(path, {"other": torch.ones(3)})
    message = str(caught.value)
    assert "w.safetensors" in message and "No space left" in message and "free" in message
    assert str(tmp_path) not in message
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    def write(number):
        for _ in range(150):
            with atomic_write(tmp_path / "same.bin") as temporary:
                temporary.write_bytes(bytes([number]) * 10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["same.bin"]


def test_the_longest_names_can_be_written(tmp_path):
    path = tmp_path / ("語" * 80 + ".mp4")  # 244 bytes of 255
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"x")
    assert list(tmp_path.iterdir()) == [path]


KILLER = """
import os, signal, sys, time, torch
from fvdm_core.checkpoint import atomic_write, read_tensors, write_safetensors
torch.set_num_threads(1)  # before the forks

def save_for_ever():
    while True:
        for i in range(1, 256):
            write_safetensors("w.safetensors", {"w": torch.full((50_000,), float(i))})
            with atomic_write("slow.bin") as temporary, open(temporary, "wb", 0) as file:
                for _ in range(20):  # slow on purpose, so that most kills come in between
                    file.write(bytes([i]) * 1000)
                    time.sleep(0.001)

def check():
    values = read_tensors("w.safetensors")["w"]
    assert values.shape == (50_000,) and (values == values[0]).all()
    with open("slow.bin", "rb") as file:
        data = file.read()
    assert len(data) == 20_000 and len(set(data)) == 1

write_safetensors("w.safetensors", {"w": torch.zeros(50_000)})
with atomic_write("slow.bin") as temporary:
    temporary.write_bytes(bytes(20_000))
for turn in range(6):
    before = os.stat("slow.bin").st_mtime_ns
    child = os.fork()
    if not child:
        save_for_ever()
    while os.stat("slow.bin").st_mtime_ns == before:  # however busy the machine is
        time.sleep(0.001)
    time.sleep(0.007 * turn)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    check()
"""


def test_kill_9_in_the_middle_of_saves_leaves_whole_files(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", KILLER]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment, timeout=600)
    # a killed save leaves its draft: ours ends in .tmp, that of safetensors itself begins with it
    drafts = (file for file in tmp_path.iterdir() if file.name.startswith(".tmp"))
    for draft in drafts:
        draft.unlink()
    left = [file.name for file in tmp_path.iterdir() if not file.name.endswith(".tmp")]
    assert sorted(left) == ["slow.bin", "w.safetensors"]


# ── sources ───────────────────────────────────────────────────────────────────────────────────


def test_local_sources(tmp_path, monkeypatch):
    (tmp_path / "own" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_source("own/model") == Path("own/model")
    assert resolve_source(str(tmp_path / "own")) == tmp_path / "own"


@pytest.mark.parametrize(
    "text",
    [
        *("", "../x", "a/b/c", "a/../b", "https://huggingface.co/a/b", "a/b@", "a/b@x/y"),
        *("~nobody/x y", "-a/b", ".a/b", "a/.b", "a/b?c", "\x00", "é/b", "a" * 5000),
        *("a/b/x.py", "a/b/.pt", "a/b/../x.pt", "a/b/c/x.pt", "a/b/x.pt@v1", "a/b@v1/c/x.pt"),
        *("a/b/x.pt?download=1", "a/b//x.pt", "a/b/x.pt/", "a/b/*.pt", "a/b/x.zip", "/a/b/x.pt"),
    ],
)
def test_texts_that_are_no_sources(text, monkeypatch):
    monkeypatch.setattr(hub, "_download", lambda *a: pytest.fail("went to the network"))
    message = refusal(resolve_source, text)
    assert "owner/name" in message and len(message) < 300


class FakeHub:
    """Stands in for huggingface_hub: a repository with files and sizes, or an error."""

    def __init__(
        self,
        folder: Path,
        sizes: dict[str, int | None],
        error: Exception | None = None,
        cache: Path | None = None,
    ):
        self.folder, self.sizes, self.error = folder, sizes, error
        self.downloads: list[dict] = []
        self.constants = types.SimpleNamespace(HF_HUB_CACHE=str(cache or folder / "no cache"))

    def HfApi(self):  # noqa: N802
        return self

    def model_info(self, repo, revision, files_metadata, timeout):
        if self.error:
            raise self.error
        files = [types.SimpleNamespace(rfilename=n, size=s) for n, s in self.sizes.items()]
        return types.SimpleNamespace(siblings=files, sha="0" * 40)

    def snapshot_download(self, repo, revision, allow_patterns):
        self.downloads.append({"revision": revision, "files": allow_patterns})
        return str(self.folder)


def with_hub(monkeypatch, fake: FakeHub) -> FakeHub:
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake


def http_error(status: int) -> Exception:
    error = RuntimeError(f"{status} for url https://huggingface.co/x?token=hf_secret")
    error.response = types.SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    return error


def test_only_weights_and_configs_are_downloaded(folder, monkeypatch):
    names = ("config.json", "transformer.safetensors", "run.py", "x.pt")
    sizes: dict[str, int | None] = dict.fromkeys(names, 1000)
    sizes |= {"autoencoder.safetensors": 1000, "deep/other.safetensors": 10**13, "README.md": 1}
    fake = with_hub(monkeypatch, FakeHub(folder, sizes))
    assert resolve_source("owner/repo@v1.0") == folder
    assert sorted(fake.downloads[0]["files"]) == [
        *("autoencoder.safetensors", "config.json", "transformer.safetensors")
    ]
    assert fake.downloads[0]["revision"] == "0" * 40  # exactly what was measured


def test_a_model_of_the_hub_brings_its_own_autoencoder_of_diffusers(folder, monkeypatch):
    weights = "diffusion_pytorch_model"
    names = ("config.json", "transformer.safetensors", "vae/config.json", f"vae/{weights}.bin")
    sizes: dict[str, int | None] = dict.fromkeys((*names, f"vae/{weights}.safetensors"), 1000)
    fake = with_hub(monkeypatch, FakeHub(folder, sizes))
    resolve_source("owner/repo")
    assert sorted(fake.downloads[0]["files"]) == [
        *("config.json", "transformer.safetensors"),
        *("vae/config.json", f"vae/{weights}.safetensors"),
    ]


@pytest.mark.parametrize("asked", ["owner/repo", "owner/repo/one.safetensors", "owner/repo/two.pt"])
def test_a_file_of_the_hub_brings_the_autoencoder_beside_it(tmp_path, monkeypatch, asked):
    coder = ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"]
    names = ("one.safetensors", "two.pt", *coder, "vae/diffusion_pytorch_model.bin")
    fake = with_hub(monkeypatch, FakeHub(tmp_path, dict.fromkeys(names, 1000)))
    name = asked.removeprefix("owner/repo/") if asked.count("/") == 2 else "one.safetensors"
    assert resolve_source(asked) == tmp_path / name
    assert sorted(fake.downloads[0]["files"]) == [name, *coder]
    del fake.sizes[coder[1]]  # what is left would only be in the way of Stable Diffusion's
    resolve_source(asked)
    assert fake.downloads[1]["files"] == [name]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"config.json": 10, "transformer.safetensors": 10**12}, "1000.0 GB"),
        ({"config.json": 10, "transformer.safetensors": None}, "unknown size"),
        ({"model.pt": 10}, "0 other safetensors"),
        ({"a.safetensors": 10, "b.safetensors": 10}, "2 other safetensors"),
        ({"ffs.pt": 10, "ucf101.pt": 9}, "such as owner/repo/ffs.pt (of ffs.pt, ucf101.pt)"),
    ],
)
def test_sizes_are_checked_before_the_download(folder, monkeypatch, sizes, words):
    fake = with_hub(monkeypatch, FakeHub(folder, sizes))
    assert words in refusal(resolve_source, "owner/repo")
    assert not fake.downloads


def test_a_full_disk_is_said_before_the_download(folder, monkeypatch):
    left = types.SimpleNamespace(free=1000)
    monkeypatch.setattr("fvdm_core.hub.shutil.disk_usage", lambda place: left)
    sizes: dict[str, int | None] = {"config.json": 10, "transformer.safetensors": 2 * 10**9}
    fake = with_hub(monkeypatch, FakeHub(folder, sizes))
    said = refusal(resolve_source, "owner/repo")
    assert "needs 2.0 GB, but 0.0 GB are free on this disk" in said
    assert not fake.downloads


def test_what_is_there_already_needs_no_room(folder, tmp_path, monkeypatch):
    left = types.SimpleNamespace(free=1000)
    monkeypatch.setattr("fvdm_core.hub.shutil.disk_usage", lambda place: left)
    sizes: dict[str, int | None] = {"config.json": 10, "transformer.safetensors": 2 * 10**9}
    with_hub(monkeypatch, FakeHub(folder, sizes, cache=tmp_path))
    there = tmp_path / "models--owner--repo" / "snapshots" / ("0" * 40)
    there.mkdir(parents=True)
    (there / "transformer.safetensors").touch()
    assert resolve_source("owner/repo") == folder


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (http_error(401), "not open to you"),
        (http_error(403), "not open to you"),
        (http_error(404), "does not exist on the Hub"),
        (http_error(429), "too many requests"),
        (http_error(503), "HTTP 503"),
        (ConnectionError("[Errno -2] Name or service not known"), "cannot be reached"),
    ],
)
def test_hub_errors_have_words_and_fall_back_to_the_cache(
    folder, tmp_path, monkeypatch, caplog, error, words
):
    cache = tmp_path / "hub"
    with_hub(monkeypatch, FakeHub(folder, {}, error, cache))
    message = refusal(resolve_source, "owner/repo")
    assert words in message and "hf_secret" not in message
    assert message.startswith("there is no owner/repo here, and ")
    kept = cache / "models--owner--repo"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("a" * 40)
    (kept / "snapshots").mkdir()
    folder.rename(kept / "snapshots" / ("a" * 40))
    with caplog.at_level(logging.WARNING):
        assert resolve_source("owner/repo") == kept / "snapshots" / ("a" * 40)
    assert words in caplog.text and "earlier download" in caplog.text
    assert "there is no" not in caplog.text
    assert words in refusal(resolve_source, "owner/repo@v2")
    assert words in refusal(resolve_source, "owner/repo/ffs.pt")


LATTE = {"ffs.pt": 1000, "ucf101.pt": 2000, "README.md": 1, "run.py": 5, "vae/x.pt": 10**13}


@pytest.mark.parametrize("text", ["owner/repo/ffs.pt", "owner/repo@v1.0/ffs.pt"])
def test_one_named_file_of_a_repository_is_taken_and_no_other(tmp_path, monkeypatch, text):
    save_latte(tmp_path / "ffs.pt", tiny_model(num_heads=1))
    fake = with_hub(monkeypatch, FakeHub(tmp_path, LATTE))
    path = resolve_source(text)
    assert path == tmp_path / "ffs.pt" and load_model_folder(path).config["name"] == "ffs"
    assert fake.downloads == [{"revision": "0" * 40, "files": ["ffs.pt"]}]


def test_a_named_file_is_measured_and_read_like_any_other(tmp_path, monkeypatch):
    fake = with_hub(monkeypatch, FakeHub(tmp_path, LATTE))
    said = refusal(resolve_source, "owner/repo/faces.pt")
    assert "has no faces.pt" in said and "of ffs.pt, ucf101.pt)" in said
    fake.sizes = {"ffs.pt": 10**12, "ucf101.pt": None}
    assert "1000.0 GB" in refusal(resolve_source, "owner/repo/ffs.pt")
    assert "unknown size" in refusal(resolve_source, "owner/repo/ucf101.pt")
    assert not fake.downloads
    fake.sizes = LATTE
    marker = tmp_path / "ran"
    torch.save({"ema": {"w": torch.ones(2), "x": Command(marker)}}, tmp_path / "ffs.pt")
    said = refusal(load_model_folder, resolve_source("owner/repo/ffs.pt"))
    assert "contains code objects" in said and not marker.exists()


def test_model_folders_name_their_parts_alike():
    """The Hub's allow-list and the reader must mean the same files."""
    assert model_folder.SHARD.fullmatch("transformer-00001-of-00012.safetensors")
    assert not model_folder.SHARD.fullmatch("transformer-1-of-2.safetensors")
