"""A run that was kept: its files, and the names that nobody can guess or make up."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fvdm_core.keyframes import frames_of_columns

SHOWN = re.compile(r"clip\.(mp4|gif)|recipe\.json|thumb\.jpg|(frames|keyframes)/\d+\.png")
NAME = re.compile(r"[A-Za-z0-9_-]{16,64}")  # what `new_name` and the job registry make


@dataclass(frozen=True)
class Saved:
    """The files of one finished run."""

    folder: Path

    @property
    def video(self) -> Path:
        return self.folder / "clip.mp4"

    @property
    def gif(self) -> Path:
        return self.folder / "clip.gif"

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.json"

    @property
    def thumb(self) -> Path:
        return self.folder / "thumb.jpg"

    @property
    def frames(self) -> list[Path]:
        files = (self.folder / "frames").glob("*.png")
        return sorted(files, key=lambda file: (len(file.name), file.name))

    def columns(self, frames_per_latent: int) -> list[list[Path]]:
        """The frames of each column that a model's timelines have for such a clip."""
        frames = self.frames
        return [frames[own] for own in frames_of_columns(len(frames), frames_per_latent)]

    @property
    def keyframes(self) -> dict[int, Path]:
        """The fitted picture of each frame that had one; frames count from 0."""
        files = sorted((self.folder / "keyframes").glob("*.png"))
        return {int(file.stem) - 1: file for file in files}

    @property
    def job(self) -> str:
        return job_of(self.folder)

    @property
    def name(self) -> str:
        """What the run is called in downloads."""
        return self.folder.name.rpartition(".")[0] or "clip"

    @property
    def address(self) -> str:
        """Where the page finds this run, below its own address; see `ui.downloads`."""
        return f"runs/{self.folder.parent.name}/{self.job}"

    def about(self) -> dict[str, Any]:
        """What the history says of this run; {} where it was not written."""
        try:
            about = json.loads((self.folder / "about.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}


def new_name() -> str:
    """A folder name that nobody can guess."""
    return secrets.token_urlsafe(16)


def is_name(text: object) -> bool:
    """Whether `text` is a name of our own making, so neither a path nor somebody's idea of one."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None


def is_shown(path: PurePath) -> bool:
    """Whether a path, from the folder of all runs on, is of a file of one that a page may have."""
    if len(path.parts) < 3:
        return False
    home, run, *file = path.parts
    name, _, job = run.rpartition(".")
    named = is_name(home) and is_name(job) and bool(name) and not name.startswith(".")
    return named and SHOWN.fullmatch("/".join(file)) is not None


def home_name(session: str) -> str:
    """The folder of a session's runs. Links name it: it must not tell the session, which is the
    secret that a browser owns its runs by."""
    return base64.urlsafe_b64encode(hashlib.sha256(session.encode()).digest())[:22].decode()


def job_of(folder: Path) -> str:
    """The name of the run whose folder it is."""
    return folder.name.rpartition(".")[2]
