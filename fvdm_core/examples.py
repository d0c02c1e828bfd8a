"""The example timelines of assets/timelines: each is a file with a lesson."""

from dataclasses import dataclass
from pathlib import Path

from fvdm_core.limits import MAX_JSON_BYTES
from fvdm_core.timeline import Timeline
from fvdm_core.timeline_json import labels

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "timelines"


@dataclass(frozen=True)
class ExampleTimeline:
    """A timeline with the name of its file, a title, and what it teaches."""

    name: str
    title: str
    about: str
    timeline: Timeline


def example_timelines(folder: Path = FOLDER) -> list[ExampleTimeline]:
    """Read the examples in a folder, by name; none where there is no such folder.

    Raises ValueError naming a file that holds no timeline.
    """
    examples = []
    for path in sorted(folder.glob("*.json")):
        try:
            if path.stat().st_size > MAX_JSON_BYTES:
                raise ValueError(f"it has more than {MAX_JSON_BYTES} bytes")
            text = path.read_bytes()
            title, about = labels(text)
            examples.append(
                ExampleTimeline(path.stem, title or path.stem, about, Timeline.from_json(text))
            )
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    return examples
