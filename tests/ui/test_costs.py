"""What a model call takes is learned, kept, and never trusted blindly."""

from __future__ import annotations

from pathlib import Path

import pytest

from ui.costs import KEPT_RUNS, Costs, in_words


def test_it_learns_and_remembers(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    costs = Costs(file)
    assert costs.seconds_per_call("a") is None
    costs.learn("a", 1.0)
    assert costs.seconds_per_call("a") == 1.0
    costs.learn("a", 2.0)
    assert costs.seconds_per_call("a") == pytest.approx(1.5)
    assert Costs(file).seconds_per_call("a") == pytest.approx(1.5)


def test_a_slow_run_does_not_dominate_and_a_slower_machine_is_noticed(tmp_path: Path) -> None:
    costs = Costs(tmp_path / "costs.json")
    for seconds in (1.0, 1.1, 50.0, 0.9):
        costs.learn("a", seconds)
    assert costs.seconds_per_call("a") == pytest.approx(1.05)
    for _ in range(KEPT_RUNS):
        costs.learn("a", 3.0)
    assert costs.seconds_per_call("a") == 3.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"a": "x"}',
        '{"a": NaN}',
        '{"a": 1}',
        '{"a": [-1]}',
        '{"a": [NaN]}',
        '{"a": []}',
    ],
)
def test_a_damaged_file_is_learned_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "costs.json"
    file.write_text(text)
    costs = Costs(file)
    assert costs.seconds_per_call("a") is None
    costs.learn("a", 1.0)
    assert Costs(file).seconds_per_call("a") == 1.0


def test_a_folder_that_cannot_be_written_costs_only_the_guess(tmp_path: Path) -> None:
    costs = Costs(tmp_path / "absent" / "costs.json")
    costs.learn("a", 1.0)
    assert costs.seconds_per_call("a") == 1.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "less than a second"), (5.4, "about 5 s"), (300, "about 5 min"), (9000, "about 2.5 h")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
