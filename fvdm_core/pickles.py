"""Judges a torch file before it is loaded, from its zip directory and its opcodes alone.

A pickle is a program: it may name any function and call it. Here it is read as a list of opcodes,
never run; what it names must be on a short list. `torch.load(weights_only=True)` then holds the
line a second time.
"""

from __future__ import annotations

import os
import pickletools
import struct
import zipfile
from collections.abc import Iterable
from typing import IO, BinaryIO

from fvdm_core.pickle_shape import Nesting

MAX_TENSORS = 20_000  # a network of 674 million parameters has 400
MAX_PICKLE_BYTES = 16 << 20
MAX_OPCODES = 1_000_000
STORAGES = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
ALLOWED = {
    "collections OrderedDict",
    "argparse Namespace",  # DiT-style files carry their arguments
    "torch Size",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {name}Storage" for name in STORAGES),
    *(f"torch {name}" for name in ("float32", "float16", "bfloat16", "float64", "int64")),
}
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def check_torch_zip(file: BinaryIO, name: str) -> None:
    """Raises `ValueError` unless an open zip file is a plain torch checkpoint without code.

    Takes little memory whatever the file claims: the directory's length is checked before it is
    read, and nothing in the file is unpacked but `data.pkl`, which is capped.
    """
    size = _check_directory(file, name)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_TENSORS + 16:
                raise ValueError(f"{name} has {len(entries)} entries; at most {MAX_TENSORS}")
            names = {entry.filename for entry in entries}
            roots = {entry.filename.partition("/")[0] for entry in entries}
            if any(_is_program(entry.filename) for entry in entries):
                raise ValueError(
                    f"{name} is a compiled program (TorchScript or .pt2), which is code; "
                    "save its weights as safetensors"
                )
            if len(roots) != 1 or f"{min(roots)}/data.pkl" not in names:
                raise ValueError(f"{name} is a zip file, but not a torch checkpoint")
            packed = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            claimed = sum(entry.file_size for entry in entries)
            if packed or claimed > size or len(names) != len(entries):
                raise ValueError(
                    f"{name} unpacks to {claimed} bytes from {size}; torch does not write such "
                    "files, and it may be made to fill the memory"
                )
            pickle = archive.getinfo(f"{min(roots)}/data.pkl")
            if pickle.file_size > MAX_PICKLE_BYTES:
                raise ValueError(f"{name} describes far more objects than a network has tensors")
            with archive.open(pickle) as stream:
                foreign = foreign_names(stream, name)
    except ValueError:
        raise
    except Exception as error:  # a damaged zip file makes the parser raise errors of many types
        raise ValueError(f"{name} is damaged or cut short: {str(error)[:120]}") from None
    refuse_code(name, foreign)


def check_bare_pickle(file: BinaryIO, name: str) -> None:
    """Always raises: a pickle outside a zip is a torch file from before 1.6, or a plain program."""
    legacy = file.read(len(_LEGACY_MAGIC)) == _LEGACY_MAGIC
    file.seek(0)
    foreign: list[str] = []
    try:
        for _ in range(4 if legacy else 1):  # magic number, version, machine, the object
            foreign += foreign_names(file, name)
    except ValueError:
        if not legacy and not foreign:
            raise
    refuse_code(name, foreign)
    raise ValueError(
        f"{name} is a {'torch file from before version 1.6' if legacy else 'pickle'}, which is not "
        "loaded here; open it where you trust it and save its weights as safetensors"
    )


def refuse_code(name: str, foreign: Iterable[str]) -> None:
    listed = sorted(set(foreign))
    if listed:
        shown = ", ".join(entry.replace(" ", ".", 1)[:60] for entry in listed[:3])
        more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
        raise ValueError(
            f"{name} contains code objects ({shown}{more}); convert it to safetensors "
            "where you trust it"
        )


def foreign_names(stream: IO[bytes], name: str) -> list[str]:
    """Everything that a pickle wants to import and that is not in `ALLOWED`, as "module name".

    STACK_GLOBAL counts whatever it names: that lies on the stack, which may hold other texts than
    the last two. torch.save does not write it of itself, and torch's own reader does not know it.
    """
    foreign: list[str] = []
    texts: list[str] = ["?", "?"]
    tensors, nesting = 0, Nesting()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name in ("GLOBAL", "INST"):
                asked = str(argument)
            elif opcode.name == "STACK_GLOBAL":
                asked = f"{texts[-2]} {texts[-1]}"
            elif opcode.name.startswith("EXT"):
                asked = f"copyreg extension-{argument}"
            else:
                asked = ""
                if isinstance(argument, str):
                    texts = [texts[-1], argument]
            known = asked in ALLOWED and opcode.name != "STACK_GLOBAL"
            if asked and not known and len(foreign) < 1000:
                foreign.append(asked)
            if not nesting.follow(opcode, argument):
                raise ValueError(f"{name} holds objects within objects, deeper than a network has")
            tensors += opcode.name == "BINPERSID"
            if tensors > MAX_TENSORS or count > MAX_OPCODES:
                raise ValueError(
                    f"{name} describes more than {MAX_TENSORS} tensors, far more than a network has"
                )
    # a text may claim any length, and an opcode may take what is not there
    except (ValueError, LookupError, MemoryError, OverflowError) as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name} is damaged: its description cannot be read") from None
    return foreign


def _is_program(entry: str) -> bool:
    inside = entry.partition("/")[2]
    return inside.startswith(("code/", "models/", "data/aotinductor")) or inside in (
        "constants.pkl",
        "archive_format",
        "serialized_exported_program.json",
    )


def _check_directory(file: BinaryIO, name: str) -> int:
    """The file's size; raises where the zip directory (APPNOTE 4.3.16) is missing or too long."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 65_557))  # the record and the longest comment
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise ValueError(f"{name} is cut short: its end is missing; copy or download it again")
    entries, length = struct.unpack("<HI", tail[at + 10 : at + 16])
    if tail[max(0, at - 20) : at - 16] == b"PK\x06\x07":  # zip64: Python then reads its record,
        start = struct.unpack("<Q", tail[at - 12 : at - 4])[0]  # which may lie in either place
        for place in (min(start, size), max(0, size - len(tail) + at - 20 - 56)):
            file.seek(place)
            record = file.read(56)
            told = struct.unpack("<Q", record[40:48])[0] if len(record) == 56 else size
            length = max(length, told if told != 0xFFFFFFFFFFFFFFFF else size)
    if length > 400 * MAX_TENSORS:
        raise ValueError(
            f"{name} holds more than {MAX_TENSORS} parts, far more than a network has tensors"
        )
    file.seek(0)
    return size
