"""Choosing another model in a real browser, with tiny models and a broken one in a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

ROOT = Path(__file__).parents[2]
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
    entries = menu.get_by_test_id("model")
    expect(entries).to_have_count(5)
    expect(menu.locator("[data-key='folder:first']")).to_be_disabled()  # it is loaded
    menu.locator("[data-key='folder:broken']").click()
    expect(page.locator("#model .said")).to_contain_text("broken could not be loaded: config.json")
    expect(name).to_contain_text("model: Tiny")

    menu.locator("[data-key='folder:second']").click()
    expect(menu).to_contain_text("8 of 8×8")
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
