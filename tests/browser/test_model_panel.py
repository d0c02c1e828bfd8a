"""Choosing another model in a real browser, with tiny models and a broken one in a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[2]
FAKE_STUDIO = Path(__file__).parent / "fake_studio.py"
sys.path.insert(0, str(ROOT / "tests" / "core"))

from tiny import save_tiny  # noqa: E402


def test_another_model_is_chosen_and_the_page_follows(
    serve: Callable[..., str], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    models = tmp_path / "models"
    save_tiny(models / "first")
    save_tiny(models / "second", labels=["rain", "snow"], frames=8)
    save_tiny(models / "plain", labels=[], frames=8)
    (models / "broken").mkdir()
    (models / "broken" / "config.json").write_text("{}")
    arguments = ["--models", str(models), "--model", "first", "--outputs", str(tmp_path / "runs")]
    page = new_page(serve(ROOT / "app.py", *arguments))
    page.wait_for_selector(".fvdm-editor[data-ready]")
    name, menu = page.locator("#model-name"), page.get_by_role("dialog", name="Model")
    expect(name).to_contain_text("model: Tiny")
    expect(page.locator("#label input")).to_have_value("faces")

    name.click()
    expect(menu).to_contain_text("16 of 8×8, 8 per second")
    expect(menu).to_be_focused()
    entries = menu.get_by_test_id("model")
    expect(entries).to_have_count(5)
    expect(menu.locator("[data-key='folder:first']")).to_be_disabled()  # it is loaded
    menu.locator("[data-key='folder:broken']").click()
    expect(page.locator("#model .said")).to_contain_text("broken could not be loaded: config.json")
    expect(name).to_contain_text("model: Tiny")

    menu.locator("[data-key='folder:second']").click()
    expect(menu).to_contain_text("8 of 8×8")
    expect(menu).to_be_focused()  # the button of a model that is loaded cannot have it
    expect(page.locator("#model .said")).to_be_empty()
    expect(page.locator("#frames input")).to_have_value("8")
    expect(page.locator("#summary")).to_contain_text("7 frames are generated")
    expect(page.locator("#label input")).to_have_value("any")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    page.locator("#label input").click()
    page.get_by_role("option", name="snow").click()
    page.locator("#steps input").fill("3")
    page.locator("#steps input").press("Enter")
    page.locator("#generate").click()
    expect(page.locator("#progress")).to_contain_text("Done")

    name.click()
    menu.locator("[data-key='folder:plain']").click()
    expect(page.locator("#label")).to_be_hidden()  # without labels there is nothing to follow
    expect(page.locator("#guidance")).to_be_hidden()
    page.reload()
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(name).to_contain_text("model: Tiny")
    expect(page.locator("#frames input")).to_have_value("8")
    name.click()
    expect(menu.locator("[data-key='folder:plain']")).to_be_disabled()


def test_what_is_set_while_the_model_loads_stays(
    serve: Callable[..., str], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    wait = tmp_path / "hold-model"
    wait.touch()
    page = new_page(serve(FAKE_STUDIO, str(tmp_path)))
    page.wait_for_selector(".fvdm-editor[data-ready]")
    name = page.locator("#model-name")
    expect(page.locator("#model .model_panel")).to_have_attribute("data-busy", "")
    expect(page.locator("#summary")).to_contain_text("Frame 1 is kept")  # the visit has begun
    expect(name).to_contain_text("The model is loading…")
    page.get_by_role("button", name="sky 2").click()
    page.wait_for_function("window.fvdmEditor.value.keyframes[0].file.orig_name === 'sky-2.png'")
    page.locator("#guidance input[type=number]").fill("3")
    page.locator("#guidance input[type=number]").press("Tab")
    wait.unlink()
    expect(name).to_contain_text("model: Test <b>worlds</b>")
    expect(page.locator("#label input")).to_have_value("sky")  # of the picture that is there now
    expect(page.locator("#guidance input[type=number]")).to_have_value("3")


OWN = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace

class Grey(torch.nn.Module):
    config = NetworkShape(num_frames=5, latent_channels=3, latent_size=16)

    def class_of(self, text):
        return len(text)

    def forward(self, x, t, y):
        return torch.linspace(-0.8, 0.8, x.shape[1])[:, None, None, None].expand_as(x)

class Slow(PixelSpace):
    frames_per_latent = 2

    def decode(self, latents):
        return torch.cat([latents[:1], latents[1:].repeat_interleave(2, 0)])

def load():
    schedule = NoiseSchedule("flow", prediction_type="x0")
    return Pipeline(Grey(), Slow(), schedule, ModelCard(name="Grey"))
"""


def test_a_network_of_ones_own_is_run_and_loaded_again(
    serve: Callable[..., str], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    program = tmp_path / "grey.py"
    program.write_text(OWN)
    arguments = ["--model", str(program), "--outputs", str(tmp_path / "runs")]
    page = new_page(serve(ROOT / "app.py", *arguments))
    page.wait_for_selector(".fvdm-editor[data-ready]")
    name, menu = page.locator("#model-name"), page.get_by_role("dialog", name="Model")
    expect(name).to_contain_text("model: Grey")
    # a first visit gets as many frames as the model sees
    expect(page.locator("#frames input")).to_have_value("5")
    expect(page.locator("#summary")).to_contain_text("5 frames are generated from noise")
    expect(page.locator("#shelf")).to_be_hidden()  # the examples are of other worlds
    page.locator("#more button").first.click()
    expect(page.locator("#solver")).to_be_visible()
    for option in ("temporal-scale", "step-cache", "exact"):
        expect(page.locator(f"#{option}")).to_be_hidden()

    # it takes prompts in place of labels
    expect(page.locator("#label")).to_be_hidden()
    swept = page.get_by_test_id("sweep-columns").locator("option")
    expect(swept).to_have_text(
        [
            *("Seed", "Guidance", "Guide above", "Fresh noise η", "Steps", "Solver", "Preset"),
            "Prompt",
        ]
    )
    expect(page.get_by_test_id("sweep-columns")).to_have_value("cfg_scale")  # what was chosen stays
    page.get_by_test_id("sweep-columns").select_option("label")
    values = page.get_by_test_id("sweep-columns-values")
    expect(values).to_have_attribute("placeholder", "A cat asleep. | A dog runs.")
    values.fill("A cat, asleep. | Waves")
    expect(page.get_by_test_id("sweep-cost")).to_contain_text("2 runs")
    page.locator("#prompt textarea").press_sequentially("A cat")
    page.locator("#steps input").fill("3")
    page.locator("#steps input").press("Enter")
    page.locator("#generate").click()
    expect(page.locator("#progress")).to_contain_text("Done")
    expect(page.locator("#runs")).to_contain_text("A cat · seed 7")
    page.locator("#prompt textarea").fill("Waves")
    page.locator("#generate").click()
    expect(page.locator("#runs")).to_contain_text("Waves · seed 7")
    page.get_by_test_id("run").last.get_by_test_id("run-edit").click()
    expect(page.locator("#prompt textarea")).to_have_value("A cat")
    expect(page.locator("#clip-tail")).to_have_attribute("max", "5")
    page.get_by_role("button", name="Continue", exact=True).last.click()
    expect(page.locator("#summary")).to_contain_text("Frames 1 and 2 are kept")
    page.locator("#generate").click()  # what it cannot splice exactly it is not asked to
    expect(page.locator("#runs")).to_contain_text("Continue")
    expect(page.get_by_test_id("run").filter(has_text="done")).to_have_count(3)  # or it is refused

    name.click()
    program.write_text(OWN.replace('name="Grey"', 'name="Greyer"'))
    menu.locator("[data-key='given']").click()
    expect(name).to_contain_text("model: Greyer")
    program.write_text(OWN.replace("def load", "def lode"))
    menu.locator("[data-key='given']").click()
    expect(page.locator("#model .said")).to_contain_text("must have a function load()")
    expect(page.locator("#model .said")).to_contain_text("Greyer stays in place")
