"""The shipped model as it is, for networks that are trained beside it: nothing of it changes."""

from pathlib import Path

import autoencoder
import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from loop import DEVICE, autocast
from shapes import ShapedScenes
from text import tokens
from transformers import CLIPTextModel, CLIPTokenizer

# What is where is decided while there is almost nothing but noise, where the UNet's own training counts an error little.
NOISY = {"floor": 1.0, "power": 0.6}
SHIPPED = Path(__file__).resolve().parent.parent.parent / "Sources/pilot/Resources/scenes"


class FrozenModel:
    def __init__(self, folder: Path):
        def still(network):
            return network.to(DEVICE).eval().requires_grad_(False)

        kind = {"torch_dtype": torch.float32}
        self.vae = still(AutoencoderKL.from_pretrained(folder / "vae", **kind))
        self.unet = still(UNet2DConditionModel.from_pretrained(folder / "unet", **kind))
        self.unet.to(memory_format=torch.channels_last)
        self.text_encoder = still(CLIPTextModel.from_pretrained(folder / "text_encoder", **kind))
        self.words = CLIPTokenizer.from_pretrained(folder / "tokenizer")

    @property
    def scaling(self) -> float:
        return self.vae.config.scaling_factor

    @torch.no_grad()
    def states(self, lines: list[str]) -> torch.Tensor:
        """The text encoder's states [lines, CONTEXT, WIDTH]."""
        with autocast():
            return self.text_encoder(tokens(self.words, lines).to(DEVICE)).last_hidden_state

    def cached_latents(self, work: Path, scenes: ShapedScenes) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of every scene's latent, from a file in `work` when it is there."""
        file = work / "latents-shaped.pt"
        if not file.exists():
            print("encoding the scenes", flush=True)
            torch.save(autoencoder.latents(self.vae, scenes.pictures), file)
        return torch.load(file, weights_only=True)


def captions_by_lot(
    rng: np.random.Generator, scenes: ShapedScenes, chosen: np.ndarray, dropout: float
) -> list[str]:
    """A caption of each chosen scene; in the share `dropout` of them none."""
    lines = [scenes.captions[index][rng.integers(len(scenes.captions[index]))] for index in chosen]
    return ["" if is_dropped else line for line, is_dropped in zip(lines, rng.random(len(lines)) < dropout)]
