#!/usr/bin/env python3
"""Checks the reference against itself, on the fixtures' models: what the goldens rest on.

    .venv/bin/python scripts/reference/check_reference.py

- attention processors that mask nothing, or that get an empty or a full mask, give what diffusers gives;
- a masked background query does not depend on what it must not see;
- autograd's vector-Jacobian product agrees with central differences in float64;
- the loss's gradient by autograd is the closed form that the engine computes from two vector-Jacobian products;
- float32 reproduces the goldens, and how closely: the room the engine's tolerances leave.
"""

import json
from pathlib import Path

import pilot_reference
import torch
from masked_attention import AttentionMasks, foreground
from model_folder import load_model
from safetensors.torch import load_file

MODELS = Path(__file__).resolve().parents[2] / "Tests" / "DiffusionModelsTests" / "Fixtures" / "models"


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, as a share of the largest value of `b`."""
    return ((a.double() - b.double()).abs().max() / b.double().abs().max()).item()


def check_masks_that_mask_nothing(folder: Path, golden: dict):
    model = load_model(folder, torch.float64)
    latent, embedding = golden["unet.latent"][None].double(), golden["unet.embedding"][None].double()
    plain = model.unet(latent, 981, embedding).sample
    masks = AttentionMasks(model.unet)
    for name, mask in {"none": None, "empty": latent[0, 0] * 0, "full": latent[0, 0] * 0 + 1}.items():
        masks.use(mask, cross=True, self_=True)
        assert relative(model.unet(latent, 981, embedding).sample, plain) < 1e-12, name


def check_isolation(folder: Path, golden: dict):
    """Eq. 14 alone: with the whole latent but one corner in the background, only the hole can tell two prompts apart
    at the first attention layer; the tokens behind token 0 must not reach any background query there."""
    model = load_model(folder, torch.float64)
    masks = AttentionMasks(model.unet)
    mask = golden["unet.latent_mask"]
    masks.use(mask, cross=True)
    embedding = golden["unet.embedding"][None].double()
    other = embedding.clone()
    other[:, 1:] = embedding[:, 1:].flip(1)
    first = next(name for name, module in model.unet.named_modules() if name.endswith("attn2"))
    outputs = []
    hook = model.unet.get_submodule(first).register_forward_hook(lambda module, args, result: outputs.append(result))
    for context in (embedding, other):
        model.unet(golden["unet.latent"][None].double(), 981, context)
    hook.remove()
    inside = foreground(mask, *mask.shape)
    difference = (outputs[0] - outputs[1]).abs().amax(dim=-1)[0]
    assert difference[~inside].max() == 0 and difference[inside].min() > 0


def check_gradient(folder: Path, golden: dict):
    model = load_model(folder, torch.float64)
    masks = AttentionMasks(model.unet)
    masks.use(golden["unet.latent_mask"], cross=True, self_=True)
    latent, embedding = golden["unet.latent"][None].double(), golden["unet.embedding"][None].double()
    cotangent, gradient = golden["unet.cotangent"].double(), golden["unet.t0981.cross_and_self_mask.input_gradient"]
    step = 1e-5
    for seed in range(3):
        direction = torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed)).double()
        ahead, behind = (
            model.unet(latent + sign * step * direction, 981, embedding).sample[0] for sign in (1, -1))
        numeric = ((ahead - behind) / (2 * step) * cotangent).sum().item()
        exact = (gradient.double() * direction[0]).sum().item()
        scale = (gradient.double() * direction[0]).abs().sum().item()
        assert abs(numeric - exact) < 1e-6 * scale, (numeric, exact)


def check_loss_gradient(folder: Path, golden: dict):
    """sum_b [a s_b + b J_b^T s_b], with ztilde = a z + b prediction and s_b = dL/dztilde_b written out."""
    model = load_model(folder, torch.float64)
    height, width = golden["vae.encode.image"].shape[1:]
    mask = torch.zeros(height, width)
    mask[: height // 2, width // 3 :] = 1
    words = "--model - --image - --mask - --prompt fox --preset fast".split()
    pilot = pilot_reference.Pilot(pilot_reference.parse(words), model, golden["vae.encode.image"], mask)
    t, background = 801, 1 - pilot.m
    z = torch.randn(pilot.z_in.shape, generator=torch.Generator().manual_seed(5)).double().requires_grad_()
    with torch.enable_grad():
        expected = torch.autograd.grad(pilot.losses(z, t)[0], z)[0]

    abar = model.scheduler.alphas_cumprod[t].double()
    a, b = 1 / abar.sqrt(), -(1 / abar - 1).sqrt()
    if model.scheduler.config.prediction_type == "v_prediction":
        a, b = abar.sqrt(), -(1 - abar).sqrt()
    with torch.enable_grad():
        predictions = [pilot.predict(branch, z, t) for branch in "uc"]
    z_u, z_c = (a * z.detach() + b * prediction.detach() for prediction in predictions)
    d = z_u - z_c
    D, N = d.square().sum(), (background * d).square().sum()
    slope = pilot.semantic_weight(t) * (2 * background * d / D - 2 * N * d / D**2)
    seeds = [0.5 * background * (z_u - pilot.z_in) + slope, -slope]
    gradient = sum(
        a * seed + b * torch.autograd.grad(prediction, z, seed)[0] for seed, prediction in zip(seeds, predictions))
    assert relative(gradient, expected) < 1e-12


def float32_distances(folder: Path, golden: dict) -> dict[str, float]:
    model = load_model(folder, torch.float32)
    masks = AttentionMasks(model.unet)
    index = json.loads((folder / "golden.json").read_text())
    distances = {}
    for case in index["text_encoder"]:
        ids = golden[f"{case['name']}.input_ids"].long()[None]
        hidden = model.text_encoder(ids).last_hidden_state[0]
        distances[case["name"]] = relative(hidden, golden[f"{case['name']}.last_hidden_state"])
    for case in index["unet"]:
        masks.use(golden["unet.latent_mask"], cross=case["cross"], self_=case["self"])
        with torch.enable_grad():
            latent = golden["unet.latent"][None].requires_grad_()
            output = model.unet(latent, case["timestep"], golden["unet.embedding"][None]).sample
            gradient = torch.autograd.grad(output, latent, golden["unet.cotangent"][None])[0]
        distances[f"{case['name']}.output"] = relative(output[0], golden[f"{case['name']}.output"])
        distances[f"{case['name']}.input_gradient"] = relative(gradient[0], golden[f"{case['name']}.input_gradient"])
    mean = model.vae.encode(golden["vae.encode.image"][None]).latent_dist.mean[0]
    distances["vae.encode.mean"] = relative(mean, golden["vae.encode.mean"])
    image = model.vae.decode(golden["vae.decode.latent"][None]).sample[0]
    distances["vae.decode.image"] = relative(image, golden["vae.decode.image"])
    return distances


def main():
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for folder in sorted(path for path in MODELS.iterdir() if path.is_dir()):
        golden = load_file(folder / "golden.safetensors")
        check_masks_that_mask_nothing(folder, golden)
        check_isolation(folder, golden)
        check_gradient(folder, golden)
        check_loss_gradient(folder, golden)
        print(f"{folder.name}: masks and gradients hold; float32 from the goldens, as a share of the largest value:")
        for name, distance in float32_distances(folder, golden).items():
            print(f"  {name:45} {distance:.1e}")
            assert distance < 5e-6, name


if __name__ == "__main__":
    main()
