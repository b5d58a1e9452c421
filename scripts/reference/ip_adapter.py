"""IP-Adapters for the reference: the tokens of a picture, and each cross-attention's keys and values of them.

Projections are diffusers' own, read by its own conversion; the encoder is transformers'. The attention itself is in
masked_attention.py.
"""

from pathlib import Path

import control
import torch
from model_folder import weight_variant
from PIL import Image, ImageOps
from safetensors.torch import load_file
from transformers import CLIPVisionModelWithProjection

OPTIONS = {"image": (None, str), "scale": (1.0, float), "fit": ("crop", str)}
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def add_options(parser):
    parser.add_argument("--ip-adapter", action="append", default=[], help="an IP-Adapter's file")
    for name, (default, kind) in OPTIONS.items():
        parser.add_argument(
            f"--ip-adapter-{name}", action="append", default=[], type=kind,
            help=f"for each adapter; default: {default}")
    parser.add_argument("--image-encoder", help="default: image_encoder beside the adapter")


def load_encoder(folder, dtype) -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection.from_pretrained(
        folder, variant=weight_variant(Path(folder)), torch_dtype=torch.float32).to(dtype).eval().requires_grad_(False)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Of [1, 3, S, S] in [0, 1]."""
    mean, deviation = (torch.tensor(values, dtype=pixels.dtype).reshape(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (pixels - mean) / deviation


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Rows, then columns, as every Pillow does up to 12; Pillow 13 changes the order where that is faster."""
    rows = picture.resize((size[0], picture.height), Image.Resampling.BICUBIC)
    return rows.resize(size, Image.Resampling.BICUBIC)


def square(path: str, side: int, fit: str) -> torch.Tensor:
    """[1, 3, S, S] in [0, 1]"""
    picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if fit == "squash":
        picture = resized(picture, (side, side))
    else:
        short = min(picture.size)
        picture = resized(picture, tuple(side * length // short for length in picture.size))
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return (values.reshape(side, side, 3).permute(2, 0, 1).float() / 255)[None]


def parted(path, dtype) -> dict[str, dict]:
    """The file's tensors as diffusers' loader wants them."""
    parts = {"image_proj": {}, "ip_adapter": {}}
    for key, value in load_file(path).items():
        part, _, name = key.partition(".")
        parts[part][name] = value.to(dtype)
    return parts


class Adapter:
    """One adapter with the picture that it shows."""

    @torch.no_grad()
    def __init__(self, path, unet, encoder, picture: torch.Tensor, scale: float):
        """`picture`: normalised, [1, 3, S, S]."""
        parts = parted(path, unet.dtype)
        projection = unet._convert_ip_adapter_image_proj_to_diffusers(
            parts["image_proj"], low_cpu_mem_usage=False).to(unet.dtype).eval()
        self.scale = scale
        self.attention = parts["ip_adapter"]
        # Cross-attentions have the odd numbers, in diffusers' order of all attentions.
        self.numbers = {
            id(unet.get_submodule(name.removesuffix(".processor"))): index
            for index, name in enumerate(unet.attn_processors)}
        if "proj.weight" in parts["image_proj"]:
            embedding = encoder(picture).image_embeds
            self.seen = {"c": embedding, "u": torch.zeros_like(embedding)}
        else:
            self.seen = {
                branch: encoder(pixels, output_hidden_states=True).hidden_states[-2]
                for branch, pixels in (("c", picture), ("u", torch.zeros_like(picture)))}
        self.tokens = {branch: projection(seen) for branch, seen in self.seen.items()}

    def keys_and_values(self, attention, branch: str):
        number = self.numbers[id(attention)]
        return tuple(self.tokens[branch] @ self.attention[f"{number}.{part}_ip.weight"].T for part in ("to_k", "to_v"))


def adapters(job, unet) -> list[Adapter]:
    """All adapters of a job."""
    if not job.ip_adapter:
        return []
    encoder = load_encoder(job.image_encoder or Path(job.ip_adapter[0]).parent / "image_encoder", unet.dtype)

    def made(index: int, path: str) -> Adapter:
        image, scale, fit = (control.given(job, "ip_adapter", name, index, OPTIONS) for name in OPTIONS)
        picture = square(image, encoder.config.image_size, fit).to(unet.dtype)
        return Adapter(path, unet, encoder, normalised(picture), scale)

    return [made(index, path) for index, path in enumerate(job.ip_adapter)]
