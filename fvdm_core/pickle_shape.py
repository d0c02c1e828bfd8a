"""How deeply the objects of a pickle lie in each other, told from its opcodes without running it.

A dictionary key is hashed when it is read, and a tuple is hashed with all that lies in it: one that
is nested deeply enough ends the process, and one that holds another twice, which holds another
twice, takes longer with every 20 bytes. No checkpoint has either.
"""

from __future__ import annotations

from pickletools import OpcodeInfo, markobject
from typing import Any

MAX_DEPTH = 64
MAX_PARTS = 1_000_000
MAX_TUPLE = 1_000  # parts: those of a saved tensor have some 30
_MARK = (-1, 0)
_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}  # what was there before
_STORES = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_FETCHES = {"GET", "BINGET", "LONG_BINGET"}


class Nesting:
    """The stack and the memo of a pickle, with depth and number of parts in place of each object.

    What is fetched from the memo counts each time, as hashing would. Tuples are hashed, and may be
    as keys of many dictionaries, so they have to be small.
    """

    def __init__(self) -> None:
        self._stack: list[tuple[int, int]] = []
        self._memo: dict[int, tuple[int, int]] = {}

    def follow(self, opcode: OpcodeInfo, argument: Any) -> bool:
        """Do what an opcode would; False where an object is deeper or larger than `MAX_…`.

        Raises `IndexError` or `KeyError` where it would take what is not there.
        """
        stack, name = self._stack, opcode.name
        if name in _STORES:
            self._memo[len(self._memo) if argument is None else int(argument)] = stack[-1]
            return True
        if name in _FETCHES:
            stack.append(self._memo[int(argument)])
            return True
        taken = self._take(opcode.stack_before)
        if name == "DUP":
            stack += [taken[0], taken[0]]
            return True
        if not opcode.stack_after:
            return True
        if opcode.stack_after == [markobject]:
            stack.append(_MARK)
            return True
        inside = taken[1:] if name in _FILLS else taken
        depth = 1 + max((depth for depth, _ in inside), default=0)
        if name in _FILLS:
            depth = max(depth, taken[0][0])
        parts = 1 + sum(parts for _, parts in taken)
        stack += [(depth, parts)] * len(opcode.stack_after)
        most = MAX_TUPLE if name.startswith("TUPLE") else MAX_PARTS
        return depth <= MAX_DEPTH and parts <= most

    def _take(self, wanted: list[Any]) -> list[tuple[int, int]]:
        """What an opcode takes off the stack, lowest first, without the mark."""
        stack = self._stack
        if markobject not in wanted:
            taken = [stack.pop() for _ in wanted]
            return taken[::-1]
        above: list[tuple[int, int]] = []
        while (top := stack.pop()) != _MARK:
            above.append(top)
        below = [stack.pop() for _ in range(wanted.index(markobject))]
        return below[::-1] + above[::-1]
