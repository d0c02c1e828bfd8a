"""Finds a model by what a person types: a folder, a file, a repository of the Hub, its file."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from fvdm_core.files import atomic_write
from fvdm_core.model_folder import AUTOENCODER, CONFIG, INDEX, SHARD, TRANSFORMER

log = logging.getLogger(__name__)

# "owner/repo", "owner/repo@revision", and either with "/file.pt" behind it: no dots in front, no
# further slashes, nothing like a URL
HUB_ID = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(@(?P<revision>\w[\w.-]{0,99}))?"
    r"(/(?P<file>\w[\w.-]{0,95}\.(pt|pth|ckpt|bin|safetensors)))?",
    re.ASCII,
)
DIFFUSERS_FILES = (CONFIG, "diffusion_pytorch_model.safetensors")
VAE = "vae"  # the folder of a model's autoencoder, where that is diffusers'
MAX_DOWNLOAD_BYTES = 8 << 30
_NETWORK_SECONDS = 15.0
_LISTED = 6  # file names in a message
_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve_source(text: str) -> Path:
    """The folder or file that `text` names: something local, or "owner/repo[@revision][/file]" of
    the Hub.

    From the Hub only *.safetensors and *.json files of a model folder are taken, or the one file of
    weights that is named, after their sizes are known. A file in another format than safetensors
    is never chosen unnamed. Raises `ValueError` that says what is wrong and what to do.
    """
    text = text.strip()
    shown = text if len(text) <= 100 else f"{text[:97]}…"
    try:
        if text and Path(text).expanduser().exists():
            return Path(text).expanduser()
    except (OSError, RuntimeError):  # such as a name that is too long, or the home of nobody
        pass
    match = HUB_ID.fullmatch(text)
    if not match or ".." in text:
        raise ValueError(
            f"{shown!r} is not a folder or file here, and not a repository like owner/name or "
            "owner/name@revision, nor a file of one like owner/name/weights.pt"
        )
    if match["file"]:
        folder, _ = _download(match, [match["file"]])
        return folder / match["file"]
    return _entry(*_download(match))


def resolve_autoencoder(text: str) -> Path:
    """The folder that `text` names: a local one, or "owner/repo[@revision]" on the Hub.

    Of the latter only diffusers' config and safetensors weights are taken. Raises as
    `resolve_source`.
    """
    with suppress(OSError, RuntimeError):
        if Path(text).expanduser().is_dir():
            return Path(text).expanduser()
    match = HUB_ID.fullmatch(text)
    if not match or match["file"] or ".." in text:
        raise ValueError(
            f"{text[:100]!r} is not a folder here, and not a repository like owner/name"
        )
    return _download(match, DIFFUSERS_FILES)[0]


def _download(asked: re.Match[str], files: Collection[str] = ()) -> tuple[Path, list[str]]:
    """The local copy of a repository and its files, or where it cannot be reached that of an
    earlier download. `asked` is the match of `HUB_ID`.

    `files` are those to take; without them, those of a model. The progress is shown by the Hub's
    own bars, where there is a terminal.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    repo, revision = asked["repo"], asked["revision"]
    cache = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    # any error: those of the HTTP client belong to libraries that change from version to version
    try:
        info = HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=_NETWORK_SECONDS
        )
    except Exception as error:
        return _cached(cache, asked, error, files)
    sizes = {file.rfilename: file.size for file in info.siblings or []}
    wanted = _wanted(sizes, repo, files, cache / "snapshots" / str(info.sha))
    log.info("%s: %d files, %d MB", repo, len(wanted), sum(wanted.values()) // 10**6)
    try:
        # by the commit, so that exactly what was measured comes
        folder = snapshot_download(repo, revision=info.sha, allow_patterns=list(wanted))
    except Exception as error:
        return _cached(cache, asked, error, files)
    _note(cache, revision, info.sha or Path(folder).name)
    return Path(folder), list(wanted)


def _wanted(
    sizes: Mapping[str, int | None], repo: str, files: Collection[str], snapshot: Path
) -> dict[str, int]:
    """`files`, or those of a model folder, or else the only safetensors file; sizes checked, of
    what is not in the `snapshot` of an earlier download."""
    if absent := [name for name in files if name not in sizes]:
        raise ValueError(f"{repo} has no {absent[0]}{_instead(sizes, repo)}")
    coder = [f"{VAE}/{name}" for name in DIFFUSERS_FILES]
    coder = coder if all(name in sizes for name in coder) else []
    ours = (CONFIG, TRANSFORMER, AUTOENCODER, INDEX, *coder)
    names = list(files) or [name for name in sizes if name in ours or SHARD.fullmatch(name)]
    if not files and not (TRANSFORMER in names or INDEX in names):
        names = [name for name in sizes if re.fullmatch(r"[\w.-]+\.safetensors", name, re.ASCII)]
        if len(names) != 1:
            raise ValueError(
                f"{repo} is not a model for this studio: it has no {TRANSFORMER}, and "
                f"{len(names)} other safetensors files where one is needed{_instead(sizes, repo)}"
            )
    beside = [] if CONFIG in files else coder  # CONFIG is named for an autoencoder itself
    if TRANSFORMER in files and CONFIG in sizes:
        beside = [*coder, CONFIG]  # by which `refuse_part` knows ours
    names += [name for name in beside if name not in names]
    unknown = [name for name in names if sizes[name] is None]
    wanted = {name: size for name in names if (size := sizes[name]) is not None}
    total = sum(wanted.values())
    if unknown or total > MAX_DOWNLOAD_BYTES:
        raise ValueError(
            f"{repo} would download {total / 1e9:.1f} GB"
            + (f" and {unknown[0]} of unknown size" if unknown else "")
            + f"; at most {MAX_DOWNLOAD_BYTES / 1e9:.1f} GB are allowed"
        )
    there = next((folder for folder in snapshot.parents if folder.exists()), Path.cwd())
    free = shutil.disk_usage(there).free
    missing = sum(size for name, size in wanted.items() if not (snapshot / name).exists())
    if missing > free:
        raise ValueError(
            f"{repo} needs {missing / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free on this disk"
        )
    return wanted


def _instead(sizes: Mapping[str, int | None], repo: str) -> str:
    """The end of a refusal: which files of the repository may be named, where there are any."""
    matches = [HUB_ID.fullmatch(f"{repo}/{name}") for name in sorted(sizes)]
    names = [match["file"] for match in matches if match and match["file"]]
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"; name a file of it, such as {repo}/{names[0]} (of {', '.join(names[:_LISTED])}{more})"


def _note(cache: Path, revision: str | None, commit: str) -> None:
    """Remember in the Hub's own cache which commit a branch or tag was, as a download by its name
    does and one by the commit does not; without it nothing is found when there is no network."""
    if revision == commit:
        return
    note = cache / "refs" / (revision or "main")
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(note) as temporary:
            temporary.write_text(commit, "utf-8")
    except OSError as error:  # what was downloaded is there all the same
        log.warning("%s; it will not be found without the network", error)


def _cached(
    cache: Path, asked: re.Match[str], error: Exception, files: Collection[str]
) -> tuple[Path, list[str]]:
    """What an earlier download left, or `ValueError` with the reason why there is no new one."""
    reason = _reason(asked[0], error)
    try:
        note = cache / "refs" / (asked["revision"] or "main")
        commit = note.read_text("utf-8").strip() if note.exists() else str(asked["revision"])
        folder = cache / "snapshots" / commit
        names = [file.name for file in folder.iterdir()] if _COMMIT.fullmatch(commit) else []
    except (OSError, ValueError):
        names = []
    whole = set(files) <= set(names) if files else CONFIG in names or _weights(names)
    if not names or not whole:
        raise ValueError(f"there is no {asked[0]} here, and {reason}") from None
    log.warning("%s; the copy of an earlier download is used", reason)
    return folder, names


def _weights(names: Collection[str]) -> list[str]:
    return [name for name in names if name.endswith(".safetensors") and "/" not in name]


def _entry(folder: Path, names: list[str]) -> Path:
    """The folder where it is a whole model, else its only safetensors file."""
    if CONFIG in names and (TRANSFORMER in names or INDEX in names):
        return folder
    weights = _weights(names)
    if len(weights) != 1:
        raise ValueError(f"the download has {len(weights)} safetensors files and no {CONFIG}")
    return folder / weights[0]


def _reason(name: str, error: BaseException) -> str:
    status = _status(error)
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


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that an error, or one that led to it, was made of."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
