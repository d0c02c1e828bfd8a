"""A study's figures as Markdown tables and, where matplotlib is installed, as plots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from fvdm_core.files import atomic_write
from train.evaluation.common import Figure, figure, markdown

from .grid import BASE, Grid
from .measure import ETA, GUIDANCE, WAYS

METRICS = {"frechet": "world-FVD", "kid": "KID", "psnr": "PSNR dB"}
DIGITS = {"frechet": 2, "kid": 4, "psnr": 1}
Result = dict[str, Any]
Cell = dict[str, Any]


def by_seed(
    results: Iterable[Result], row: Callable[[Cell], Any], metric: str, size: str | None = BASE
) -> dict[Any, dict[Any, dict[int, float]]]:
    """{row: {column: {seed: value}}}; rows of None are left out.

    The columns are the values of p, or (size, p) where `size` is None.
    """
    values: dict[Any, dict[Any, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for result in results:
        arm = result["arm"]
        if size not in (None, arm["size"]):
            continue
        column = arm["p_independent"] if size else (arm["size"], arm["p_independent"])
        for cell in result["cells"].values():
            if (name := row(cell)) is not None and cell[metric] is not None:
                values[name][column][arm["seed"]] = cell[metric]
    return values


def figures(values: dict[Any, dict[Any, dict[int, float]]]) -> dict[Any, dict[Any, Figure]]:
    """The same, each as mean ± standard error over its seeds."""
    return {
        name: {column: figure(found.values()) for column, found in columns.items()}
        for name, columns in values.items()
    }


def report(grid: Grid, results: Sequence[Result], apart: dict[str, Any] | None = None) -> str:
    """Every table. `apart`: the distances between two sets of real clips, by metric, and among
    them "coded", where it was measured: those of clips that were only encoded and decoded."""
    finals = final_step(grid)
    solver, steps = grid.task_solver

    def by_solver(cell: Cell) -> str | None:
        chosen = cell["task"] == "standard" and cell["step"] == finals
        return f"{cell['solver']}-{cell['steps']}" if chosen else None

    def by_task(cell: Cell) -> str | None:
        chosen = (cell["solver"], cell["steps"], cell["step"]) == (solver, steps, finals)
        if not chosen:
            return None
        way = cell.get("way", WAYS[0])
        return cell["task"] if way == WAYS[0] else f"{cell['task']}, {way}"

    def by_clips(cell: Cell) -> int | None:
        chosen = (cell["task"], cell["solver"], cell["steps"]) == ("standard", solver, steps)
        return cell["clips_seen"] if chosen else None

    done, wanted = len(results), len(grid.arms())
    features = results[0]["features"] if results else ""
    data = grid.shared().data
    lines = [
        f"Grid {grid.name} ({grid.about}): {done} of {wanted} arms, {grid.clips} clips of each "
        f"world a set, {data.frames} frames of {data.image_size}×{data.image_size}, guidance "
        f"{GUIDANCE:g}, η = {ETA:g}, {features or 'no features, so no distances'}. "
        "± is the standard error over seeds; of one seed there is none.",
        *_apart(apart or {}),
    ]
    for metric, title in METRICS.items():
        for head, row in (("solver", by_solver), ("task", by_task), ("clips seen", by_clips)):
            found = figures(by_seed(results, row, metric))
            if found:
                what = "" if head == "solver" else f", {solver}-{steps}"
                lines.append(f"{title} by {head}{what}:\n\n{_table(head, found, DIGITS[metric])}")
        sizes = figures(by_seed(results, by_task, metric, size=None))
        if grid.sizes and sizes:
            lines.append(f"{title} by size:\n\n{_table('task', sizes, DIGITS[metric])}")
    for metric, size in product(("frechet", "kid"), (BASE, *grid.sizes)):
        ratios = against_baseline(by_seed(results, by_task, metric, size))
        if ratios:
            which = "" if size == BASE else f", {size}"
            best = f"{METRICS[metric]} ÷ that of p = 0{which}, in the way in which that is best"
            lines.append(f"{best}, seed by seed:\n\n{_table('task', ratios, 2)}")
    return "\n\n".join(lines)


def _apart(apart: dict[str, Any]) -> list[str]:
    """A line for each distance of real clips from real ones, and after the autoencoder."""
    pairs = [("two sets of real clips", apart)]
    for length, found in apart.get("coded", {}).items():
        pairs.append((f"real clips of {length} frames after the autoencoder from real ones", found))
    return [
        f"{METRICS[metric]} of {what}: {found[metric]:.{DIGITS[metric]}f}."
        for what, found in pairs
        for metric in METRICS
        if found.get(metric) is not None
    ]


def final_step(grid: Grid) -> int:
    return grid.shared().optim.steps


def against_baseline(
    values: dict[Any, dict[Any, dict[int, float]]],
) -> dict[Any, dict[Any, Figure]]:
    """Value ÷ the baseline's of the same seed, mean ± standard error over the seeds of both.

    Of the ways in which the baseline did a task, the rows "task, way", the one with the best mean
    over those seeds counts. Without a ratio where the baseline is not above 0 for each seed, as a
    kernel distance, which is unbiased, need not be.
    """
    ratios: dict[Any, dict[Any, Figure]] = {}
    for name, columns in values.items():
        names = [name, *(f"{name}, {way}" for way in WAYS[1:])]
        ways = [values[n][0.0] for n in names if 0.0 in values.get(n, {})]
        for p, own in columns.items():
            shared = [{s: (own[s], base[s]) for s in own.keys() & base.keys()} for base in ways]
            if p == 0.0 or not any(shared):
                continue
            best = min(filter(None, shared), key=_mean_of_the_second)
            if min(base for _, base in best.values()) > 0:
                ratios.setdefault(name, {})[p] = figure(
                    value / base for value, base in best.values()
                )
    return ratios


def _mean_of_the_second(pairs: dict[int, tuple[float, float]]) -> float:
    return figure(second for _, second in pairs.values()).mean


def _table(head: str, found: dict[Any, dict[Any, Figure]], digits: int) -> str:
    columns = sorted({column for row in found.values() for column in row})
    heads = [f"p = {c:g}" if isinstance(c, float) else f"{c[0]}, p = {c[1]:g}" for c in columns]
    rows = [
        [str(name), *(row[c].show(digits) if c in row else "" for c in columns)]
        for name, row in sorted(found.items(), key=lambda item: _order(item[0]))
    ]
    return markdown((head, *heads), rows)


def _order(name: Any) -> tuple[str, int]:
    """Numbers by size, "ddim-10" before "ddim-100"."""
    if isinstance(name, int):
        return "", name
    text, _, number = str(name).rpartition("-")
    return (text, int(number)) if number.isdigit() else (str(name), 0)


def plot(grid: Grid, results: Sequence[Result], folder: Path) -> list[Path]:
    """Curves over training and figures by task, one picture per metric that was measured.

    Raises `ValueError` where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as Canvas  # optional, and slow to import
    except ImportError:
        raise ValueError("plots need matplotlib: pip install matplotlib") from None
    solver, steps = grid.task_solver
    paths = []
    for metric, title in METRICS.items():
        curves: dict[float, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for result in results:
            if result["arm"]["size"] != BASE:
                continue
            p = result["arm"]["p_independent"]
            for cell in result["cells"].values():
                same = (cell["task"], cell["solver"], cell["steps"]) == ("standard", solver, steps)
                if same and cell[metric] is not None:
                    curves[p][cell["clips_seen"]].append(cell[metric])
        if not curves:
            continue
        canvas = Canvas(figsize=(6, 4), layout="constrained")
        axes = canvas.subplots()
        for p, points in sorted(curves.items()):
            seen = sorted(points)
            found = [figure(points[x]) for x in seen]
            errors = [0.0 if f.clips < 2 else f.error for f in found]
            axes.errorbar(
                seen, [f.mean for f in found], errors, label=f"p = {p:g}", marker="o", capsize=2
            )
        axes.set(xlabel="clips seen", ylabel=title, title=f"Standard generation, grid {grid.name}")
        axes.legend()
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"{grid.name}-{metric}.png")
        with atomic_write(paths[-1]) as temporary:
            canvas.savefig(temporary, dpi=120, format="png")
    return paths
