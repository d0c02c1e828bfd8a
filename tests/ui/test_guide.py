"""The guide as the page shows it: no address in it leads nowhere."""

import re

from starlette.applications import Starlette
from starlette.testclient import TestClient

from ui.guide import GUIDE, PICTURES, picture_routes, written_for_page


def test_all_pictures_of_the_guide_are_served_and_nothing_else():
    text = written_for_page(GUIDE.read_text("utf-8"))
    pictures = re.findall(r'(?:\]\(|src=")([^)"]*)', text)
    assert len(pictures) > 8 and all(name.startswith(f"{PICTURES}/") for name in pictures)
    client = TestClient(Starlette(routes=picture_routes()))
    for name in pictures:
        answer = client.get(f"/{name}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert client.get(f"/{PICTURES}/%2e%2e/guide.md").status_code == 404


def test_links_that_have_no_page_become_words():
    text = "# A\n\n- [B](#b)\n- [C](#c)\n\nSee [the cost](evidence.md#x) and [it](../README.md).\n"
    assert written_for_page(text) == "# A\n\n\nSee the cost (evidence.md) and it (README.md).\n"
    assert not re.search(
        r"\.md[#)]*\]|\]\(#|\]\([^)]*\.md", written_for_page(GUIDE.read_text("utf-8"))
    )


def test_links_to_other_sites_stay():
    assert written_for_page("[A](https://a.org/b.md)") == "[A](https://a.org/b.md)"
