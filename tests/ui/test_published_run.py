"""A published kind of file with an AutoencoderKL, both tiny and random, through the studio."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import randomised

from benchmarks.made_up import save_latte, save_vae
from benchmarks.published import drive
from fvdm_core import Pipeline
from fvdm_core.media import read_video
from fvdm_core.model import VideoDiT
from fvdm_core.shape import VideoDiTConfig
from ui.studio import build_studio, launch_options

FRAMES, SIZE, STEPS = 4, 32, 3


def test_a_published_file_makes_a_clip_decoded_frame_by_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = VideoDiTConfig(
        hidden_size=64, depth=2, num_heads=1, patch_size=2, latent_size=SIZE // 8,
        latent_channels=4, num_frames=FRAMES, learn_sigma=True,
    )  # fmt: skip
    save_latte(tmp_path / "ffs.pt", randomised(VideoDiT(config), 0.05))
    save_vae(tmp_path / "vae", widths=(8, 8, 8, 8))  # beside the file, where it is found
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    pipe = Pipeline.from_pretrained(tmp_path / "ffs.pt", device="cpu")
    decoded: list[tuple[int, ...]] = []
    pipe.autoencoder.network.decoder.register_forward_pre_hook(
        lambda _, given: decoded.append(tuple(given[0].shape))
    )
    demo = build_studio(lambda: pipe, outputs=tmp_path / "outputs")
    _, address, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_options(demo))
    try:
        clip, updates = drive(address, FRAMES, STEPS)
        assert read_video(clip).frames.shape == (FRAMES, SIZE, SIZE, 3)
    finally:
        demo.studio.jobs.close()
        demo.close()
    assert updates[-1].step == STEPS
    # previews cost the linear map only, and what is decoded at the end is one picture at a time
    assert decoded == [(1, 4, SIZE // 8, SIZE // 8)] * FRAMES
