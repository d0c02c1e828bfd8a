"""The calls for programs that make a clip and stop one; the page queues and follows instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync

from ui.queue_panel import Parts
from ui.requests import EditorValue, GenerateRequest
from ui.service import Studio, session_of
from ui.settings import request_of
from ui.watching import clip_files, progress_value, strip_value

USUAL = GenerateRequest()


def wire_programs(studio: Studio, parts: Parts) -> None:
    """Offer `/generate` and `/stop`, whose parameters are those of the page's components."""

    async def generate(
        timeline: EditorValue,
        label: str | None = None,
        seed: Any = USUAL.seed,
        guidance: Any = USUAL.cfg_scale,
        solver: str = USUAL.solver,
        eta: Any = USUAL.eta,
        fps: Any = USUAL.fps,
        splice_exact: Any = USUAL.splice_exact,
        conditioning: Any = None,
        step_cache: Any = USUAL.step_cache,
        size: str | None = None,
        temporal_scale: Any = None,
        guidance_from: Any = None,
        session: Any = None,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Make a clip from a timeline; the last update has its files."""
        of_the_panel = [label, seed, guidance, solver, eta, fps, splice_exact]
        sampling = [temporal_scale, guidance_from]
        request = request_of([*of_the_panel, conditioning, step_cache, size, *sampling])
        await studio.model.wait()
        kept = session_of(session)
        kept["job"] = await run_sync(
            studio.submit, timeline, request, kept["session"], limiter=studio.reader(timeline)
        )
        seen_step = -1
        async for snapshot in studio.jobs.follow(kept["job"]):
            value = strip_value(snapshot, seen_step)
            if snapshot.preview is not None:
                seen_step = snapshot.preview.step
            files = None if snapshot.result is None else clip_files(snapshot.result)
            yield value, progress_value(snapshot), files, kept

    def stop(session: Any) -> dict[str, Any]:
        """End the session's run after its current step and keep what it has."""
        kept = session_of(session)
        stopped = studio.jobs.stop(kept["job"], owner=kept["session"])
        snapshot = studio.jobs.get(kept["job"])
        return progress_value(snapshot) if snapshot is not None and stopped else gr.skip()

    unseen = gr.Button(visible=False)
    unseen.click(
        generate,
        [parts.editor, *parts.settings, parts.session],
        [parts.strip, parts.progress, parts.clip, parts.session],
        api_name="generate",
        concurrency_limit=None,
    )
    unseen.click(stop, [parts.session], [parts.progress], api_name="stop", queue=False)
