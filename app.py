"""Start FVDM Studio: read the flags, build the page, serve it until it is told to stop."""

from __future__ import annotations

import argparse
import math
import os
import queue
import re
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Threads that wait for each other give the core away meanwhile: browser and page want it too, and a
# watched run takes three quarters of the time. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HERE = Path(__file__).resolve().parent
NAME = "{date}-{time}-{label}-{seed}"
DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,2})?")
ON_A_SPACE = 15.0  # minutes of a run, where strangers share a machine


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 1 to 65535")
    return int(text)


def device(text: str) -> str:
    if not DEVICE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a device: use cpu, cuda, cuda:1 or mps")
    return text


def quota(text: str) -> float:
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0.01 <= gigabytes <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no room for runs: use GB, such as 4 or 0.5")
    return gigabytes


def minutes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no time for a run: use minutes, such as 20")
    return number


def yes(text: str) -> bool:
    if text.lower() not in ("1", "true", "yes", "0", "false", "no", ""):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in ("1", "true", "yes")


# What a flag is where it is not given: an environment variable, as a Space's settings make them.
ENVIRONMENT: dict[str, tuple[str, Callable[[str], object]]] = {
    "host": ("GRADIO_SERVER_NAME", str),
    "port": ("GRADIO_SERVER_PORT", port),
    "share": ("GRADIO_SHARE", yes),
    "model": ("FVDM_MODEL", str),
    "models": ("FVDM_MODELS", Path),
    "vae": ("FVDM_VAE", str),
    "device": ("FVDM_DEVICE", device),
    "outputs": ("FVDM_OUTPUTS", Path),
    "name": ("FVDM_NAME", str),
    "quota": ("FVDM_QUOTA", quota),
    "minutes": ("FVDM_MINUTES", minutes),
    "allow_host": ("FVDM_ALLOW_HOST", str.split),
}


def parser() -> argparse.ArgumentParser:
    """The flags; what is not given comes from the environment, then from the default."""
    flags = argparse.ArgumentParser(
        prog="app.py", description="FVDM Studio, in the browser.", allow_abbrev=False
    )

    def add(name: str, says: str, **how: Any) -> None:
        variable, _ = ENVIRONMENT[name]
        flag = f"--{name.replace('_', '-')}"
        flags.add_argument(flag, default=None, help=f"{says} ({variable})", **how)

    add("host", "address to listen on, 127.0.0.1 if none is given")
    add("port", "port, the first free one if none is given", type=port)
    add(
        "model",
        "model folder or file, owner/name or owner/name/file.pt on the Hub, one of --models, or a "
        "Python file that makes one; the shipped one if none",
    )
    add("models", "folder of models to choose from on the page", type=Path)
    add(
        "vae",
        "folder or owner/name on the Hub of the AutoencoderKL for models that come without an "
        "autoencoder; Stable Diffusion's if none is given",
    )
    add("device", "cpu, cuda, cuda:1 or mps; cuda or else cpu if none is given", type=device)
    add("outputs", "folder for finished runs, outputs if none is given", type=Path)
    add("name", f"what runs are called, {NAME}; also {{frames}}, {{steps}}, {{model}}")
    add("quota", "GB of runs that are kept, 4 if none is given; the oldest go", type=quota)
    add(
        "minutes",
        "minutes after which a run is stopped with what there is; if none is given, 15 on a "
        "Hugging Face Space and never elsewhere",
        type=minutes,
    )
    add("share", "make a public link, for anyone", action="store_true")
    add("allow_host", "a name that a proxy in front of the studio has", action="append")
    flags.add_argument("--open", action="store_true", help="open the page in a browser")
    return flags


def settings(arguments: list[str] | None = None) -> argparse.Namespace:
    """The flags with the environment filled in; ends the program with a message for bad ones."""
    flags = parser()
    chosen = flags.parse_args(arguments)
    for name, (variable, read) in ENVIRONMENT.items():
        if getattr(chosen, name) is None and (text := os.environ.get(variable, "").strip()):
            try:
                setattr(chosen, name, read(text))
            except argparse.ArgumentTypeError as error:
                flags.error(f"{variable}: {error}")
    chosen.host = "127.0.0.1" if chosen.host is None else chosen.host
    chosen.outputs = (chosen.outputs or Path("outputs")).expanduser()
    chosen.name = NAME if chosen.name is None else chosen.name
    chosen.quota = 4.0 if chosen.quota is None else chosen.quota
    if chosen.minutes is None and os.environ.get("SPACE_ID"):
        chosen.minutes = ON_A_SPACE
    if not chosen.host.strip():
        flags.error("--host is empty: use 127.0.0.1 for this computer, 0.0.0.0 for the network")
    chosen.models = chosen.models and chosen.models.expanduser()
    if chosen.models is not None and not chosen.models.is_dir():
        flags.error(f"--models: {chosen.models} is not a folder here")
    return chosen


def check_port(host: str, port: int) -> None:
    """Try a port before anything is loaded for it. Raises `OSError` where it cannot be had."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as tried:
        if os.name == "posix":  # a studio that has just ended does not count
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)


def main(arguments: list[str] | None = None) -> int:
    chosen = settings(arguments)
    outputs = chosen.outputs
    where = f"{chosen.host}:{chosen.port}" if chosen.port else chosen.host
    try:
        check_port(chosen.host, chosen.port or 0)
    except (OSError, UnicodeError) as error:  # the latter of what cannot be a host's name
        print(f"app.py: cannot listen on {where}: {error}", file=sys.stderr)
        return 2
    # Before gradio is imported: it reads both. Uploads live with the outputs, so that a painting
    # that a browser kept finds its pictures again after a restart.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_TEMP_DIR", str((outputs / "uploads").absolute()))

    from ui.gpu import LENT
    from ui.guard import is_loopback
    from ui.model_list import ModelList
    from ui.naming import Naming
    from ui.outputs import OutputError, Outputs
    from ui.studio import build_studio, launch_options

    def load(source: str | None) -> Any:
        from fvdm_core.own import open_pipeline

        return open_pipeline(source, "cpu" if LENT else chosen.device, chosen.vae)

    models = ModelList(load, chosen.models, chosen.model)
    try:
        naming = Naming(chosen.name)
    except ValueError as error:
        print(f"app.py: --name: {error}", file=sys.stderr)
        return 2
    try:
        demo = build_studio(
            models,
            outputs=Outputs(outputs, int(chosen.quota * 2**30), naming),
            examples=HERE / "assets" / "keyframes",
            run_limit=60 * (chosen.minutes or math.inf),
        )
    except OutputError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2

    # A link of gradio's, and who listens on a network, is reached by names that we cannot know.
    local = is_loopback(chosen.host) and not chosen.share
    hosts = None if chosen.share else chosen.allow_host or ([] if local else None)
    # Not an Event: a signal that comes while `wait` takes its lock would wait for that for ever.
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.put(number))
    try:
        demo.launch(
            server_name=chosen.host,
            server_port=chosen.port,
            share=bool(chosen.share),
            inbrowser=chosen.open,
            prevent_thread_lock=True,
            **launch_options(demo, hosts),
        )
    except OSError as error:
        print(f"app.py: cannot listen on {where}: {error}", file=sys.stderr)
        return 2
    ended.get()
    demo.studio.jobs.close()  # type: ignore[attr-defined]
    demo.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
