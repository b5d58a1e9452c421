"""The denoiser: a UNet2DConditionModel on cached latents, and the text encoder trained along with it."""

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


def spread_timesteps(count: int, generator: torch.Generator) -> torch.Tensor:
    """Timesteps, one from each of `count` equal parts of the schedule: less chance in a batch's mean."""
    shares = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (shares * 1000).long().clamp(max=999)


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
    abar = scheduler().alphas_cumprod

    def loss(rng, generator):
        chosen = torch.from_numpy(rng.integers(len(means), size=BATCH))
        ids = captions[chosen, torch.from_numpy(rng.integers(captions.shape[1], size=BATCH))]
        ids = torch.where(torch.from_numpy(rng.random(BATCH) < CAPTION_DROPOUT)[:, None], empty, ids)
        shape = means[chosen].shape
        clean = means[chosen].float() + deviations[chosen].float() * torch.randn(shape, generator=generator)
        noise = torch.randn(shape, generator=generator)
        t = spread_timesteps(BATCH, generator)
        signal = abar[t][:, None, None, None]
        noisy = signal.sqrt() * scaling * clean + (1 - signal).sqrt() * noise
        ratio = abar[t] / (1 - abar[t])
        weight = (ratio.clamp(max=SNR_CEILING) / ratio).to(DEVICE)
        with autocast():
            states = modules["text_encoder"](ids.to(DEVICE)).last_hidden_state
            noisy = noisy.to(DEVICE).contiguous(memory_format=torch.channels_last)
            made = modules["unet"](noisy, t.to(DEVICE), encoder_hidden_states=states).sample.float()
        errors = ((made - noise.to(DEVICE)) ** 2).flatten(1).mean(dim=1)
        return {"loss": (weight * errors).mean(), "plain": errors.mean()}

    schedule = Schedule(steps=steps, peak=1e-3, warmup=200)
    return train("denoiser", modules, loss, schedule, work, seed, averaging=0.999)


def caption_ids(words, captions: list[list[str]]) -> torch.Tensor:
    """Token ids [scenes, captions of a scene, CONTEXT]; each different caption is tokenised once."""
    different = sorted({line for lines in captions for line in lines})
    ids = tokens(words, different).to(torch.int16)
    place = {line: index for index, line in enumerate(different)}
    rows = np.array([[place[line] for line in lines] for lines in captions])
    return ids[torch.from_numpy(rows)].long().reshape(len(captions), -1, CONTEXT)
