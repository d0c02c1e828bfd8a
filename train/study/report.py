"""A study's figures as Markdown tables and, where matplotlib is installed, as plots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from train.evaluation.common import Figure, figure, markdown

from .arms import WAYS
from .grid import BASE, Grid

METRICS = {"frechet": "world-FVD", "kid": "KID", "psnr": "PSNR dB"}
DIGITS = {"frechet": 2, "kid": 4, "psnr": 1}
Result = dict[str, Any]
Cell = dict[str, Any]


def collect(
    results: Iterable[Result], row: Callable[[Cell], Any], metric: str, size: str | None = BASE
) -> dict[Any, dict[Any, Figure]]:
    """{row: {column: mean ± standard error over seeds}}; rows of None are left out.

    The columns are the values of p, or (size, p) where `size` is None.
    """
    values: dict[Any, dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        arm = result["arm"]
        if size not in (None, arm["size"]):
            continue
        column = arm["p_independent"] if size else (arm["size"], arm["p_independent"])
        for cell in result["cells"].values():
            if (name := row(cell)) is not None and cell[metric] is not None:
                values[name][column].append(cell[metric])
    return {
        name: {column: figure(found) for column, found in columns.items()}
        for name, columns in values.items()
    }


def report(grid: Grid, results: Sequence[Result]) -> str:
    """Every table, each with the number of seeds that its error bars are over."""
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
    lines = [
        f"Grid {grid.name} ({grid.about}): {done} of {wanted} arms, {grid.clips} clips of each "
        f"world a set, {features or 'no features, so no distances'}. "
        "± is the standard error over seeds; of one seed there is none.",
    ]
    for metric, title in METRICS.items():
        for head, row in (("solver", by_solver), ("task", by_task), ("clips seen", by_clips)):
            found = collect(results, row, metric)
            if found:
                what = "" if head == "solver" else f", {solver}-{steps}"
                lines.append(f"{title} by {head}{what}:\n\n{_table(head, found, DIGITS[metric])}")
        sizes = collect(results, by_task, metric, size=None)
        if grid.sizes and sizes:
            lines.append(f"{title} by size:\n\n{_table('task', sizes, DIGITS[metric])}")
    ratios = against_baseline(collect(results, by_task, "frechet"))
    if ratios:
        best = "world-FVD ÷ that of p = 0, in the way in which that is best"
        lines.append(f"{best}:\n\n{_table('task', ratios, 2)}")
    return "\n\n".join(lines)


def final_step(grid: Grid) -> int:
    return grid.shared().optim.steps


def against_baseline(found: dict[Any, dict[Any, Figure]]) -> dict[Any, dict[Any, Figure]]:
    """Means ÷ the baseline's, with the errors of both propagated to first order.

    Of the ways in which the baseline did a task, the rows "task, way", the best one counts.
    """
    ratios: dict[Any, dict[Any, Figure]] = {}
    for name, columns in found.items():
        names = [name, *(f"{name}, {way}" for way in WAYS[1:])]
        ways = [found[n][0.0] for n in names if 0.0 in found.get(n, {})]
        base = min(ways, key=lambda figure: figure.mean, default=None)
        if base is None or base.mean <= 0:
            continue
        for p, value in columns.items():
            if p == 0.0:
                continue
            ratio = value.mean / base.mean
            spread = (value.error / base.mean) ** 2 + (ratio * base.error / base.mean) ** 2
            seeds = min(base.clips, value.clips)
            ratios.setdefault(name, {})[p] = Figure(ratio, spread**0.5, seeds)
    return ratios


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
        raise ValueError("plots need matplotlib: pip install 'fvdm-studio[study]'") from None
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
        canvas.savefig(paths[-1], dpi=120)
    return paths
