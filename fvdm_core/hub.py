"""Finds a model by what a person types: a folder, a file, or a repository of the Hub."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from fvdm_core.model_folder import AUTOENCODER, CONFIG, INDEX, SHARD, TRANSFORMER

log = logging.getLogger(__name__)

# "owner/repo" or "owner/repo@revision": no dots in front, no further slashes, nothing like a URL
HUB_ID = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(@(?P<revision>\w[\w.-]{0,99}))?",
    re.ASCII,
)
MODEL_NAME = re.compile(r"[A-Za-z0-9][\w .-]{0,99}", re.ASCII)
DIFFUSERS_FILES = (CONFIG, "diffusion_pytorch_model.safetensors")
MAX_DOWNLOAD_BYTES = 8 << 30
_NETWORK_SECONDS = 15.0


def resolve_source(text: str, allow_local: bool = True, models: Path | None = None) -> Path:
    """The folder or file that `text` names: something local, or "owner/repo[@revision]" on the Hub.

    `models` is a folder whose entries may be named plainly. With `allow_local=False`, for servers
    that strangers reach, only those names are accepted, and what does not exist and what is not
    allowed are refused in the same words.

    From the Hub only *.safetensors and *.json files of a model folder are taken, after their sizes
    are known. Raises `ValueError` that says what is wrong and what to do.
    """
    text = text.strip()
    shown = text if len(text) <= 100 else f"{text[:97]}…"
    if models is not None and MODEL_NAME.fullmatch(text) and (models / text).exists():
        return models / text
    if not allow_local:
        raise ValueError(f"there is no model named {shown!r} here; choose one from the list")
    try:
        if text and Path(text).expanduser().exists():
            return Path(text).expanduser()
    except OSError:  # such as a name that is too long
        pass
    match = HUB_ID.fullmatch(text)
    if not match or ".." in text:
        raise ValueError(
            f"{shown!r} is not a folder or file here, and not a repository like owner/name or "
            "owner/name@revision"
        )
    return _download(match["repo"], match["revision"])


def resolve_autoencoder(text: str) -> Path:
    """The folder that `text` names: a local one, or "owner/repo[@revision]" on the Hub.

    Of the latter only diffusers' config and safetensors weights are taken. Raises as
    `resolve_source`.
    """
    if Path(text).expanduser().is_dir():
        return Path(text).expanduser()
    match = HUB_ID.fullmatch(text)
    if not match or ".." in text:
        raise ValueError(
            f"{text[:100]!r} is not a folder here, and not a repository like owner/name"
        )
    return _download(match["repo"], match["revision"], DIFFUSERS_FILES)


def _download(repo: str, revision: str | None, files: Collection[str] = ()) -> Path:
    """The local copy of a repository, or where it cannot be reached that of an earlier download.

    `files` are those to take; without them, those of a model.
    """
    import huggingface_hub

    # any error: those of the HTTP client belong to libraries that change from version to version
    try:
        info = huggingface_hub.HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=_NETWORK_SECONDS
        )
    except Exception as error:
        return _cached(repo, revision, error, huggingface_hub.snapshot_download, files)
    wanted = _wanted({file.rfilename: file.size for file in info.siblings or []}, repo, files)
    log.info("%s: %d files, %d MB", repo, len(wanted), sum(wanted.values()) // 10**6)
    try:
        folder = huggingface_hub.snapshot_download(
            repo, revision=info.sha, allow_patterns=list(wanted)
        )
    except Exception as error:
        return _cached(repo, revision, error, huggingface_hub.snapshot_download, files)
    return Path(folder) if files else _entry(Path(folder), list(wanted))


def _wanted(sizes: dict[str, int | None], repo: str, files: Collection[str] = ()) -> dict[str, int]:
    """`files`, or those of a model folder, or else the only safetensors file; sizes checked."""
    if absent := [name for name in files if name not in sizes]:
        raise ValueError(f"{repo} has no {absent[0]}, so it is not what is needed here")
    names = list(files) or [
        name
        for name in sizes
        if name in (CONFIG, TRANSFORMER, AUTOENCODER, INDEX) or SHARD.fullmatch(name)
    ]
    if not files and not (TRANSFORMER in names or INDEX in names):
        names = [name for name in sizes if re.fullmatch(r"[\w.-]+\.safetensors", name, re.ASCII)]
        if len(names) != 1:
            raise ValueError(
                f"{repo} is not a model for this studio: it has no {TRANSFORMER}, and "
                f"{len(names)} other safetensors files where one is needed"
            )
    unknown = [name for name in names if sizes[name] is None]
    wanted = {name: size for name in names if (size := sizes[name]) is not None}
    total = sum(wanted.values())
    if unknown or total > MAX_DOWNLOAD_BYTES:
        raise ValueError(
            f"{repo} would download {total / 1e9:.1f} GB"
            + (f" and {unknown[0]} of unknown size" if unknown else "")
            + f"; at most {MAX_DOWNLOAD_BYTES / 1e9:.1f} GB are allowed"
        )
    free = shutil.disk_usage(Path.home() if Path.home().exists() else os.curdir).free
    if total > free:
        raise ValueError(
            f"{repo} needs {total / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on this disk"
        )
    return wanted


def _cached(
    repo: str,
    revision: str | None,
    error: Exception,
    download: Callable[..., Any],
    files: Collection[str] = (),
) -> Path:
    reason = _reason(repo, revision, error)
    try:
        folder = Path(download(repo, revision=revision, local_files_only=True))
    except Exception:  # whatever the cache says, the reason above is the one that helps
        raise ValueError(reason) from None
    log.warning("%s; the copy of an earlier download is used", reason)
    names = [file.name for file in folder.iterdir()]
    if files and not set(files) <= set(names):
        raise ValueError(reason)
    return folder if files else _entry(folder, names)


def _entry(folder: Path, names: list[str]) -> Path:
    """The folder where it is a whole model, else its only safetensors file."""
    if CONFIG in names and (TRANSFORMER in names or INDEX in names):
        return folder
    weights = [name for name in names if name.endswith(".safetensors")]
    if len(weights) != 1:
        raise ValueError(f"the download has {len(weights)} safetensors files and no {CONFIG}")
    return folder / weights[0]


def _reason(repo: str, revision: str | None, error: Exception) -> str:
    name = f"{repo}@{revision}" if revision else repo
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return (
            f"{name} does not exist on the Hub or is not open to you (HTTP {status}); check the "
            "name, or log in with `hf auth login`"
        )
    if status == 404:
        return f"{name} does not exist on the Hub (HTTP 404); check the name"
    if status == 429:
        return f"the Hub has had too many requests (HTTP 429) for {name}; try again in a minute"
    if status is not None:
        return f"the Hub answered HTTP {status} for {name}; try again later"
    if isinstance(error, OSError) and error.errno == 28:
        return f"the disk is full, so {name} cannot be downloaded; free some space"
    return f"the Hub cannot be reached for {name}; check the network, or use a local folder"
