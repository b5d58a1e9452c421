"""T2I-Adapters for the reference: maps, and the features that they add to the UNet's levels. Written from diffusers."""

from pathlib import Path

import control
import numpy as np
import torch
from diffusers import T2IAdapter
from model_folder import weight_variant
from PIL import Image

OPTIONS = {"image": (None, str), "scale": (1.0, float), "range": ("0:1", str), "preprocess": ("none", str)}


def add_options(parser):
    parser.add_argument("--t2i-adapter", action="append", default=[], help="a T2I-Adapter's folder")
    for name, (default, kind) in OPTIONS.items():
        parser.add_argument(
            f"--t2i-adapter-{name}", action="append", default=[], type=kind,
            help=f"for each adapter; default: {default}")


class Adapter:
    """One adapter with what a job gives it."""

    @torch.no_grad()
    def __init__(self, job, index: int, size: tuple[int, int], photograph: np.ndarray, dtype):
        def value(name):
            return control.given(job, "t2i_adapter", name, index, OPTIONS)

        folder = Path(job.t2i_adapter[index])
        net = T2IAdapter.from_pretrained(
            folder, variant=weight_variant(folder), torch_dtype=torch.float32).to(dtype).eval().requires_grad_(False)
        self.scale = value("scale")
        self.start, self.end = (float(part) for part in value("range").split(":"))
        picture = control.preprocessed(
            control.source_picture(value("image"), size, photograph), value("preprocess"))
        if net.config.in_channels == 1:
            picture = np.asarray(Image.fromarray(picture).convert("L"))[:, :, None]
        self.map = torch.from_numpy(picture.astype(np.float32) / np.float32(255)).permute(2, 0, 1)[None].to(dtype)
        self.features = net(self.map)

    def acts(self, index: int, count: int) -> bool:
        return not (index / count < self.start or (index + 1) / count > self.end)


def features(adapters, index: int, count: int):
    """What all adapters that act add to the levels, as the UNet's keyword argument."""
    acting = [adapter for adapter in adapters if adapter.acts(index, count)]
    if not acting:
        return {}
    levels = range(len(acting[0].features))
    return dict(down_intrablock_additional_residuals=[
        sum(adapter.scale * adapter.features[level] for adapter in acting) for level in levels])
