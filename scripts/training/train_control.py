#!/usr/bin/env python3
"""Trains the ControlNet for edges and scribbles that goes with the shipped model, and writes it as a diffusers folder,
float16.

    .venv/bin/python scripts/training/train_control.py --output models/scenes-edges

It begins as the UNet's way down and middle; UNet, text encoder and autoencoder stay as they are. The maps are drawn by
lot (scripts/scenes/maps.py): all edges of a scene, outlines as a hand draws them, or parts of both, so that it knows
what `--control-preprocess canny` makes and what somebody scribbles. A run that was cut off goes on, from --work.
"""

import argparse
from pathlib import Path

import numpy as np
import shapes
import torch
from denoiser import with_noise
from diffusers import ControlNetModel
from frozen import NOISY, SHIPPED, FrozenModel, captions_by_lot
from loop import DEVICE, Schedule, autocast, train
from settings import keep_apart

from maps import map_by_lot

BATCH = 32
# More than the UNet's own: where there are no words, the map has to tell.
CAPTION_DROPOUT = 0.3
# A picture is four times as large as its latent: three layers, of which two halve the map.
EMBEDDING = (16, 32, 64)
# How much more the net says than it has learnt to: in a hole, guidance pulls objects to its edges.
STRENGTH = 1.5


def as_maps(drawn: list[np.ndarray]) -> torch.Tensor:
    """[n, 3, size, size] in 0...1, as networks take maps."""
    grey = torch.from_numpy(np.stack(drawn)).to(DEVICE).float() / 255
    return grey[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def trained(model: FrozenModel, scenes: shapes.ShapedScenes, steps: int, work: Path, seed: int) -> ControlNetModel:
    means, deviations = model.cached_latents(work, scenes)
    torch.manual_seed(seed)
    net = ControlNetModel.from_unet(model.unet, conditioning_embedding_out_channels=EMBEDDING)
    modules = torch.nn.ModuleDict({"net": net.requires_grad_(True).to(memory_format=torch.channels_last)})

    def loss(rng, generator):
        chosen = rng.integers(len(scenes), size=BATCH)
        drawn = as_maps([map_by_lot(rng, scenes.pictures[index], scenes.shapes[index]) for index in chosen])
        states = model.states(captions_by_lot(rng, scenes, chosen, CAPTION_DROPOUT))
        given = with_noise(means[chosen], deviations[chosen], model.scaling, generator, **NOISY)
        evaluation = {"timestep": given.timesteps, "encoder_hidden_states": states}
        with autocast():
            down, middle = modules["net"](given.latents, controlnet_cond=drawn, return_dict=False, **evaluation)
            added = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
            made = model.unet(given.latents, **evaluation, **added).sample
        return given.losses(made)

    schedule = Schedule(steps=steps, peak=1e-3, warmup=50)
    return train("control", modules, loss, schedule, work, seed, averaging=0.995, report_every=20)["net"]


@torch.no_grad()
def strengthened(net: ControlNetModel) -> ControlNetModel:
    """The net with its outputs multiplied, for `--control-scale 1` to be a good one."""
    for layer in (*net.controlnet_down_blocks, net.controlnet_mid_block):
        layer.weight *= STRENGTH
        layer.bias *= STRENGTH
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the net's folder")
    parser.add_argument("--model", type=Path, default=SHIPPED, metavar="DIR", help="default: the shipped model")
    parser.add_argument("--work", type=Path, default=Path("models/companions"), help="state (default models/companions)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=20_000, help="drawn scenes to learn from (default 20000)")
    parser.add_argument("--steps", type=int, default=2200, metavar="N", help=f"steps of {BATCH} (default 2200)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_apart(arguments.work / "settings.json", {"seed": arguments.seed, "scenes": arguments.scenes})
    scenes = shapes.cached(arguments.work, arguments.seed, "training", arguments.scenes)
    net = trained(FrozenModel(arguments.model), scenes, arguments.steps, arguments.work, arguments.seed)
    strengthened(net).half().save_pretrained(arguments.output)


if __name__ == "__main__":
    main()
