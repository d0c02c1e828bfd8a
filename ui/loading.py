"""Loads the model in the background, so that the page is there before the weights are."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


class LoadingModel:
    """A pipeline that is, or soon will be, loaded.

    `load` runs once, in a thread of its own. Its `ValueError` and `OSError` texts are for people.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._done = threading.Event()
        self._pipeline: Any = None
        self.error = ""
        threading.Thread(target=self._run, name="load model", daemon=True).start()

    def _run(self) -> None:
        try:
            self._pipeline = self._load()
        except (ValueError, OSError) as error:
            self.error = str(error)
        except Exception as error:
            log.exception("Loading the model failed")
            self.error = f"{type(error).__name__}; see the server's log"
        finally:
            self._done.set()

    @property
    def ready(self) -> bool:
        return self._pipeline is not None

    @property
    def pending(self) -> bool:
        return not self._done.is_set()

    def get(self) -> Any:
        """The pipeline, waiting for it where needed.

        Raises:
            ValueError: it could not be loaded; the text says why.
        """
        self._done.wait()
        if self._pipeline is None:
            raise ValueError(f"The model could not be loaded: {self.error}")
        return self._pipeline

    async def wait(self) -> bool:
        """Whether the model is ready, once that is decided, without holding a thread."""
        while self.pending:
            await asyncio.sleep(0.05)
        return self.ready
