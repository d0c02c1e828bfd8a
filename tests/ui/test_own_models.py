"""Models that are not ours on the page: what it offers of them, and clips of more frames than the
timeline has columns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake import example_pictures
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from torch import nn

from fvdm_core import NoiseSchedule, Pipeline, Timeline
from fvdm_core.card import ModelCard
from fvdm_core.measures import kept_frames
from fvdm_core.media import load_image, read_video
from fvdm_core.network import NetworkShape, PixelSpace
from fvdm_core.pictures import png_picture, write_png
from fvdm_core.recipe import read_recipe
from ui import editing
from ui.afterwards import Afterwards
from ui.comparing import Choice, Choices, orders
from ui.loading import LoadingModel
from ui.model_list import GIVEN, OF_FOLDER, SHIPPED, Entry, ModelList
from ui.model_panel import facts, following, panel_value
from ui.outputs import Outputs
from ui.python_code import python_code
from ui.refusals import RequestError, checked
from ui.requests import EditorValue, GenerateRequest, PresetRequest
from ui.restoring import fitted
from ui.saved import Saved, new_name
from ui.service import Studio, _examples
from ui.settings import USUAL
from ui.watching import clip_files

SESSION = new_name()
KEPT = {"session": SESSION, "job": None}
STEPS = 2


class Grey(nn.Module):
    """Predicts frames that are the brighter the later they are."""

    config = NetworkShape(num_frames=5, latent_channels=3, latent_size=16)

    def forward(self, x: torch.Tensor, t: torch.Tensor, y: None) -> torch.Tensor:
        shades = torch.linspace(-0.8, 0.8, x.shape[1])[:, None, None, None]
        return shades.expand_as(x)


class Slow(PixelSpace):
    """Two frames for each latent but the first, of which the earlier is black."""

    frames_per_latent = 2

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        later = [frame for latent in latents[1:] for frame in (torch.full_like(latent, -1), latent)]
        return torch.stack([latents[0], *later])


def pipeline() -> Pipeline:
    schedule, card = NoiseSchedule("flow", prediction_type="x0"), ModelCard(name="Grey")
    return Pipeline(Grey(), Slow(), schedule, card, model_hash="0" * 16, device="cpu")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "grey.py").touch()
    models = ModelList(lambda source: pipeline(), given=str(tmp_path / "grey.py"))
    studio = Studio(models, Outputs(tmp_path / "outputs"), None)
    studio.model.get()
    yield studio
    studio.jobs.close()


def painting(studio: Studio, frames: int = 5) -> EditorValue:
    request = PresetRequest(name="standard", frames=frames, steps=STEPS)
    return editing.with_preset(None, request, studio.window)


def run(studio: Studio, editor: EditorValue) -> Saved:
    job = studio.submit(editor, GenerateRequest(), SESSION)
    until = time.monotonic() + 120
    while not (snapshot := studio.jobs.get(job)).status.over:  # type: ignore[union-attr]
        assert time.monotonic() < until
        time.sleep(0.01)
    assert snapshot is not None and snapshot.result is not None, snapshot
    assert snapshot.preview is not None and snapshot.preview.sheet.frames == editor.frames
    return snapshot.result


def test_what_a_model_cannot_do_is_off_and_not_on_its_page(studio: Studio) -> None:
    shown = following(studio, painting(studio), None, None, 8, USUAL)
    for option, without in (("temporal_scale", ""), ("step_cache", 0.0), ("splice_exact", False)):
        assert shown[option]["visible"] is False and shown[option]["value"] == without
    with_all = GenerateRequest(temporal_scale=1.0, step_cache=0.2, splice_exact=True, seed=9)
    request, notes = fitted(with_all, studio.model.get())
    assert request == GenerateRequest(seed=9)
    assert notes == [
        f"This model cannot be run with “{title}”, so that is off."
        for title in ("Coherence", "Step caching", "Splice kept pictures exactly")
    ]
    assert fitted(GenerateRequest(), studio.model.get())[1] == []
    with pytest.raises(RequestError, match="splice_exact is on, but Grey makes 2 frames of each"):
        studio.submit(painting(studio), GenerateRequest(splice_exact=True), SESSION)


def test_a_first_visit_finds_nothing_of_the_shipped_model(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = example_pictures(tmp_path / "examples")
    monkeypatch.setattr(studio, "examples", _examples(folder))
    welcome = studio.welcome()
    assert welcome.keyframes and studio.is_foreign_welcome(welcome)
    painted = welcome.model_copy(deep=True)
    painted.levels[3][3] = 5
    assert not studio.is_foreign_welcome(painted)
    plain = studio.plain_welcome()
    assert (plain.frames, plain.keyframes) == (5, []) and plain.preset is not None
    assert plain.preset.name == "standard"
    assert following(studio, welcome, None, None, 8, USUAL)["shelf"]["visible"] is False

    card = ModelCard(name="Worlds", labels=("rain", "faces"))
    monkeypatch.setattr(studio.model.get(), "card", card)  # trained on the same worlds
    assert not studio.is_foreign_welcome(welcome)
    assert following(studio, welcome, None, None, 8, USUAL)["shelf"]["visible"] is True


def test_what_a_model_can_do_stays_as_it_is(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = frozenset({"temporal_scale", "step_cache", "splice_exact"})
    monkeypatch.setattr(studio.model.get(), "skills", everything)
    shown = following(studio, painting(studio), None, None, 8, USUAL)
    for option in everything:
        assert shown[option]["visible"] is True and "value" not in shown[option]
    with_all = GenerateRequest(temporal_scale=1.0, step_cache=0.2, splice_exact=True)
    assert fitted(with_all, studio.model.get()) == (with_all, [])


def test_a_run_of_a_model_that_could_more_is_compared_and_queued_again(studio: Studio) -> None:
    editor = painting(studio)
    saved = run(studio, editor)
    before = studio.order(editor, GenerateRequest(splice_exact=True))
    listed = next(run for run in studio.jobs.runs_of(SESSION) if run.job == saved.job)
    object.__setattr__(listed, "about", before)
    sides = Choices(a=Choice(kind="run", name=saved.job), b=Choice(kind="preset", name="staggered"))
    both = orders(studio, sides, editor, GenerateRequest(), SESSION)
    assert [side.request for side in both] == [GenerateRequest()] * 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_load_that_ends_the_thread_is_decided_all_the_same() -> None:
    def gone() -> Any:
        raise SystemExit("such as of a parser of arguments")

    model = LoadingModel(gone)
    with pytest.raises(ValueError, match="The model could not be loaded: loading it ended"):
        model.get()
    assert not model.pending and not model.ready


def test_no_program_of_a_folder_is_run(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("")
    models = ModelList(lambda source: pipeline(), tmp_path)
    with pytest.raises(ValueError, match="net.py is a program, which only --model may name"):
        models.load(Entry(OF_FOLDER + "net.py", str(tmp_path / "net.py"), "net.py"))


def test_a_prompt_has_a_box_in_place_of_the_labels(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = "A cat walks along a garden wall in the morning sun and looks into the camera."
    asked = GenerateRequest(label=prompt)
    without = following(studio, painting(studio), prompt, None, 8, USUAL)
    assert without["prompt"]["visible"] is without["label"]["visible"] is False
    assert without["label"]["value"] == "" and not without["cfg_scale"]["visible"]
    words = [f"This model does not know {prompt!r}, so any label is chosen."]
    assert fitted(asked, studio.model.get()) == (GenerateRequest(), words)
    with pytest.raises(RequestError, match="label is 'A cat walks .*: the model knows no labels"):
        studio.submit(painting(studio), asked, SESSION)

    monkeypatch.setattr(Grey, "class_of", lambda self, text: 1, raising=False)
    monkeypatch.setattr(studio.model.get(), "skills", frozenset({"prompts"}))
    shown = following(studio, painting(studio), prompt, None, 8, USUAL)
    assert shown["prompt"]["visible"] and shown["prompt"]["value"] == prompt
    assert shown["label"]["visible"] == "hidden" and shown["label"]["value"] == prompt
    assert shown["cfg_scale"]["visible"]
    assert fitted(asked, studio.model.get()) == (asked, [])
    order = studio.order(painting(studio), asked)
    assert order.settings.startswith("A cat walks along a garden wall in the… · seed 0")
    with pytest.raises(RequestError, match="label"):
        checked(lambda: GenerateRequest(label="a" * 2001))


def test_a_clip_has_more_frames_than_the_timeline_has_columns(studio: Studio) -> None:
    saved = run(studio, painting(studio))
    assert len(read_video(saved.video).frames) == len(saved.frames) == 9
    columns = [[path.stem for path in own] for own in saved.columns(2)]
    assert columns[:2] == [["0001"], ["0002", "0003"]] and columns[-1] == ["0008", "0009"]
    columns = [[path.stem for path in own] for own in saved.columns(3)]  # another model's
    assert columns == [["0003"], ["0004", "0005", "0006"], ["0007", "0008", "0009"]]
    assert saved.columns(1) == [[path] for path in saved.frames]
    for each, columns in ((1, 9), (2, 5), (3, 3)):
        assert len(saved.columns(each)) == columns
    assert clip_files(saved).frames == 9
    assert studio.frames_per_latent == 2
    lines = studio.summary(painting(studio), GenerateRequest())
    (cost,) = (line["text"] for line in lines if line["kind"] == "cost")
    assert cost.endswith(" · the columns become 9 frames")
    said = dict(facts(studio.model.get()))["Frames"]
    assert said.endswith("8 per second; each but the first stands for 2 of the clip's")
    said = dict(facts(studio.model.get()))["Noise"]
    assert said == "flow schedule; it predicts the clean clip"


def test_the_seam_is_beside_all_frames_of_a_kept_column(studio: Studio) -> None:
    held = np.zeros((3, 5), int)
    held[:2, [0, 1, 3]] = 1000  # the third and the fifth column stay
    assert kept_frames(Timeline(held).kept, 9, 2) == [3, 4, 7, 8]
    assert kept_frames(Timeline(held).kept, 5) == [2, 4]
    saved = run(studio, painting(studio))
    assert saved.about()["motion"] > 10 and saved.about()["seam"] is None
    files = clip_files(saved)
    assert (files.motion, files.seam) == (saved.about()["motion"], None)


def test_such_a_clip_goes_on_by_its_columns(studio: Studio) -> None:
    """The frames between them are black here, and would be given as keyframes."""
    saved, after = run(studio, painting(studio)), Afterwards(studio)
    shades = np.linspace(-0.8, 0.8, 5)

    def given(editor: EditorValue) -> list[float]:
        pictures = editor.pictures()
        return [read_picture(pictures[frame][0]) for frame in sorted(pictures)]

    def read_picture(path: Path) -> float:
        return float(load_image(path, (16, 16)).mean()) / 127.5 - 1

    onward = after.continue_clip(KEPT, {"job": saved.job, "tail": 2})
    assert given(onward) == pytest.approx(shades[-2:], abs=0.01) and onward.frames == 5
    with pytest.raises(RequestError, match="its last 1 to 4 columns of 2 frames"):
        after.continue_clip(KEPT, {"job": saved.job, "tail": 9})
    with pytest.raises(RequestError, match="has 5 columns of 2 frames already"):
        after.extend_clip(KEPT, {"job": saved.job, "frames": 5})
    longer = after.extend_clip(KEPT, {"job": saved.job, "frames": 8})
    assert given(longer) == pytest.approx(shades, abs=0.01) and longer.frames == 8
    used = after.use_frame(KEPT, {"job": saved.job, "frame": 7}, onward)  # any frame of the clip
    assert given(used) == pytest.approx([-1, shades[-1]], abs=0.01)
    assert after.exactly(False) is after.exactly(True) is False


class Together(Slow):
    """Both frames of a latent are in it: the earlier in its upper half."""

    def encode_clip(self, video: torch.Tensor) -> torch.Tensor:
        earlier, later = video[1::2], video[2::2]
        halves = torch.cat([earlier[:, :, :8], later[:, :, 8:]], dim=2)
        return torch.cat([video[:1], halves])

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        upper, lower = latents[1:, :, :8], latents[1:, :, 8:]
        both = [half.repeat(1, 1, 2, 1) for half in (upper, lower)]
        return torch.cat([latents[:1], torch.stack(both, dim=1).flatten(0, 1)])


@pytest.mark.parametrize("way", ["extend", "diagonal", "hierarchical"])
def test_what_is_kept_of_such_a_clip_moves(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """As a still it would be what the autoencoder never makes of a clip."""
    monkeypatch.setattr(sys.modules[__name__], "Slow", Together)
    studio.change_model(GIVEN)
    wait_for(lambda: not studio.model.coming)
    saved, after = run(studio, painting(studio)), Afterwards(studio)
    # a clip whose frames all differ
    for number, path in enumerate(saved.frames):
        write_png(path, np.full((16, 16, 3), 20 * number, np.uint8))
    onward = after.continue_clip(KEPT, {"job": saved.job, "tail": 2})
    first, second = (Path(each.file.path) for each in onward.keyframes)
    assert shades(first) == [120] and shades(second) == [140, 160]
    longer = after.extend_clip(KEPT, {"job": saved.job, "frames": 8, "way": way})
    assert len(longer.keyframes) == 5
    made = run(studio, longer)
    assert [value for path in made.frames[:9] for value in shades(path)] == [*range(0, 180, 20)]
    kept = {frame: shades(path) for frame, path in made.keyframes.items()}
    assert kept == {0: [0], 1: [20, 40], 2: [60, 80], 3: [100, 120], 4: [140, 160]}
    for found in (
        after.restore_run(KEPT, {"job": made.job}),
        after.restore_file(KEPT, {"path": save_file_to_cache(made.video, get_upload_folder())}),
    ):
        assert found.notes == ()
        back = {each.frame: shades(Path(each.file.path)) for each in found.editor.keyframes}
        assert back == kept
    again = run(studio, found.editor)
    assert [path.read_bytes() for path in again.frames] == [p.read_bytes() for p in made.frames]


def shades(path: Path) -> list[int]:
    """The upper left pixel of each frame."""
    picture = png_picture(path.read_bytes(), "it")
    return [int(frame[0, 0, 0]) for frame in (picture if picture.ndim == 4 else [picture])]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_its_program_may_be_chosen_again_and_is_named_in_the_code(studio: Studio) -> None:
    entries = {entry["key"]: entry for entry in panel_value(studio)["entries"]}
    assert entries[GIVEN]["again"] and entries[GIVEN]["title"] == "grey.py"
    assert not entries[SHIPPED]["again"]
    before = studio.model.get()
    studio.change_model(GIVEN)
    wait_for(lambda: not studio.model.coming)
    assert studio.model.get() is not before
    saved = run(studio, painting(studio))
    given = studio.models.source_of(studio.model.get().model_hash)
    code = python_code(saved, read_recipe(saved.recipe), given, 5)
    assert "from fvdm_core import Timeline\nfrom fvdm_core.own import load_own\n\n" in code
    assert "pipe = load_own('grey.py')" in code and str(Path(str(given)).parent) not in code
    compile(code, "run.py", "exec")
