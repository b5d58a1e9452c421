#!/usr/bin/env python3
"""Trains the IP-Adapter that goes with the shipped model, with its image encoder, and writes both, float16:
ip-adapter.safetensors in the original's layout, image_encoder as a transformers folder.

    .venv/bin/python scripts/training/train_ip_adapter.py --output models/scenes-picture

The picture that is shown for a scene is another scene with the same object in the same colour, or a part of it, so that
what is learnt is what to paint, and not how a scene looks. The encoder is small and begins from nothing. So it first
learns to say in its tokens what the text encoder says of the object's name, which takes a minute, and the adapter begins
with the UNet's own keys and values; afterwards all of it is trained on the noise. UNet, text encoder and autoencoder
stay as they are. A run that was cut off goes on, from --work.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import shapes
import torch
from data import SIZE
from denoiser import with_noise
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import ImageProjection
from frozen import NOISY, SHIPPED, FrozenModel, captions_by_lot
from loop import DEVICE, Schedule, autocast, train
from safetensors.torch import save_file
from settings import keep_apart
from text import WIDTH
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from world import with_article

BATCH = 32
CAPTION_DROPOUT = 0.6
PICTURE_DROPOUT = 0.1
TOKENS = 4
# CLIP's own, which whoever shows a picture to such an encoder takes for granted.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Pairs:
    """Scenes with one object, and for each of them the others that have the same object."""

    scenes: shapes.ShapedScenes
    alone: np.ndarray  # the scenes' numbers
    like: dict[str, np.ndarray]  # their numbers by the object's name

    @staticmethod
    def of(scenes: shapes.ShapedScenes) -> "Pairs":
        alone = np.array([index for index, things in enumerate(scenes.things) if len(things) == 1])
        names = np.array([scenes.things[index][0] for index in alone])
        return Pairs(scenes, alone, {name: alone[names == name] for name in sorted(set(names))})

    def shown(self, rng: np.random.Generator, index: int) -> np.ndarray:
        """A picture to show for scene `index`, uint8 [SIZE, SIZE, 3]: another one, or as often a square part of it."""
        like = self.like[self.scenes.things[index][0]]
        other = like[rng.integers(len(like))]
        picture = self.scenes.pictures[other]
        return picture if rng.random() < 0.5 else part(rng, picture, self.scenes.shapes[other] > 0)


def part(rng: np.random.Generator, picture: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """A square with the shape in it, enlarged to the picture's size."""
    (rows, columns) = np.nonzero(shape)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = int(min(SIZE, extent * rng.uniform(1.0, 1.6)))
    corner = []
    for places in (rows, columns):
        least, most = max(0, places.max() + 1 - side), min(places.min(), SIZE - side)
        corner.append(rng.integers(min(least, most), max(least, most) + 1))
    top, left = corner
    square = np.ascontiguousarray(picture[top : top + side, left : left + side])
    return cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def as_seen(pictures: list[np.ndarray]) -> torch.Tensor:
    """[n, 3, SIZE, SIZE] in the encoder's colours."""
    values = torch.from_numpy(np.stack(pictures)).to(DEVICE).float() / 255
    return ((values - torch.tensor(MEAN).to(DEVICE)) / torch.tensor(DEVIATION).to(DEVICE)).permute(0, 3, 1, 2)


def untrained_encoder() -> CLIPVisionModelWithProjection:
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            image_size=SIZE,
            patch_size=8,
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            projection_dim=128,
            hidden_act="quick_gelu",
        )
    )


def taught(model: FrozenModel, pairs: Pairs, steps: int, work: Path, seed: int) -> torch.nn.ModuleDict:
    """Encoder and projection after their first lessons: the tokens of a picture are to be the states of the words "a",
    colour, kind, and of the end."""
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict(
        {"encoder": untrained_encoder(), "projection": ImageProjection(128, WIDTH, TOKENS)}
    )
    states = {name: model.states([with_article(name)])[0, 1 : 1 + TOKENS].float() for name in pairs.like}

    def loss(rng, generator):
        chosen = pairs.alone[rng.integers(len(pairs.alone), size=64)]
        seen = as_seen([pairs.shown(rng, index) for index in chosen])
        wanted = torch.stack([states[pairs.scenes.things[index][0]] for index in chosen])
        with autocast():
            made = modules["projection"](modules["encoder"](seen).image_embeds)
        return {"loss": ((made.float() - wanted) ** 2).mean() / wanted.var()}

    schedule = Schedule(steps=steps, peak=1e-3)
    return train("picture-lessons", modules, loss, schedule, work, seed, averaging=0.99)


def with_adapter(unet: UNet2DConditionModel, projection: ImageProjection) -> torch.nn.ModuleDict:
    """Gives the UNet an adapter that begins with its own keys and values, by diffusers' loader, so that names and order
    are those of its files. Returns what is to be trained of it: the projection, and the layers by their numbers."""
    state = {"image_proj": {}, "ip_adapter": {}}
    for name, value in projection.state_dict().items():
        state["image_proj"][name.replace("image_embeds", "proj")] = value
    numbers = {}
    for number, name in enumerate(unet.attn_processors):
        if not name.endswith("attn2.processor"):
            continue
        attention = unet.get_submodule(name.removesuffix(".processor"))
        numbers[str(number)] = attention
        for layer in ("to_k", "to_v"):
            state["ip_adapter"][f"{number}.{layer}_ip.weight"] = getattr(attention, layer).weight.detach().clone()
    unet._load_ip_adapter_weights([state], low_cpu_mem_usage=False)
    return torch.nn.ModuleDict(
        {
            "projection": unet.encoder_hid_proj.image_projection_layers[0],
            "layers": torch.nn.ModuleDict({number: layer.processor for number, layer in numbers.items()}),
        }
    ).requires_grad_(True)


def trained(
    model: FrozenModel, pairs: Pairs, lessons: int, steps: int, work: Path, seed: int
) -> torch.nn.ModuleDict:
    means, deviations = model.cached_latents(work, pairs.scenes)
    first = taught(model, pairs, lessons, work, seed)
    adapter = with_adapter(model.unet, first["projection"])
    modules = torch.nn.ModuleDict({"encoder": first["encoder"].requires_grad_(True), "adapter": adapter})

    def loss(rng, generator):
        chosen = pairs.alone[rng.integers(len(pairs.alone), size=BATCH)]
        seen = as_seen([pairs.shown(rng, index) for index in chosen])
        states = model.states(captions_by_lot(rng, pairs.scenes, chosen, CAPTION_DROPOUT))
        is_shown = torch.from_numpy(rng.random((BATCH, 1)) >= PICTURE_DROPOUT).to(DEVICE)
        given = with_noise(means[chosen], deviations[chosen], model.scaling, generator, **NOISY)
        with autocast():
            # Where no picture is shown, the embedding is 0, as it is on the branch without the prompt.
            embedding = modules["encoder"](seen).image_embeds * is_shown
            made = model.unet(
                given.latents,
                given.timesteps,
                encoder_hidden_states=states,
                added_cond_kwargs={"image_embeds": [embedding[:, None]]},
            ).sample
        return given.losses(made)

    schedule = Schedule(steps=steps, peak=5e-4, warmup=50)
    return train("picture", modules, loss, schedule, work, seed, averaging=0.995, report_every=20)


def write(output: Path, modules: torch.nn.ModuleDict):
    """The original's layout: the cross-attentions have the odd numbers among all attentions."""
    modules["encoder"].half().save_pretrained(output / "image_encoder")
    tensors = {
        f"image_proj.{name.replace('image_embeds', 'proj')}": value
        for name, value in modules["adapter"]["projection"].state_dict().items()
    }
    for number, layer in modules["adapter"]["layers"].items():
        for part in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{number}.{part}.weight"] = getattr(layer, part)[0].weight
    halves = {name: value.detach().half().cpu().contiguous() for name, value in tensors.items()}
    save_file(halves, output / "ip-adapter.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the adapter's folder")
    parser.add_argument("--model", type=Path, default=SHIPPED, metavar="DIR", help="default: the shipped model")
    parser.add_argument("--work", type=Path, default=Path("models/companions"), help="state (default models/companions)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=20_000, help="drawn scenes to learn from (default 20000)")
    parser.add_argument("--lessons", type=int, default=600, metavar="N", help="first steps, of 64 (default 600)")
    parser.add_argument("--steps", type=int, default=450, metavar="N", help=f"steps of {BATCH} (default 450)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_apart(arguments.work / "settings.json", {"seed": arguments.seed, "scenes": arguments.scenes})
    pairs = Pairs.of(shapes.cached(arguments.work, arguments.seed, "training", arguments.scenes))
    model = FrozenModel(arguments.model)
    modules = trained(model, pairs, arguments.lessons, arguments.steps, arguments.work, arguments.seed)
    write(arguments.output, modules)


if __name__ == "__main__":
    main()
