"""The denoiser: a UNet2DConditionModel on cached latents, and the text encoder trained along with it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from loop import DEVICE, Schedule, autocast, train
from text import CONTEXT, WIDTH, tokens
from transformers import CLIPTextModel

LEVELS = (64, 128, 192)
BATCH = 48
CAPTION_DROPOUT = 0.12
SNR_CEILING = 5.0


def scheduler() -> DDIMScheduler:
    """Stable Diffusion's schedule: 1000 timesteps, scaled linear."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
        prediction_type="epsilon",
    )


def untrained(cells: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=cells,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=LEVELS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    ).to(memory_format=torch.channels_last)


def spread_timesteps(count: int, generator: torch.Generator, power: float = 1.0) -> torch.Tensor:
    """Timesteps, one from each of `count` equal parts of the schedule: less chance in a batch's mean. A `power` below 1
    has more of the noisy ones."""
    shares = ((torch.arange(count) + torch.rand(count, generator=generator)) / count) ** power
    return (shares * 1000).long().clamp(max=999)


@dataclass(frozen=True)
class NoisyLatents:
    """Latents of scenes with noise; what the noise is, is to be said."""

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    weights: torch.Tensor  # of each one's error

    def losses(self, predicted: torch.Tensor) -> dict[str, torch.Tensor]:
        errors = ((predicted.float() - self.noise) ** 2).flatten(1).mean(dim=1)
        return {"loss": (self.weights * errors).mean(), "plain": errors.mean()}


def with_noise(
    means: torch.Tensor,
    deviations: torch.Tensor,
    scaling: float,
    generator: torch.Generator,
    floor: float = 0.0,
    power: float = 1.0,
) -> NoisyLatents:
    """Latents drawn by their means and deviations, each with noise of a timestep. An error counts as one of the clean
    latent would, times the signal-to-noise ratio, but at least times `floor`."""
    clean = means.float() + deviations.float() * torch.randn(means.shape, generator=generator)
    noise = torch.randn(means.shape, generator=generator)
    t = spread_timesteps(len(means), generator, power)
    abar = scheduler().alphas_cumprod[t]
    signal = abar[:, None, None, None]
    noisy = signal.sqrt() * scaling * clean + (1 - signal).sqrt() * noise
    ratio = abar / (1 - abar)
    weights = ratio.clamp(min=floor, max=SNR_CEILING) / ratio
    noisy = noisy.to(DEVICE).contiguous(memory_format=torch.channels_last)
    return NoisyLatents(noisy, noise.to(DEVICE), t.to(DEVICE), weights.to(DEVICE))


def trained(
    latents: tuple[torch.Tensor, torch.Tensor],
    scaling: float,
    captions: torch.Tensor,
    empty: torch.Tensor,
    text_encoder: CLIPTextModel,
    steps: int,
    work: Path,
    seed: int,
) -> torch.nn.ModuleDict:
    """Noise prediction with min-SNR weights. `latents` are mean and deviation of each scene's latent, `captions`
    token ids [scenes, captions, CONTEXT], `empty` those of the empty caption [CONTEXT]."""
    means, deviations = latents
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict({"unet": untrained(means.shape[-1]), "text_encoder": text_encoder})

    def loss(rng, generator):
        chosen = torch.from_numpy(rng.integers(len(means), size=BATCH))
        ids = captions[chosen, torch.from_numpy(rng.integers(captions.shape[1], size=BATCH))]
        ids = torch.where(torch.from_numpy(rng.random(BATCH) < CAPTION_DROPOUT)[:, None], empty, ids)
        given = with_noise(means[chosen], deviations[chosen], scaling, generator)
        with autocast():
            states = modules["text_encoder"](ids.to(DEVICE)).last_hidden_state
            made = modules["unet"](given.latents, given.timesteps, encoder_hidden_states=states).sample
        return given.losses(made)

    schedule = Schedule(steps=steps, peak=1e-3, warmup=200)
    return train("denoiser", modules, loss, schedule, work, seed, averaging=0.999)


def caption_ids(words, captions: list[list[str]]) -> torch.Tensor:
    """Token ids [scenes, captions of a scene, CONTEXT]; each different caption is tokenised once."""
    different = sorted({line for lines in captions for line in lines})
    ids = tokens(words, different).to(torch.int16)
    place = {line: index for index, line in enumerate(different)}
    rows = np.array([[place[line] for line in lines] for lines in captions])
    return ids[torch.from_numpy(rows)].long().reshape(len(captions), -1, CONTEXT)
