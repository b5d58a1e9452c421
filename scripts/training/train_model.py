#!/usr/bin/env python3
"""Trains the engine's default model from nothing: draws scenes, then trains autoencoder, text encoder and UNet, and
writes a folder in the diffusers layout, float16.

    scripts/python-env
    .venv/bin/python scripts/training/train_model.py --output models/scenes

It uses a GPU where PyTorch sees one. The same seed sees the same scenes, batches and noise; a run that was cut off goes
on where its last saved step was, from --work. Each network's figures are in NAME.log there, as JSON lines.
"""

import argparse
import json
import shutil
from pathlib import Path

import autoencoder
import denoiser
import text
import torch
from data import SIZE, cached_scenes
from settings import keep_apart


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the model's folder")
    parser.add_argument("--work", type=Path, default=Path("models/training"), help="state (default models/training)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=40_000, help="drawn scenes to learn from (default 40000)")
    parser.add_argument("--autoencoder-steps", type=int, default=1400, metavar="N", help="steps of 24 (default 1400)")
    parser.add_argument("--text-steps", type=int, default=500, metavar="N", help="steps of 64 (default 500)")
    parser.add_argument("--denoiser-steps", type=int, default=3000, metavar="N", help="steps of 48 (default 3000)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    work, seed = arguments.work, arguments.seed
    # The denoiser may be given more steps later: nothing else is made from it.
    options = ("seed", "scenes", "autoencoder_steps", "text_steps")
    keep_apart(work / "settings.json", {name: getattr(arguments, name) for name in options})

    pictures, captions = cached_scenes(work, seed, "training", arguments.scenes, SIZE)
    vae = autoencoder.main_autoencoder(work, seed, pictures, arguments.autoencoder_steps)
    words = text.tokenizer(work)
    lines = sorted({line for several in captions for line in several})
    encoder = text.taught(words, lines, arguments.text_steps, work, seed)
    trained = denoiser.trained(
        cached_latents(work, vae, pictures),
        vae.config.scaling_factor,
        denoiser.caption_ids(words, captions),
        text.tokens(words, [""])[0],
        encoder,
        arguments.denoiser_steps,
        work,
        seed,
    )
    write_model(arguments.output, work, vae, trained)


def cached_latents(work, vae, pictures):
    file = work / "latents.pt"
    if not file.exists():
        print("encoding the scenes", flush=True)
        torch.save(autoencoder.latents(vae, pictures), file)
    return torch.load(file, weights_only=True)


def write_model(output, work, vae, trained):
    """The diffusers folder, float16."""
    output.mkdir(parents=True, exist_ok=True)
    trained["unet"].half().save_pretrained(output / "unet")
    trained["text_encoder"].half().save_pretrained(output / "text_encoder")
    vae.half().save_pretrained(output / "vae")
    forget_origin(output / "vae/config.json")
    denoiser.scheduler().save_pretrained(output / "scheduler")
    shutil.copytree(work / "tokenizer", output / "tokenizer", dirs_exist_ok=True)
    parts = {
        "scheduler": ("diffusers", "DDIMScheduler"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "safety_checker": (None, None),
        "feature_extractor": (None, None),
    }
    index = {"_class_name": "StableDiffusionPipeline", **{part: list(kind) for part, kind in parts.items()}}
    (output / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    size = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    print(f"{output}: {size / 1e6:.1f} MB")


def forget_origin(config):
    """diffusers notes from which folder it loaded a network."""
    values = json.loads(config.read_text())
    values.pop("_name_or_path", None)
    config.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main()
