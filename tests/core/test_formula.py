"""The formula language: what it computes, and everything it must refuse."""

import math

import numpy as np
import pytest

from fvdm_core.formula import FUNCTIONS, VARIABLES, evaluate
from fvdm_core.timeline import Timeline

F, M = 6, 8


def clipped(value):
    return min(1.0, max(0.0, value))


CASES = {
    "t": lambda i, t, m: t,
    "min(0.2*i*t, t)": lambda i, t, m: min(0.2 * i * t, t),
    "m/M": lambda i, t, m: m / M,
    "i/N": lambda i, t, m: i / F,
    "(i-1)/(N-1)": lambda i, t, m: (i - 1) / (F - 1),
    "t**2": lambda i, t, m: t**2,
    "2**-i": lambda i, t, m: 2.0**-i,
    "-t + 1": lambda i, t, m: 1 - t,
    "+.5": lambda i, t, m: 0.5,
    "1e-1*i": lambda i, t, m: 0.1 * i,
    "where(i == 1, 0, t)": lambda i, t, m: 0 if i == 1 else t,
    "where(i > 1, log(i - 1), 0)": lambda i, t, m: math.log(i - 1) if i > 1 else 0,
    "(i != 2)*t": lambda i, t, m: t if i != 2 else 0,
    "(2 <= i < 4)*t": lambda i, t, m: t if i in (2, 3) else 0,
    "max(t, i/N, 0.3)": lambda i, t, m: max(t, i / F, 0.3),
    "abs(t - 0.5)": lambda i, t, m: abs(t - 0.5),
    "clip(t, 0.2, 0.6)": lambda i, t, m: min(max(t, 0.2), 0.6),
    "floor(4*t)/4": lambda i, t, m: math.floor(4 * t) / 4,
    "ceil(4*t)/4": lambda i, t, m: math.ceil(4 * t) / 4,
    "round(3*t)/3": lambda i, t, m: round(3 * t) / 3,
    "sqrt(t)*exp(-i)": lambda i, t, m: math.sqrt(t) * math.exp(-i),
    "sin(pi*t)": lambda i, t, m: math.sin(math.pi * t),
    "cos(i)*tanh(t)": lambda i, t, m: math.cos(i) * math.tanh(t),
    "t - 7": lambda i, t, m: 0,
    "i*100": lambda i, t, m: 1,
    "min(1/t, 1)": lambda i, t, m: 1,  # infinite on the way, finite in the end
    "where(t > 0.5, 1, 0)": lambda i, t, m: 1 if t > 0.5 else 0,
    "9" * 256: lambda i, t, m: 1,
    "  t\t": lambda i, t, m: t,
    "(" * 100 + "t" + ")" * 100: lambda i, t, m: t,
}


@pytest.mark.parametrize("text", CASES)
def test_values_are_those_of_the_formula(text):
    value = evaluate(text, F, M)
    wanted = [
        [clipped(CASES[text](i, 1 - m / M, m)) for i in range(1, F + 1)] for m in range(M + 1)
    ]
    assert value.shape == (M + 1, F)
    np.testing.assert_allclose(value, wanted, atol=1e-12)


def test_a_formula_is_a_timeline():
    ramp = Timeline.preset("ramp", frames=16, steps=30)
    assert (Timeline.formula("min(0.2*i*t, t)", frames=16, steps=30).levels == ramp.levels).all()


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "formula is empty"),
        (" \t ", "formula is empty"),
        (None, "must be text, got None"),
        (7, "must be text, got 7"),
        ("__import__('os').system('x')", "the word '__import__' is not allowed"),
        ("().__class__", "the character '.' is not allowed"),
        ("t.real", "the character '.' is not allowed"),
        ("t[0]", r"the character '\[' is not allowed"),
        ("x", "the word 'x' is not allowed; allowed are numbers"),
        ("eval(t)", "the word 'eval'"),
        ("True", "the word 'True'"),
        ("lambda: t", "the word 'lambda'"),
        ("t for t in i", "the word 'for'"),
        ("t if i else m", "the word 'if' is not allowed; use where"),
        ("i > 1 and t", "the word 'and' is not allowed; multiply"),
        ("not t", "the word 'not'"),
        ("t = 1", "the character '=' is not allowed; compare with =="),
        ("t := 1", "the character ':'"),
        ("i % 2", "the character '%'"),
        ("t ^ 2", r"the character '\^' is not allowed; use \*\*"),
        ("i // 2", r"'//' is not allowed; use floor\(a / b\)"),
        ("i << 2", "'i << 2' is not allowed"),
        ("~i", "the character '~'"),
        ("t @ t", "the character '@'"),
        ("'a'", 'the character "\'"'),
        ("f't'", "the word 'f'"),
        ("...", "the character '.'"),
        ("t; t", "the character ';'"),
        ("t\nt", r"the character '\\n'"),
        ("\x00", r"the character '\\x00'"),
        ("ｔ", "the character 'ｔ'"),  # the parser would read it as t
        ("٣", "the character '٣'"),
        ("# t", "the character '#'"),
        ("2t", r"write 2\*t, not 2t"),
        ("1j", "the word 'j'"),
        ("0x10", "the word 'x10'"),
        ("2 t", "cannot be read"),
        ("t +", "cannot be read"),
        ("min(t, i", r"cannot be read: '\(' was never closed"),
        ("t)", "cannot be read"),
        ("t, i", r"'\(t, i\)' is not allowed"),
        ("()", r"'\(\)' is not allowed"),
        ("sin", r"sin is a function; write sin\("),
        ("min(sin, t)", "sin is a function"),
        ("t(2)", r"'t\(2\)' calls what is not a function; write \*"),
        ("(t)(2)", "calls what is not a function"),
        ("sin(t)(2)", "calls what is not a function"),
        ("min(t)", "min takes 2 or more values, got 1"),
        ("where(t, 1)", "where takes 3 values, got 2"),
        ("sin()", "sin takes 1 value, got 0"),
        ("min(*t)", "min takes 2 or more values, got 1"),
        ("min(t, *i)", r"'\*i' is not allowed"),
        ("min(**t)", "calls what is not a function"),
        ("9**9**9**9", "exponent .* is too large"),
        ("t**(i*100)", "exponent 600 is too large; allowed is -64 to 64"),
        ("1e999", "a number in it is too large"),
        ("1/0", r"frame 1 \(index 0\) at step 0 is inf"),
        ("log(0)", r"frame 1 \(index 0\) at step 0 is -inf"),
        ("t/t", r"frame 1 \(index 0\) at step 8 is nan"),
        ("1/(i-3)", r"frame 3 \(index 2\) at step 0 is inf"),
        ("sqrt(t - 0.5)", r"frame 1 \(index 0\) at step 5 is nan"),
        ("(0 - t)**0.5", "is nan"),
        ("10**60*10**60*10**60*10**60*10**60*10**60", "is inf"),
        ("+".join("t" * 40), "79 parts, at most 64"),
    ],
)
def test_refusals_name_what_was_wrong(text, words):
    with pytest.raises(ValueError, match=words):
        evaluate(text, F, M)


@pytest.mark.parametrize("text", ["-" * 100_000 + "1", "(" * 100_000, "t" * 10**6, "9**" * 9999])
def test_bombs_are_refused_at_once(text):
    with pytest.raises(ValueError, match="characters, at most 256"):  # so nothing was read
        evaluate(text, F, M)


@pytest.mark.parametrize("text", ["-" * 255 + "1", "(" * 256, "(" * 127 + "t" + ")" * 128])
def test_deep_formulas_within_the_length_are_refused_cleanly(text):
    with pytest.raises(ValueError, match="formula"):
        evaluate(text, F, M)


@pytest.mark.parametrize("frames, steps", [(0, 5), (5, 0), (1025, 5), (5, 4096), (1024, 1000)])
def test_size_is_checked_before_anything_is_built(frames, steps):
    with pytest.raises(ValueError, match="formula"):
        evaluate("t", frames, steps)


def test_every_listed_name_works():
    for name in VARIABLES:
        assert evaluate(name, F, M).shape == (M + 1, F)
    for name in FUNCTIONS:
        count = {"min": 2, "max": 2, "clip": 3, "where": 3}.get(name, 1)
        assert evaluate(f"{name}({', '.join(['i'] * count)})", F, M).shape == (M + 1, F)
