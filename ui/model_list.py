"""The models that the page offers: the one the studio was started with, the shipped one, and those
of a folder. A page names an entry of this list, never a path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from fvdm_core.files import is_program
from fvdm_core.limits import shown

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
MOST = 200  # entries of a folder
CONFIG = "config.json"
SHIPPED, GIVEN, OF_FOLDER = "shipped", "given", "folder:"  # beginnings of keys


@dataclass(frozen=True)
class Entry:
    """A model that may be chosen. `source` is what the loader is given, None for the shipped one;
    the page is told only the rest. `again`: it may be chosen while it is loaded, as a program that
    makes a model may have been edited since."""

    key: str
    source: str | None
    title: str
    about: str = ""
    again: bool = False


class ModelList:
    """What may be loaded, read anew whenever it is asked for, so that new files show up.

    Args:
        load: a `fvdm_core.Pipeline` from the source of an entry.
        folder: model folders and files of weights; training runs, with a model folder `model`
            inside, count as such.
        given: what the studio was asked to start with: the name of one in the folder, a path or a
            name on the Hub; None for the shipped model.
    """

    def __init__(
        self,
        load: Callable[[str | None], Any],
        folder: Path | None = None,
        given: str | None = None,
    ) -> None:
        self._load = load
        self.folder = folder
        self._sources: dict[str, str | None] = {}  # by the hashes of models
        self._given: Entry | None = None
        self.first = SHIPPED  # the key of the one that the studio starts with
        if given is not None:
            self.first = self._key_of(given)
            if self.first == GIVEN:
                self._given = Entry(
                    GIVEN, given, _title_of(given), "given by --model", is_program(given)
                )

    def entries(self) -> list[Entry]:
        """Everything that may be chosen, the one from the start first."""
        given = [] if self._given is None else [self._given]
        shipped = Entry(SHIPPED, None, "Miniature Worlds", "ships with the studio")
        found = [
            Entry(OF_FOLDER + name, str(model), *_facts(model, name))
            for name, model in self._in_folder().items()
        ]
        return [*given, shipped, *found]

    def entry(self, key: object) -> Entry:
        """The entry of this key.

        Raises:
            ValueError: there is none, whatever the reason.
        """
        for entry in self.entries():
            if entry.key == key:
                return entry
        raise ValueError(f"There is no model {shown(key)} here: choose one from the list.")

    def load(self, entry: Entry) -> Any:
        """The pipeline of an entry; its loader's errors are for people.

        Raises:
            ValueError: a program, which only whoever starts the studio may name.
        """
        if entry.key != GIVEN and entry.source is not None and is_program(entry.source):
            raise ValueError(f"{entry.title} is a program, which only --model may name.")
        pipeline = self._load(entry.source)
        self._sources[pipeline.model_hash] = entry.source
        return pipeline

    def source_of(self, model_hash: str) -> str | None:
        """The source of a model that was loaded here; "" for one that was not."""
        return self._sources.get(model_hash, "")

    def _in_folder(self) -> dict[str, Path]:
        """The models of the folder by the names that they have there."""
        if self.folder is None:
            return {}
        try:
            places = sorted(self.folder.iterdir(), key=lambda place: place.name.lower())
            found = {p.name: _model_at(p) for p in places if not p.name.startswith(".")}
        except OSError:  # unmounted meanwhile: what is loaded stays
            return {}
        return dict(islice(((n, model) for n, model in found.items() if model), MOST))

    def _key_of(self, given: str) -> str:
        """The key under which the folder has what was given, or `GIVEN`."""
        models = self._in_folder()
        same = [name for name, model in models.items() if name == given or _same(given, model)]
        return OF_FOLDER + same[0] if same else GIVEN


def _model_at(place: Path) -> Path | None:
    """The model folder or file of weights that an entry of the folder is, or None."""
    for folder in (place, place / "model"):
        if os.path.isfile(folder / CONFIG):  # False, where pathlib's raises for want of permission
            return folder
    return place if place.suffix.lower() in WEIGHTS and os.path.isfile(place) else None


def _facts(model: Path, name: str) -> tuple[str, str]:
    """Title and a line about a model, from what can be read without opening its weights."""
    from fvdm_core.model_folder import read_config  # it imports torch, and the page does not wait

    try:
        if os.path.isfile(model):
            return name, f"weights, {megabytes(model.stat().st_size)}"
        files = [file for file in model.iterdir() if file.suffix.lower() in WEIGHTS]
        size = megabytes(sum(file.stat().st_size for file in files))
        config = read_config(model)
    except ValueError as error:
        return name, str(error)
    except OSError as error:
        return name, f"it cannot be read: {error.strerror}"
    frames = config["transformer"]["num_frames"]
    title = config.get("name") or name
    return title, " · ".join(([name] if title != name else []) + [f"{frames} frames", size])


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"


def _same(one: str, other: Path) -> bool:
    try:
        return os.path.samefile(Path(one).expanduser(), other)
    except (OSError, ValueError):
        return False


def _title_of(given: str) -> str:
    """A name for what was given that tells nobody where it lies."""
    local = Path(given).expanduser()
    here = is_program(given) or local.is_absolute() or local.exists()
    return local.name if here else given
