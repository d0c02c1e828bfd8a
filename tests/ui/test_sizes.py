"""A model of several sizes on the page: what is offered, what a run is made of, what comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake import FakePipeline

from fvdm_core.media import read_video
from fvdm_core.recipe import read_recipe
from ui.jobs import Status
from ui.model_panel import facts, following, frames_of
from ui.outputs import Outputs
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest
from ui.restoring import fitted, restored
from ui.saved import new_name
from ui.service import Studio
from ui.settings import USUAL, request_of, settings_of

ANN = new_name()


class ThreeSizes(FakePipeline):
    image_size, sizes = (16, 32), ((16, 32), (16, 16), (32, 16))


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    studio = Studio(ThreeSizes, Outputs(tmp_path / "outputs"), None)
    studio.model.get()
    yield studio
    studio.jobs.close()


def painting() -> EditorValue:
    return EditorValue(levels=[[1000] * 4, [500] * 4, [0] * 4])


def test_the_panel_offers_what_the_model_was_trained_on(studio: Studio) -> None:
    size = following(studio, painting(), "sky", None, 8, "16x32")["size"]
    assert size["visible"] and size["value"] == "16x32"
    assert size["choices"] == [("32×16", USUAL), ("16×16", "16x16"), ("16×32", "16x32")]
    of_before = following(studio, painting(), "sky", None, 8, "64x64")["size"]
    assert of_before["value"] == USUAL
    assert dict(facts(studio.model.get()))["Frames"].startswith("16 of 32×16, 16×16, 16×32,")


def test_clips_play_as_fast_as_the_models_unless_somebody_chose(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThreeSizes, "card", replace(ThreeSizes.card, fps=11.6))
    rate = following(studio, painting(), "sky", None, 8, USUAL)["fps"]
    assert rate["value"] == 12
    kept = following(studio, painting(), "sky", None, 15, USUAL)["fps"]
    assert "value" not in kept
    monkeypatch.setattr(ThreeSizes, "card", replace(ThreeSizes.card, fps=0.1))
    slowest = following(studio, painting(), "sky", None, 8, USUAL)["fps"]
    assert slowest["value"] == 1


def test_the_canvas_cuts_pictures_to_the_chosen_size() -> None:
    pipeline = ThreeSizes()
    pictures = [
        frames_of(pipeline, size)["picture_size"] for size in (USUAL, "16x32", "64x64", None)
    ]
    assert pictures == [[32, 16], [16, 32], [32, 16], [32, 16]]


def test_a_model_of_one_size_offers_none(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThreeSizes, "sizes", ((16, 32),))
    size = following(studio, painting(), "sky", None, 8, USUAL)["size"]
    assert not size["visible"]


@pytest.mark.parametrize(("asked", "made"), [(None, (16, 32)), ("16x32", (32, 16))])
def test_a_run_is_made_in_its_size(
    studio: Studio, asked: str | None, made: tuple[int, int]
) -> None:
    job = studio.submit(painting(), GenerateRequest(size=asked), ANN)
    while not studio.jobs.get(job).status.over:
        time.sleep(0.01)
    done = studio.jobs.get(job)
    assert done.status is Status.DONE, done.message
    assert read_video(done.result.video).frames.shape == (4, *made, 3)


@pytest.mark.parametrize("size", ["64x64", "big", "0x16", "16x", "٣x٣"])
def test_other_sizes_are_refused(studio: Studio, size: str) -> None:
    with pytest.raises(RequestError, match="size is"):
        studio.submit(painting(), GenerateRequest(size=size), ANN)


def test_a_size_survives_the_panel_and_a_recipe(studio: Studio, tmp_path: Path) -> None:
    request = request_of(settings_of(GenerateRequest(size="16x32")))
    assert request.size == "16x32" and request.options().size == (32, 16)
    assert request_of(settings_of(GenerateRequest())).size is None
    job = studio.submit(painting(), request, ANN)
    while not studio.jobs.get(job).status.over:
        time.sleep(0.01)
    recipe = read_recipe(studio.jobs.get(job).result.recipe)
    assert restored(recipe, {}, studio.model.get()).request.size == "16x32"
    elsewhere = restored(recipe, {}, FakePipeline())
    assert elsewhere.request.size is None
    assert any("does not know 16x32" in note for note in elsewhere.notes)
    assert np.asarray(recipe.options.size).tolist() == [32, 16]


def test_a_request_is_made_to_fit_the_model_that_is_there() -> None:
    model = FakePipeline()
    asked = GenerateRequest(label="balls", size="16x32", conditioning="replacement")
    found, notes = fitted(asked, model)
    assert found == GenerateRequest() and len(notes) == 3
    sky = GenerateRequest(label="sky", temporal_scale=1.0, guidance_from=0.0)
    assert fitted(sky, model) == (sky, [])
    # what the model does by itself is left to it, whatever label comes next
    for label in ("sky", "faces"):
        same = GenerateRequest(label=label, **model.card.sampling.of(label))
        assert fitted(same, model)[0] == GenerateRequest(label=label)
    # what a recipe says of each run; the page asks this model for nothing
    assert fitted(GenerateRequest(conditioning="clean"), model) == (GenerateRequest(), [])
    model.card = replace(model.card, timesteps="scalar")
    assert fitted(asked, model)[0].conditioning == "replacement"


def test_a_fast_clip_is_restored_at_the_fastest_rate_there_is(studio: Studio) -> None:
    job = studio.submit(painting(), GenerateRequest(fps=12), ANN)
    while not studio.jobs.get(job).status.over:
        time.sleep(0.01)
    recipe = read_recipe(studio.jobs.get(job).result.recipe)
    fast = replace(recipe, options=replace(recipe.options, fps=120))
    found = restored(fast, {}, studio.model.get())
    assert found.request.fps == 60 and "120 frames per second; here at 60" in found.notes[0]
