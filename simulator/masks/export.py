"""A mask for other tools: keyword arguments of NATTEN, a `mask_mod` of PyTorch's FlexAttention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.masks.tiles import Backend
from simulator.masks.windows import Window

__all__ = ["natten_arguments", "write_mask_mod"]


def natten_arguments(
    windows: Sequence[Window], q_tile: Sequence[int], kv_tile: Sequence[int], backend: Backend | None = None
) -> dict[str, Any]:
    """Return the keyword arguments of `natten.na1d`, `na2d` or `na3d` that mean this mask and these tiles.

    >>> natten_arguments([Window(256, 80, 16)], (256,), (128,))["kernel_size"]
    (80,)
    """
    arguments: dict[str, Any] = {
        "kernel_size": tuple(one.width for one in windows),
        "stride": tuple(one.stride for one in windows),
        "dilation": tuple(one.dilation for one in windows),
        "is_causal": tuple(one.causal for one in windows),
        "q_tile_shape": tuple(q_tile),
        "kv_tile_shape": tuple(kv_tile),
    }
    return arguments | ({"backend": backend.natten} if backend else {})


_HEAD = '''import torch


def mask_mod(batch, head, q_index, kv_index):
    """Tokens are in row-major order of the map {extents}."""
    allowed = None
'''

_ALONG = """
    # dimension {place}: extent {extent}, window {width}, stride {stride}, dilation {dilation}{kind}
    q, kv = q_index // {below} % {extent}, kv_index // {below} % {extent}
    length = ({extent} - q % {dilation} + {dilation} - 1) // {dilation}
    position, key = q // {dilation}, kv // {dilation}
    leader = torch.minimum(position // {stride} * {stride} + {reach}, length - 1)
{window}
    here = {same}(key >= start) & (key < end)
    allowed = here if allowed is None else allowed & here
"""

_CAUSAL = "    start, end = leader - {width} + 1, position + 1"
_SHIFTED = "    start = torch.minimum(torch.clamp(leader - {half}, min=0), length - {width})\n    end = start + {width}"


def write_mask_mod(windows: Sequence[Window]) -> str:
    """Return Python text that defines `mask_mod` for `torch.nn.attention.flex_attention.create_block_mask`.

    >>> write_mask_mod([Window(256, 80, 16)]).splitlines()[3]
    'def mask_mod(batch, head, q_index, kv_index):'
    """
    text = _HEAD.format(extents="x".join(str(one.extent) for one in windows))
    below = 1
    for place, one in reversed(list(enumerate(windows, 1))):
        text += _ALONG.format(
            place=place,
            extent=one.extent,
            width=one.width,
            stride=one.stride,
            dilation=one.dilation,
            kind=", causal" if one.causal else "",
            below=below,
            reach=one.stride - 1 if one.causal else one.stride // 2,
            window=(_CAUSAL if one.causal else _SHIFTED).format(width=one.width, half=one.width // 2),
            same=f"(q % {one.dilation} == kv % {one.dilation}) & " if one.dilation > 1 else "",
        )
        below *= one.extent
    return text + "    return allowed\n"
