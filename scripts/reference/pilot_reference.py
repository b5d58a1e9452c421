#!/usr/bin/env python3
"""PILOT (arXiv 2407.08019) on diffusers and PyTorch's autograd: the reference that the engine is compared with. With
`--method inpaint` its baseline SD-Inpaint.

    .venv/bin/python scripts/reference/pilot_reference.py --model DIR --image I.png --mask M.png --prompt P \\
        --dump reference.safetensors [the options of `pilot inpaint` that change numbers]

Written from the equations, one image, no batching, nothing clever. The dump has the tensors that
`pilot inpaint --dump` writes, under the same names; compare_dumps.py compares the two.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import ip_adapter
import prompts
import t2i_adapter
import torch
import torch.nn.functional as F
from control import Control, add_options, residuals
from masked_attention import AttentionMasks
from merged_loras import merge
from model_folder import Model, load_model
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file

PRESETS = {
    "paper": dict(steps=200, optimize_every=10, gradient_steps=10, coherence=1.0),
    "balanced": dict(steps=50, optimize_every=5, gradient_steps=10, coherence=0.5),
    "fast": dict(steps=30, optimize_every=3, gradient_steps=3, coherence=0.4),
}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    options.add_argument("--model", required=True, help="a folder in the diffusers layout")
    options.add_argument("--image", required=True)
    options.add_argument("--mask", required=True, help="white is repainted")
    options.add_argument("--prompt", required=True)
    options.add_argument("--negative-prompt", default="")
    options.add_argument("--prompt-syntax", choices=["a1111", "plain"], default="a1111")
    options.add_argument("--no-prompt-rescale", action="store_true")
    options.add_argument("--embedding", action="append", default=[], help="textual inversion; may be repeated")
    options.add_argument("--embedding-token", action="append", default=[])
    options.add_argument("--clip-skip", type=int, default=1)
    options.add_argument(
        "--method", choices=["pilot", "inpaint"], default="pilot",
        help="inpaint: SD-Inpaint, denoising alone by a network of nine channels")
    options.add_argument("--lora", action="append", default=[], help="may be repeated")
    options.add_argument("--lora-scale", action="append", type=float, help="for each, or one for all; default: 1")
    options.add_argument("--lora-text-scale", action="append", type=float, help="default: the scale")
    options.add_argument("--preset", choices=PRESETS, default="balanced")
    options.add_argument("--steps", type=int, help="default: the preset's")
    options.add_argument("--guidance-scale", type=float, default=7.5)
    options.add_argument("--coherence", type=float, help="gamma; default: the preset's")
    options.add_argument("--optimize-every", type=int, help="tau; default: the preset's")
    options.add_argument("--gradient-steps", type=int, help="K; default: the preset's")
    options.add_argument("--learning-rate", type=float, help="at 0.95 T; default: 0.03, 0.05 with --control")
    options.add_argument("--warmup-learning-rate", type=float, default=0.007, help="at the first timestep")
    options.add_argument("--momentum", type=float, default=0.7)
    options.add_argument("--lambda", type=float, default=110.0, dest="lambda_")
    options.add_argument("--lambda-area", choices=["square", "linear", "constant"], default="square")
    options.add_argument("--no-cross-attention-mask", action="store_true")
    options.add_argument("--no-self-attention-mask", action="store_true")
    options.add_argument("--mask-downsample", choices=["nearest", "max"], default="nearest")
    options.add_argument("--invert-mask", action="store_true")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", help="WxH to bring image and mask to first")
    options.add_argument("--initial-latent", help="safetensors holding `initial_latent` [4, h, w]; a dump will do")
    add_options(options)
    t2i_adapter.add_options(options)
    ip_adapter.add_options(options)
    options.add_argument("--dump", help="where to write the tensors")
    options.add_argument("--output", help="where to write the decoded picture, unpasted")
    options.add_argument(
        "--precision", choices=["float32", "float64"], default="float32",
        help="float64 tells how much of a difference is float32's own")
    return options


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    job = parser().parse_args(arguments)
    for name, value in PRESETS[job.preset].items():
        if getattr(job, name) is None:
            setattr(job, name, value)
    if job.learning_rate is None:
        job.learning_rate = 0.05 if job.control else 0.03
    return job


# Inputs


def load_image_and_mask(job: argparse.Namespace, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
    """x_in in [-1, 1], [3, H, W], and M in {0, 1}, [H, W]."""
    image = ImageOps.exif_transpose(Image.open(job.image)).convert("RGB")
    mask = ImageOps.exif_transpose(Image.open(job.mask)).convert("L")
    if job.size:
        size = tuple(int(side) for side in job.size.split("x"))
        image, mask = image.resize(size, Image.Resampling.LANCZOS), mask.resize(size, Image.Resampling.NEAREST)
    if mask.size != image.size:
        raise SystemExit(f"{job.mask}: the mask is {mask.size}, the image {image.size}")
    if image.width % factor or image.height % factor:
        raise SystemExit(f"{job.image}: sides must be multiples of {factor}, found {image.size}; use --size WxH")

    def pixels(picture):
        channels = len(picture.getbands())
        values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        return values.reshape(picture.height, picture.width, channels).permute(2, 0, 1)

    repaint = pixels(mask)[0] / 255 >= 0.5
    return pixels(image).float() / 127.5 - 1, (~repaint if job.invert_mask else repaint).float()


def downsampled(mask: torch.Tensor, factor: int, how: str) -> torch.Tensor:
    batched = mask[None, None]
    if how == "max":
        return F.max_pool2d(batched, factor)[0, 0]
    size = mask.shape[0] // factor, mask.shape[1] // factor
    return F.interpolate(batched, size=size, mode="nearest")[0, 0]


def embed(job: argparse.Namespace, model: Model, prompt: str) -> torch.Tensor:
    """[1, tokens, dim]"""
    tokens = job.embedding_token or [None]
    tokens = tokens * len(job.embedding) if len(tokens) == 1 else tokens
    embeddings = dict(prompts.read_embedding(*pair) for pair in zip(job.embedding, tokens, strict=True))
    chunks = prompts.Prompts(model.tokenizer, embeddings).chunks(prompt, job.prompt_syntax)
    return prompts.encode(
        model.tokenizer, model.text_encoder, chunks, embeddings, not job.no_prompt_rescale, job.clip_skip)[None]


# The method


class Pilot:
    """One job: the equations, in the order of the paper."""

    def __init__(self, job: argparse.Namespace, model: Model, image: torch.Tensor, mask: torch.Tensor):
        self.job, self.model = job, model
        self.dtype = model.unet.dtype
        self.masks = AttentionMasks(model.unet, chunk_length=model.tokenizer.model_max_length)
        self.m = downsampled(mask, model.vae_factor, job.mask_downsample).to(self.dtype)
        with torch.no_grad():
            self.z_in = self.encode(image)
            self.embeddings = {"u": embed(job, model, job.negative_prompt), "c": embed(job, model, job.prompt)}
        photograph = ((image.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        size = photograph.shape[1], photograph.shape[0]
        self.controls = [
            Control(
                job, index, size, photograph, mask.numpy().astype(np.uint8), self.dtype,
                model.tokenizer.model_max_length)
            for index in range(len(job.control))]
        self.adapters = [
            t2i_adapter.Adapter(job, index, size, photograph, self.dtype) for index in range(len(job.t2i_adapter))]
        self.masks.images = ip_adapter.adapters(job, model.unet)
        self.index = 0
        model.scheduler.set_timesteps(job.steps)
        self.T = model.scheduler.config.num_train_timesteps
        # What goes into a network of nine channels behind the latent; nothing into one of four.
        self.behind = self.z_in[:, :0]
        self.dump = {
            "image_latent": self.z_in[0], "latent_mask": self.m,
            "prompt_embedding": self.embeddings["c"][0], "negative_prompt_embedding": self.embeddings["u"][0],
        }
        for index, control in enumerate(self.controls):
            self.dump[f"control.{index}.image"] = control.map[0]
        for index, adapter in enumerate(self.masks.images):
            self.dump[f"ip_adapter.{index}.tokens"] = adapter.tokens["c"][0]
            self.dump[f"ip_adapter.{index}.negative_tokens"] = adapter.tokens["u"][0]
        for index, adapter in enumerate(self.adapters):
            self.dump[f"t2i_adapter.{index}.image"] = adapter.map[0]
            for level, feature in enumerate(adapter.features):
                self.dump[f"t2i_adapter.{index}.feature.{level}"] = feature[0]
        if model.unet.config.in_channels == 9:
            z_masked = self.encode(image * (1 - mask))
            self.behind = torch.cat([self.m[None, None], z_masked], dim=1)
            self.dump["masked_image_latent"] = z_masked[0]
        elif job.method == "inpaint":
            raise SystemExit("--method inpaint: the model has no nine input channels")

    @torch.no_grad()
    def encode(self, image: torch.Tensor) -> torch.Tensor:
        vae = self.model.vae
        return vae.encode(image[None].to(self.dtype)).latent_dist.mean * vae.config.scaling_factor

    def predict(self, branch: str, z: torch.Tensor, t: int, self_mask: bool = False) -> torch.Tensor:
        """What the network predicts for one branch: noise, or velocity."""
        is_pilot = self.job.method == "pilot"
        masking = dict(cross=is_pilot and not self.job.no_cross_attention_mask, self_=is_pilot and self_mask)
        self.masks.use(self.m, branch=branch, **masking)
        context = self.embeddings[branch]
        added = residuals(self.controls, branch, self.index, self.job.steps, z, t, context, self.m, **masking)
        added |= t2i_adapter.features(self.adapters, self.index, self.job.steps)
        return self.model.unet(torch.cat([z, self.behind], dim=1), t, context, **added).sample

    def reconstruct(self, z: torch.Tensor, prediction: torch.Tensor, t: int) -> torch.Tensor:
        """Eq. 8, and its form for velocity."""
        abar = self.model.scheduler.alphas_cumprod[t].to(self.dtype)
        kind = self.model.scheduler.config.prediction_type
        if kind == "epsilon":
            return (z - (1 - abar).sqrt() * prediction) / abar.sqrt()
        if kind == "v_prediction":
            return abar.sqrt() * z - (1 - abar).sqrt() * prediction
        raise SystemExit(f"prediction type {kind} is not supported")

    def losses(self, z: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """L, L_bg and L_s of Eqs. 10-12."""
        background = 1 - self.m
        z_u = self.reconstruct(z, self.predict("u", z, t), t)
        z_c = self.reconstruct(z, self.predict("c", z, t), t)
        loss_background = 0.25 * (background * (z_u - self.z_in)).square().sum()
        difference = (z_u - z_c).square().sum()
        if difference == 0:
            loss_semantic = torch.zeros((), dtype=self.dtype)
        else:
            loss_semantic = (background * (z_u - z_c)).square().sum() / difference
        return loss_background + self.semantic_weight(t) * loss_semantic, loss_background, loss_semantic

    def semantic_weight(self, t: int) -> float:
        t = t * 1000 / self.T
        ramp = 0.1 if t < 300 else 0.1 + 0.9 * (t - 300) / (999 - 300)
        share = 3 * (1 - self.m).mean().item()
        area = {"square": share**2, "linear": share, "constant": 1}[self.job.lambda_area]
        return self.job.lambda_ * self.m.numel() / 4096 * area * ramp

    def learning_rate(self, t: int, index: int) -> float:
        if index == 0:
            return self.job.warmup_learning_rate
        return self.job.learning_rate * 1.002 ** (950 - t * 1000 / self.T)

    def optimise(self, z: torch.Tensor, t: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        velocity, history = torch.zeros_like(z), []
        for _ in range(self.job.gradient_steps):
            leaf = z.detach().requires_grad_()
            losses = self.losses(leaf, t)
            gradient = torch.autograd.grad(losses[0], leaf)[0]
            velocity = self.job.momentum * velocity - self.learning_rate(t, index) * gradient
            z = z + velocity
            history.append(torch.stack(losses).detach())
        return z, torch.stack(history)

    @torch.no_grad()
    def denoise(self, z: torch.Tensor, t: int, step: str) -> torch.Tensor:
        self_mask = not self.job.no_self_attention_mask and t >= 0.6 * self.T
        unconditional, conditional = (self.predict(branch, z, t, self_mask) for branch in "uc")
        self.dump[f"{step}.noise_unconditional"] = unconditional[0]
        self.dump[f"{step}.noise_conditional"] = conditional[0]
        guided = unconditional + self.job.guidance_scale * (conditional - unconditional)
        return self.model.scheduler.step(guided, t, z, eta=0.0).prev_sample

    def run(self) -> dict[str, torch.Tensor]:
        generator = torch.Generator("cpu").manual_seed(self.job.seed)

        def noise():
            return torch.randn(self.z_in.shape, generator=generator).to(self.dtype)

        if self.job.initial_latent:
            # As in diffusers, a latent that is given takes no numbers from the generator.
            z = load_file(self.job.initial_latent)["initial_latent"][None].to(self.dtype)
        else:
            z = noise()
        self.dump["initial_latent"] = z[0]
        for index, t in enumerate(self.model.scheduler.timesteps.tolist()):
            step = f"step.{index:03}"
            self.index = index
            is_pilot = self.job.method == "pilot"
            optimising = is_pilot and t >= self.T * (1 - self.job.coherence)
            if is_pilot and not optimising:
                noised = self.model.scheduler.add_noise(self.z_in, noise(), torch.tensor([t]))                # Eq. 16
                z = noised * (1 - self.m) + z * self.m
            self.dump[f"{step}.latent"] = z[0]
            if optimising and index % self.job.optimize_every == 0 and self.m.any():
                z, self.dump[f"{step}.loss"] = self.optimise(z, t, index)
                self.dump[f"{step}.optimized_latent"] = z[0]
            z = self.denoise(z, t, step)
            if not z.isfinite().all():
                raise SystemExit(f"step {index}, timestep {t}: the latent is not finite")
        self.dump["final_latent"] = z[0]
        with torch.no_grad():
            self.dump["decoded"] = self.model.vae.decode(z / self.model.vae.config.scaling_factor).sample[0]
        return {name: tensor.detach().float().contiguous().clone() for name, tensor in self.dump.items()}


def loras(job: argparse.Namespace) -> list[tuple[str, float, float]]:
    """Each file, and how strong it is in the UNet and in the text encoder."""
    def each(values, default):
        return default if not values else values * len(job.lora) if len(values) == 1 else values

    scales = each(job.lora_scale, [1.0] * len(job.lora))
    return list(zip(job.lora, scales, each(job.lora_text_scale, scales), strict=True))


def run(job: argparse.Namespace) -> dict[str, torch.Tensor]:
    """The dump of one job."""
    if not (0 <= job.coherence <= 1 and math.isfinite(job.coherence)):
        raise SystemExit(f"--coherence: expected 0 to 1, found {job.coherence}")
    model = load_model(job.model, torch.float64 if job.precision == "float64" else torch.float32)
    merge(model.unet, model.text_encoder, loras(job))
    return Pilot(job, model, *load_image_and_mask(job, model.vae_factor)).run()


def main():
    job = parse()
    dump = run(job)
    if job.dump:
        save_file(dump, job.dump)
    if job.output:
        picture = ((dump["decoded"].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
        Image.fromarray(picture.numpy()).save(job.output)
    for name, tensor in dump.items():
        if name.endswith(".loss"):
            print(f"{name}: {tensor[0, 0]:.6g} -> {tensor[-1, 0]:.6g}")
    print(f"{Path(job.image).name}: {job.steps} steps, final latent std {dump['final_latent'].std():.4f}")


if __name__ == "__main__":
    main()
