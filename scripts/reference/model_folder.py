"""Reads a model in the diffusers folder layout, offline, whatever its variant and generation of key names."""

from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()


@dataclass
class Model:
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    scheduler: DDIMScheduler

    @property
    def vae_factor(self) -> int:
        return 2 ** (len(self.vae.config.block_out_channels) - 1)


def weight_variant(folder: Path) -> str | None:
    """The `fp16` of `model.fp16.safetensors`, or None where the plain name is there."""
    names = [path.name for path in folder.glob("*.safetensors")]
    if not names:
        raise SystemExit(f"{folder}: no safetensors file")
    return "fp16" if all(".fp16." in name or ".fp16-" in name for name in names) else None


def load_model(folder: str | Path, dtype: torch.dtype = torch.float32) -> Model:
    """Loads every part in evaluation mode, weights widened to `dtype`, without gradients for the weights."""
    folder = Path(folder)

    def part(kind, name):
        return kind.from_pretrained(
            folder / name, variant=weight_variant(folder / name), torch_dtype=torch.float32,
            local_files_only=True, use_safetensors=True,
        ).to(dtype).eval().requires_grad_(False)

    return Model(
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
        text_encoder=part(CLIPTextModel, "text_encoder"),
        unet=part(UNet2DConditionModel, "unet"),
        vae=part(AutoencoderKL, "vae"),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler", local_files_only=True),
    )
