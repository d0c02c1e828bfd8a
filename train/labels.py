"""The label of a file of one's own: the folder it lies in, or a row of a CSV."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

FOLDERS = "folders"
COLUMNS = ("file", "label")
MAX_LABEL = 100  # characters, as a model's config.json allows
MAX_CSV_BYTES = 256 << 20


def labeller(labels: str) -> Callable[[str], str]:
    """From a file below the data's folder, with forward slashes, to its label; "" for none.

    `labels` is "" (no labels at all), "folders" (the uppermost subfolder, as UCF101 is laid out) or
    the path of a CSV with the columns file and label. Raises `ValueError` naming the CSV's line.
    """
    if not labels:
        return lambda file: ""
    if labels == FOLDERS:
        return lambda file: readable(file.split("/")[0])[:MAX_LABEL] if "/" in file else ""
    table = read_csv(labels)
    return lambda file: table.get(_composed(file), "")


def unmatched(labels: str, files: Iterable[str]) -> str:
    """In words, how many rows of a CSV name none of the files; "" where there are none."""
    if labels in ("", FOLDERS):
        return ""
    missing = sorted(read_csv(labels).keys() - {_composed(file) for file in files})
    if not missing:
        return ""
    rows = "1 row of the CSV names" if len(missing) == 1 else f"{len(missing)} rows of the CSV name"
    return f"{rows} no file here, such as {missing[0]}"


def _composed(name: str) -> str:
    """However its accents are written: macOS takes letters and accents apart in file names."""
    return unicodedata.normalize("NFC", name)


def readable(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_csv(path: str | Path) -> dict[str, str]:
    """The labels of a CSV by file. Raises `ValueError` naming the line that is wrong."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; give --labels a CSV or the word {FOLDERS}")
    if path.stat().st_size > MAX_CSV_BYTES:
        raise ValueError(f"{path} has more than {MAX_CSV_BYTES >> 20} MB")
    labels: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:  # spreadsheets begin with a mark
            rows = csv.DictReader(text)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise ValueError(f"{path} must begin with a line that names the columns file,label")
            for row in rows:
                file, label = ((row[column] or "").strip() for column in COLUMNS)
                file = _composed(file.replace("\\", "/").removeprefix("./"))
                where = f"{path}, line {rows.line_num}"
                if not file or not 0 < len(label) <= MAX_LABEL:
                    raise ValueError(
                        f"{where}: a row is a file and a label of 1 to {MAX_LABEL} characters"
                    )
                if labels.setdefault(file, label) != label:
                    raise ValueError(f"{where}: {file} has another label above")
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV in UTF-8: {error}") from error
    return labels
