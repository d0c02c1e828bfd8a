"""Comparing on the page: two sides are chosen, run where needed, and shown as they are done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync

from ui.comparing import (
    Choices,
    compared_value,
    failed_value,
    orders,
    run_of,
    submit_both,
    waiting_value,
)
from ui.jobs import Status
from ui.pieces import CompareView
from ui.queue_panel import CAN_FAIL, HIDDEN, Parts
from ui.refusals import RequestError, checked
from ui.requests import EditorValue
from ui.service import Studio, session_of

INTERVAL = 0.2  # seconds between two looks at the runs


def wire_compare(studio: Studio, parts: Parts, compare: CompareView) -> None:
    """Bind the button of the comparison."""

    async def run_both(
        event: gr.EventData, canvas: EditorValue, *rest: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Queue what has to be generated, wait for it, and compare."""
        *settings, kept_session = rest
        session = session_of(kept_session)["session"]
        try:
            choices = checked(lambda: Choices.model_validate(event._data))
            await studio.model.wait()
            request = studio.asked(canvas, settings)
            both = await run_sync(orders, studio, choices, canvas, request, session)
            jobs = await run_sync(
                submit_both, studio, both, session, choices.again, limiter=studio.readers
            )
            kept = {
                job: await run_sync(run_of, studio, job, session)
                for job in jobs
                if studio.jobs.get(job) is None
            }
        except RequestError as error:
            yield failed_value(str(error.message))
            return
        while True:
            runs = [run for job in jobs if (run := kept.get(job) or studio.jobs.get(job))]
            ended = [run for run in runs if run.status in (Status.STOPPED, Status.FAILED)]
            if ended or len(runs) < len(jobs):
                why = ended[0].message if ended else "It is no longer known."
                yield failed_value(f"One of the two has no whole clip. {why}")
                return
            yield waiting_value(runs)
            if all(run.status is Status.DONE for run in runs):
                break
            await asyncio.sleep(INTERVAL)
        try:
            yield await run_sync(compared_value, runs, limiter=studio.readers)
        except ValueError as error:
            yield failed_value(str(error))

    asked_with = [parts.editor, *parts.settings, parts.session]
    again = compare.again(run_both, asked_with, [compare], **CAN_FAIL)
    # before what it makes room for: gradio's page goes through these one after the other
    compare.compare(None, cancels=[again], **HIDDEN)
    compare.compare(run_both, asked_with, [compare], **CAN_FAIL)
