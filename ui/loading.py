"""Holds the model: the first is loaded in the background, and another can take its place."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from fvdm_core.memory import out_of_memory

log = logging.getLogger(__name__)


class LoadingModel:
    """A pipeline that is, or soon will be, loaded, and that another one may replace.

    `load` runs once, in a thread of its own. Its `ValueError` and `OSError` texts are for people.
    `key` names the pipeline that is there, or that is loaded first; `coming` the one on its way;
    `error` says why the one that was `tried` last could not be loaded. `version` grows with each
    change of these, `loads` with each pipeline that is there.
    """

    def __init__(self, load: Callable[[], Any], key: str = "") -> None:
        self.key = self.tried = key
        self.coming = ""
        self.error = ""
        self.version = 0
        self.loads = 0
        self._decided = threading.Event()  # about the first one
        self._pipeline: Any = None
        threading.Thread(target=self._first, args=(load,), name="load model", daemon=True).start()

    def _first(self, load: Callable[[], Any]) -> None:
        try:
            self._pipeline, self.error = _attempt(load)
            self.loads += self.ready
        finally:  # whatever ended the thread
            if not self.ready and not self.error:
                self.error = "loading it ended without a word; see the server's log."
            self._decided.set()
            self.version += 1  # last: who has seen it has seen that it is decided

    def replace(self, load: Callable[[], Any], key: str, then: Callable[[], None]) -> None:
        """Load another one in a thread and put it in the place of this one, whose memory is freed.

        If it cannot be loaded, this one stays. `then` is called when that is decided. One at a
        time, and not before the first is decided: the caller sees to that.
        """
        self.coming, self.tried, self.error = key, key, ""
        self.version += 1

        def run() -> None:
            try:
                pipeline, self.error = _attempt(load)
                if pipeline is not None:
                    self._pipeline, self.key = pipeline, key
                    self.loads += 1
            finally:
                then()
                self.coming = ""
                self.version += 1
                _give_back_memory()

        threading.Thread(target=run, name="load another model", daemon=True).start()

    @property
    def ready(self) -> bool:
        return self._pipeline is not None

    @property
    def pending(self) -> bool:
        """Whether the first one is still on its way."""
        return not self._decided.is_set()

    def get(self) -> Any:
        """The pipeline, waiting for the first one where needed.

        Raises:
            ValueError: there is none; the text says why.
        """
        self._decided.wait()
        pipeline = self._pipeline
        if pipeline is None:
            raise ValueError(f"The model could not be loaded: {self.error}")
        return pipeline

    async def wait(self) -> bool:
        """Whether there is a model, once that is decided, without holding a thread."""
        while self.pending:
            await asyncio.sleep(0.05)
        return self.ready


def _attempt(load: Callable[[], Any]) -> tuple[Any, str]:
    """What `load` returns and "", or None and why not."""
    try:
        return load(), ""
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            return None, error.strerror or type(error).__name__  # without the path
        if isinstance(error, (ValueError, OSError)):
            return None, str(error)
        if out_of_memory(error):
            return None, "There is not enough memory for it."
        log.exception("Loading the model failed")
        return None, f"{type(error).__name__}; see the server's log"


def _give_back_memory() -> None:
    from fvdm_core.device import give_back_memory  # torch: the page does not wait for it

    give_back_memory()
