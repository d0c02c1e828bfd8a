"""Turns: owners alternate, each owner's order is theirs, and the forecast is what happens."""

from __future__ import annotations

import random

import pytest

from ui.turns import Turns


def filled(**lines: str) -> Turns[str]:
    turns: Turns[str] = Turns()
    for owner, items in lines.items():
        for item in items.split():
            turns.add(owner, item)
    return turns


def served(turns: Turns[str]) -> list[str]:
    return [turns.take() for _ in range(len(turns))]


def test_owners_alternate_and_each_keeps_its_order() -> None:
    assert served(filled(ann="a1 a2 a3", bob="b1", cy="c1 c2")) == "a1 b1 c1 a2 c2 a3".split()


def test_who_comes_while_another_is_served_is_next() -> None:
    turns = filled(ann="a1 a2 a3")
    assert turns.take() == "a1"
    turns.add("bob", "b1")
    assert list(turns.order()) == ["b1", "a2", "a3"]


def test_nobody_waits_longer_than_one_round_however_many_come() -> None:
    turns = filled(ann="a1 a2")
    assert turns.take() == "a1"
    late = iter(range(1000))
    taken = []
    for _ in range(10):  # three newcomers during every run
        for _ in range(3):
            name = f"late{next(late)}"
            turns.add(name, name)
        taken.append(turns.take())
    assert "a2" in taken


def test_moving_changes_the_owner_s_order_only() -> None:
    turns = filled(ann="a1 a2 a3", bob="b1")
    assert turns.move("ann", "a3", 0)
    assert turns.line("ann") == ("a3", "a1", "a2")
    assert turns.move("ann", "a3", 99) and turns.line("ann") == ("a1", "a2", "a3")
    assert turns.move("ann", "a2", -5) and turns.line("ann") == ("a2", "a1", "a3")
    assert not turns.move("bob", "a1", 0) and not turns.move("cy", "a1", 0)
    assert served(turns) == ["a2", "b1", "a1", "a3"]


def test_removing_takes_from_the_owner_s_line_only() -> None:
    turns = filled(ann="a1 a2", bob="b1")
    assert not turns.remove("bob", "a1") and len(turns) == 3
    assert turns.remove("bob", "b1") and not turns.remove("bob", "b1")
    assert turns.line("bob") == () and served(turns) == ["a1", "a2"]
    with pytest.raises(IndexError, match="nothing waits"):
        turns.take()


def test_the_forecast_is_what_happens() -> None:
    chance = random.Random(7)
    turns: Turns[str] = Turns()
    for number in range(300):
        owner = chance.choice("abcd")
        turns.add(owner, f"{owner}{number}")
        line = turns.line(owner)
        if chance.random() < 0.3:
            turns.move(owner, chance.choice(line), chance.randrange(len(line)))
        if chance.random() < 0.2:
            turns.remove(owner, chance.choice(line))
        if chance.random() < 0.5 and len(turns):
            forecast = list(turns.order())
            assert forecast[0] == turns.take() and len(forecast) == len(turns) + 1
    forecast = list(turns.order())
    assert forecast == served(turns) and not list(turns.order())
