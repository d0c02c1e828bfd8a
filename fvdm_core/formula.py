"""The formula language: "min(0.2*i*t, t)" becomes a matrix of levels, by a grammar of its own.

Python's parser gives the tree; every node in it is looked at, and what is not listed here is
refused. Nothing is compiled or looked up by name. All arithmetic is on float64 arrays.
"""

import ast
import functools
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from fvdm_core.limits import check_size, frame_name, shown

MAX_FORMULA = 256
MAX_NODES = 64
MAX_EXPONENT = 64

VARIABLES = {
    "i": "the frame, 1 … N",
    "N": "the number of frames",
    "t": "time, 1 at the start … 0 at the end",
    "m": "the row, 0 … M",
    "M": "the number of steps",
    "pi": "3.14159…",
}

# name: (least number of arguments, largest or None, function)
_FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "min": (2, None, np.minimum),
    "max": (2, None, np.maximum),
    "abs": (1, 1, np.abs),
    "clip": (3, 3, lambda value, low, high: np.minimum(np.maximum(value, low), high)),
    "floor": (1, 1, np.floor),
    "ceil": (1, 1, np.ceil),
    "round": (1, 1, np.rint),
    "sqrt": (1, 1, np.sqrt),
    "exp": (1, 1, np.exp),
    "log": (1, 1, np.log),
    "sin": (1, 1, np.sin),
    "cos": (1, 1, np.cos),
    "tanh": (1, 1, np.tanh),
    "where": (3, 3, lambda condition, yes, no: np.where(condition != 0, yes, no)),
}
FUNCTIONS = tuple(_FUNCTIONS)

_BINARY: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: lambda base, exponent: _power(base, exponent),
}
_UNARY: dict[type[ast.unaryop], Callable[..., Any]] = {
    ast.UAdd: np.positive,
    ast.USub: np.negative,
}
_COMPARE: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
# What a person may well write, and what to write instead.
_INSTEAD = {
    "and": "multiply the comparisons",
    "or": "use max(a, b) of the comparisons",
    "not": "use 1 - a",
    "if": "use where(condition, a, b)",
    "else": "use where(condition, a, b)",
    "ln": "use log",
    "tan": "use sin(x)/cos(x)",
    "pow": "use a ** b",
    "//": "use floor(a / b)",
    "^": "use **",
    "%": "use a - b*floor(a / b)",
    "=": "compare with ==",
    "&": "multiply the comparisons",
    "|": "use max(a, b) of the comparisons",
}

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TOKEN = re.compile(
    rf"(?P<number>{_NUMBER})|(?P<word>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/()<>,])|(?P<space>[ \t]+)"
)
_ALLOWED = (
    f"allowed are numbers, + - * / ** ( ), comparisons, {' '.join(VARIABLES)}, "
    f"and {' '.join(FUNCTIONS)}"
)


def evaluate(text: str, frames: int, steps: int) -> np.ndarray:
    """Return `values` of a formula as levels, clipped to [0, 1]: (M+1, F) float64."""
    return np.clip(values(text, frames, steps), 0, 1)


def values(text: str, frames: int, steps: int) -> np.ndarray:
    """Return the value of a formula for every row and frame: (M+1, F) float64.

    In it i = 1 … N is the frame, m = 0 … M the row, t = 1 − m/M.

    Raises ValueError naming the word or character that is not allowed, or the frame and step
    whose value is not a finite number.
    """
    frames, steps = check_size(frames, steps, "formula")
    expression = parse(text)
    m = np.arange(steps + 1, dtype=np.float64)[:, None]  # (M+1, 1)
    variables = {
        "i": np.arange(1, frames + 1, dtype=np.float64)[None, :],  # (1, F)
        "N": np.float64(frames),
        "m": m,
        "M": np.float64(steps),
        "t": 1 - m / steps,
        "pi": np.float64(np.pi),
    }
    with np.errstate(all="ignore"):  # a value that is not finite is refused below, by name
        value = _value(expression, variables)
    value = np.broadcast_to(np.asarray(value, dtype=np.float64), (steps + 1, frames))
    if not np.isfinite(value).all():
        step, frame = (int(index) for index in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(
            f"formula: {frame_name(frame)} at step {step} is {value[step, frame]}, not a finite "
            "number; look for a division by zero, a log or root of what is not above 0, or "
            "something very large"
        )
    return value


def parse(text: str) -> ast.expr:
    """Return the tree of a formula that is short and uses known words only, or raise ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"formula must be text, got {shown(text)}")
    if len(text) > MAX_FORMULA:
        raise ValueError(
            f"formula has {len(text)} characters, at most {MAX_FORMULA} are allowed; shorten it"
        )
    if not text.strip():
        raise ValueError('formula is empty; write one, such as "t" or "min(0.2*i*t, t)"')
    _check_tokens(text)
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        reason = error.msg.split(";")[0] if isinstance(error, SyntaxError) else "too deep"
        raise ValueError(f"formula cannot be read: {reason}; check operators and ( )") from None
    nodes = sum(isinstance(node, ast.expr) for node in ast.walk(expression))
    if nodes > MAX_NODES:
        raise ValueError(f"formula has {nodes} parts, at most {MAX_NODES} are allowed; shorten it")
    return expression


def _check_tokens(text: str) -> None:
    """Refuse every character and word that is not in the language, before anything is parsed."""
    place, before = 0, ""
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise _refused(text[place], f"the character {text[place]!r}")
        word = token["word"]
        if word and word not in VARIABLES and word not in FUNCTIONS:
            raise _refused(word, f"the word {shown(word)}")
        if word and before:
            raise ValueError(f"formula: write {before}*{word}, not {before}{word}")
        place, before = token.end(), token["number"] or ""


def _refused(found: str, what: str) -> ValueError:
    instead = f"; {_INSTEAD[found]}" if found in _INSTEAD else ""
    return ValueError(f"formula: {what} is not allowed{instead}; {_ALLOWED}")


def _value(node: ast.expr, variables: dict[str, Any]) -> Any:
    """Evaluate a tree of allowed nodes; arrays broadcast, so that most of the work is small."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return _constant(number)
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.Name(id=name):
            raise ValueError(f"formula: {name} is a function; write {name}(…)")
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            return _UNARY[type(sign)](_value(operand, variables))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _BINARY[type(sign)](_value(left, variables), _value(right, variables))
        case ast.Compare(left=first, ops=signs, comparators=others):
            values = [_value(part, variables) for part in (first, *others)]
            holds = [
                _COMPARE[type(sign)](left, right)
                for sign, (left, right) in zip(signs, pairwise(values), strict=True)
            ]
            return np.float64(1) * functools.reduce(np.logical_and, holds)  # 0.0 or 1.0
        case ast.Call(func=ast.Name(id=name), args=parts, keywords=[]) if name in _FUNCTIONS:
            _check_count(name, len(parts))
            arguments = (_value(part, variables) for part in parts)  # not all at once in memory
            _, most, function = _FUNCTIONS[name]
            return function(*arguments) if most else functools.reduce(function, arguments)
        case ast.Call():
            part = shown(ast.unparse(node))
            raise ValueError(f"formula: {part} calls what is not a function; write * to multiply")
        case ast.BinOp(op=ast.FloorDiv()):
            raise _refused("//", "'//'")
        case _:
            raise _refused("", shown(ast.unparse(node)))


def _constant(number: int | float) -> np.float64:
    if number > np.finfo(np.float64).max:
        raise ValueError("formula: a number in it is too large; make it shorter")
    return np.float64(number)


def _check_count(name: str, count: int) -> None:
    least, most, _ = _FUNCTIONS[name]
    if count < least or (most is not None and count > most):
        wanted = f"{least}{'' if most else ' or more'} value{'' if most == 1 else 's'}"
        raise ValueError(f"formula: {name} takes {wanted}, got {count}")


def _power(base: Any, exponent: Any) -> Any:
    if (np.abs(exponent) > MAX_EXPONENT).any():
        largest = np.abs(exponent).max()
        raise ValueError(
            f"formula: the exponent {largest:g} is too large; allowed is -{MAX_EXPONENT} to "
            f"{MAX_EXPONENT}"
        )
    return np.power(base, exponent)
