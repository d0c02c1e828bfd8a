"""Start FVDM Studio: read the flags, build the page, serve it until it is told to stop."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,2})?")


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 1 to 65535")
    return int(text)


def device(text: str) -> str:
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device: use cpu, cuda, cuda:1 or mps")
    return text


def parser() -> argparse.ArgumentParser:
    """The flags; what is not given comes from the environment, then from the default."""
    flags = argparse.ArgumentParser(prog="app.py", description="FVDM Studio, in the browser.")
    flags.add_argument("--host", help="address to listen on (GRADIO_SERVER_NAME, 127.0.0.1)")
    flags.add_argument("--port", type=port, help="port (GRADIO_SERVER_PORT, the first free one)")
    flags.add_argument("--model", help="model folder or owner/name on the Hub (the shipped model)")
    flags.add_argument("--device", type=device, help="cpu, cuda, cuda:1 or mps (the best there is)")
    flags.add_argument(
        "--outputs", type=Path, default=Path("outputs"), help="folder for finished runs (outputs)"
    )
    flags.add_argument("--share", action="store_true", help="make a public link, for anyone")
    flags.add_argument("--open", action="store_true", help="open the page in a browser")
    return flags


def settings(arguments: list[str] | None = None) -> argparse.Namespace:
    """The flags with the environment filled in; ends the program with a message for bad ones."""
    flags = parser()
    chosen = flags.parse_args(arguments)
    chosen.host = chosen.host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    if chosen.port is None and (text := os.environ.get("GRADIO_SERVER_PORT")):
        try:
            chosen.port = port(text)
        except argparse.ArgumentTypeError as error:
            flags.error(f"GRADIO_SERVER_PORT: {error}")
    if not chosen.host.strip():
        flags.error("--host is empty: use 127.0.0.1 for this computer, 0.0.0.0 for the network")
    return chosen


def main(arguments: list[str] | None = None) -> int:
    chosen = settings(arguments)
    outputs = chosen.outputs.expanduser()
    # Before gradio is imported: it reads both. Uploads live with the outputs, so that a painting
    # that a browser kept finds its pictures again after a restart.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", str((outputs / "uploads").absolute()))

    from ui.outputs import OutputError
    from ui.studio import build_studio, launch_options

    def load_pipeline() -> Any:
        from fvdm_core.pipeline import Pipeline

        return Pipeline.from_pretrained(chosen.model, device=chosen.device)

    try:
        demo = build_studio(load_pipeline, outputs=outputs, examples=HERE / "assets" / "keyframes")
    except OutputError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        demo.launch(
            server_name=chosen.host,
            server_port=chosen.port,
            share=chosen.share,
            inbrowser=chosen.open,
            prevent_thread_lock=True,
            **launch_options(demo),
        )
    except OSError as error:
        where = f"{chosen.host}:{chosen.port}" if chosen.port else chosen.host
        print(f"app.py: cannot listen on {where}: {error}", file=sys.stderr)
        return 2
    ended.wait()
    demo.studio.jobs.close()  # type: ignore[attr-defined]
    demo.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
