"""A stand-in for Hugging Face's package: it forks for a decorated generator, as ZeroGPU does.

What goes in and comes out is pickled; what ZeroGPU would be asked for is noted in a file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

from gradio.context import LocalContext

FORK = multiprocessing.get_context("fork")


def GPU(task: Any = None, *, duration: Any = None) -> Any:
    if task is None:
        return partial(GPU, duration=duration)

    @wraps(task)
    def lent(*args: Any, **kwargs: Any) -> Iterator[Any]:
        request = LocalContext.request.get(None)
        token = request.headers.get("x-ip-token") if request else None
        ours, theirs = FORK.Pipe()
        given = pickle.dumps((args, kwargs))
        process = FORK.Process(target=_walk, args=(task, given, theirs), daemon=True)
        process.start()
        _note(seconds=duration(*args, **kwargs), token=token, server=os.getpid(), pid=process.pid)
        try:
            while (message := pickle.loads(ours.recv_bytes())) is not None:
                if isinstance(message, Exception):
                    raise message
                yield message
        finally:
            process.kill()
            process.join()

    return lent


def gradio_auto_wrap(task: Any) -> Any:
    """Gradio asks for every handler; ZeroGPU wraps none unless a Space wants it."""
    return task


def _walk(task: Callable[..., Iterator[Any]], given: bytes, to: Any) -> None:
    args, kwargs = pickle.loads(given)
    try:
        for value in task(*args, **kwargs):
            to.send_bytes(pickle.dumps(value))
        to.send_bytes(pickle.dumps(None))
    except Exception as error:
        to.send_bytes(pickle.dumps(error))


def _note(**asked: Any) -> None:
    with Path(os.environ["ZEROGPU_NOTES"]).open("a") as file:
        file.write(json.dumps(asked) + "\n")
