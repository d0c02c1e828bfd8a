"""What all tests of the core share."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def same_precision_everywhere():
    """A pipeline runs in fp32 unless a test says otherwise, also on a processor with fast bf16: or
    a test could pass on one machine and fail on another."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            patch.setattr(torch.cpu, name, lambda: False, raising=False)
        yield
