"""The autoencoder: AutoencoderKL, 64 x 64 pixels to 16 x 16 cells of 4 numbers."""

from pathlib import Path

import numpy as np
import torch
from data import as_tensor, drawn_scenes
from diffusers import AutoencoderKL
from loop import DEVICE, Schedule, autocast, train

LEVELS = (32, 64, 96)
BATCH = 24


def untrained(size: int) -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(LEVELS),
        up_block_types=("UpDecoderBlock2D",) * len(LEVELS),
        block_out_channels=LEVELS,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=size,
    ).to(memory_format=torch.channels_last)


def slopes(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return picture.diff(dim=-1), picture.diff(dim=-2)


def trained(pictures: np.ndarray, steps: int, work: Path, seed: int) -> AutoencoderKL:
    """Absolute error of pixels and of their differences (which keeps edges sharp), and a Kullback-Leibler term that
    leaves each latent some noise, so that the decoder forgives a denoiser's small errors."""
    size = pictures.shape[1]
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict({"autoencoder": untrained(size)})

    def loss(rng, generator):
        chosen = pictures[np.sort(rng.integers(len(pictures), size=BATCH))]
        wanted = as_tensor(chosen[:, :, ::-1] if rng.random() < 0.5 else chosen)
        with autocast():
            posterior = modules["autoencoder"].encode(wanted).latent_dist
            noise = torch.randn(posterior.mean.shape, generator=generator).to(DEVICE)
            made = modules["autoencoder"].decode(posterior.mean + posterior.std * noise).sample.float()
        pixels = (made - wanted).abs().mean()
        edges = sum((a - b).abs().mean() for a, b in zip(slopes(made), slopes(wanted)))
        information = posterior.kl().mean() / posterior.mean[0].numel()
        return {
            "loss": pixels + edges + 3e-4 * information,
            "pixels": pixels,
            "edges": edges,
            "information": information,
        }

    schedule = Schedule(steps=steps, peak=1.5e-3)
    return train("autoencoder", modules, loss, schedule, work, seed, averaging=0.995)["autoencoder"]


@torch.no_grad()
def peak_signal_to_noise(autoencoder: AutoencoderKL, pictures: np.ndarray) -> np.ndarray:
    """PSNR in dB of each picture's reconstruction from the posterior's mean, rounded to bytes, in float32."""
    figures = []
    for part in np.array_split(pictures, max(1, len(pictures) // 50)):
        wanted = as_tensor(part)
        made = autoencoder.decode(autoencoder.encode(wanted).latent_dist.mean).sample
        made = ((made.clamp(-1, 1) + 1) * 127.5).round()
        error = ((made - (wanted + 1) * 127.5) ** 2).flatten(1).mean(dim=1)
        figures.append((10 * torch.log10(255**2 / error.clamp(min=1e-6))).cpu().numpy())
    return np.concatenate(figures)


@torch.no_grad()
def latents(autoencoder: AutoencoderKL, pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of every picture's latent, float16, not yet scaled."""
    means, deviations = [], []
    for part in np.array_split(pictures, max(1, len(pictures) // 100)):
        with autocast():
            posterior = autoencoder.encode(as_tensor(part)).latent_dist
        means.append(posterior.mean.half().cpu())
        deviations.append(posterior.std.half().cpu())
    return torch.cat(means), torch.cat(deviations)


def main_autoencoder(work: Path, seed: int, pictures: np.ndarray, steps: int) -> AutoencoderKL:
    """Trained, or as it was saved in `work`, with its scaling factor set."""
    folder = work / "vae"
    if not (folder / "config.json").exists():
        autoencoder = trained(pictures, steps, work, seed)
        mean, deviation = latents(autoencoder, pictures[:2000])
        spread = (mean.float().var() + (deviation.float() ** 2).mean()).sqrt()
        autoencoder.register_to_config(scaling_factor=round(float(1 / spread), 5))
        held_out, _ = drawn_scenes(seed, "held out", 200, pictures.shape[1])
        quality = peak_signal_to_noise(autoencoder, held_out)
        print(f"autoencoder: PSNR {quality.mean():.2f} dB on 200 held-out scenes, lowest {quality.min():.2f}", flush=True)
        autoencoder.save_pretrained(folder)
    return AutoencoderKL.from_pretrained(folder).to(DEVICE).eval()
