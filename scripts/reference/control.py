"""ControlNets for the reference: maps, and what the nets add to the UNet's skips. Written from diffusers and the paper."""

from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import ControlNetModel
from masked_attention import AttentionMasks
from model_folder import weight_variant
from PIL import Image, ImageOps

OPTIONS = {
    "image": (None, str), "scale": (1.0, float), "range": ("0:1", str), "preprocess": ("none", str),
    "mode": ("balanced", str), "background": ("image", str),
}


def add_options(parser):
    parser.add_argument("--control", action="append", default=[], help="a ControlNet's folder")
    for name, (default, kind) in OPTIONS.items():
        parser.add_argument(
            f"--control-{name}", action="append", default=[], type=kind, help=f"for each net; default: {default}")


def preprocessed(picture: np.ndarray, way: str) -> np.ndarray:
    if way == "canny":
        return np.repeat(cv2.Canny(picture, 100, 200)[:, :, None], 3, axis=2)
    if way == "invert":
        return 255 - picture
    if way == "tile":
        height, width = picture.shape[:2]
        small = Image.fromarray(picture).resize((8, 8), Image.Resampling.BICUBIC)
        return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
    return picture


def given(job, prefix: str, name: str, index: int, options: dict):
    """The value of a repeated option for the file of this number."""
    values = getattr(job, f"{prefix}_{name}")
    return values[index if len(values) > 1 else 0] if values else options[name][0]


def source_picture(path: str | None, size: tuple[int, int], photograph: np.ndarray) -> np.ndarray:
    """What a map is made from, at the job's size."""
    if not path:
        return photograph
    opened = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    return np.asarray(opened.resize(size, Image.Resampling.LANCZOS) if opened.size != size else opened)


class Control:
    """One net with what a job gives it."""

    def __init__(self, job, index: int, size: tuple[int, int], photograph: np.ndarray, mask: np.ndarray, dtype, chunk_length):
        def value(name):
            return given(job, "control", name, index, OPTIONS)

        folder = Path(job.control[index])
        self.net = ControlNetModel.from_pretrained(
            folder, variant=weight_variant(folder), torch_dtype=torch.float32).to(dtype).eval().requires_grad_(False)
        self.masks = AttentionMasks(self.net, chunk_length)
        self.scale, self.guesses = value("scale"), value("mode") == "guess"
        self.start, self.end = (float(part) for part in value("range").split(":"))
        picture = preprocessed(source_picture(value("image"), size, photograph), value("preprocess"))
        if value("background") == "canny":
            picture = np.where(mask[:, :, None] == 0, preprocessed(photograph, "canny"), picture)
        self.map = torch.from_numpy(picture.astype(np.float32) / np.float32(255)).permute(2, 0, 1)[None].to(dtype)

    def acts(self, branch: str, index: int, count: int) -> bool:
        if branch == "u" and (self.guesses or self.net.config.global_pool_conditions):
            return False
        return not (index / count < self.start or (index + 1) / count > self.end)


def residuals(controls, branch, index, count, z, t, context, mask, **masking):
    """What all nets that act add to the skips and to the middle, as the UNet's keyword arguments."""
    down, middle = None, None
    for control in controls:
        if not control.acts(branch, index, count):
            continue
        control.masks.use(mask, **masking)
        net_down, net_middle = control.net(
            z, t, context, control.map, conditioning_scale=control.scale, guess_mode=control.guesses,
            return_dict=False)
        down = net_down if down is None else [a + b for a, b in zip(down, net_down)]
        middle = net_middle if middle is None else middle + net_middle
    if down is None:
        return {}
    return dict(down_block_additional_residuals=down, mid_block_additional_residual=middle)
