"""Merges LoRAs into the reference's networks: the closed forms, in the networks' own precision.

Names are looked up among those that the networks' modules have; LDM's come from the table that check_single_file.py
made, for networks with the blocks of Stable Diffusion 1.5.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open

TABLE = Path(__file__).resolve().parents[2] / "Tests/DiffusionModelsTests/Fixtures/ldm/sd15.txt"
ENDS = [
    (".lora.down.weight", "down"), (".lora.up.weight", "up"), (".lora_linear_layer.down.weight", "down"),
    (".lora_linear_layer.up.weight", "up"), (".lora_A.weight", "down"), (".lora_B.weight", "up"),
    (".lora_magnitude_vector", "magnitude"), (".lora_down.weight", "down"), (".lora_up.weight", "up"),
    (".lora_mid.weight", "mid"), (".alpha", "alpha"), (".dora_scale", "dora_scale"), (".down.weight", "down"),
    (".up.weight", "up"),
] + [(f".{name}", name) for name in (
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a",
    "lokr_w2_b")]


def flat(name: str) -> str:
    return name.replace(".", "_")


def modules_by_name(unet, text_encoder) -> dict:
    """(module, whether it is the text encoder's), by every name that a file may give it."""
    original = {}
    for line in TABLE.read_text().splitlines():
        part, name, ldm = line.split()[:3]
        if part == "unet":
            original[name.removesuffix(".weight")] = ldm.removeprefix("model.diffusion_model.").removesuffix(".weight")
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    names = {}
    for name, module in unet.named_modules():
        if not isinstance(module, kinds):
            continue
        spelled = [f"lora_unet_{flat(name)}", f"lora_unet_{flat(original.get(name, name))}", f"unet.{name}", name,
                   f"base_model.model.{name}"]
        parent, _, last = name.removesuffix(".0").rpartition(".")
        spelled += [f"{prefix}{parent}.processor.{last}_lora" for prefix in ("unet.", "")]
        names |= {spelling: (module, False) for spelling in spelled}
    for name, module in text_encoder.named_modules():
        if not isinstance(module, kinds):
            continue
        short = name.removeprefix("text_model.")
        parent, _, last = short.rpartition(".")
        old = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}.get(last, last) + "_lora"
        for prefix in ("", "text_model."):
            spelled = [f"lora_te_{flat(prefix + short)}", f"base_model.model.{prefix}{short}",
                       f"text_encoder.{prefix}{short}", f"text_encoder.{prefix}{parent}.{old}"]
            names |= {spelling: (module, True) for spelling in spelled}
    return names


def settings_of(name: str, metadata: dict) -> tuple:
    """alpha and use_rslora, as PEFT's metadata have them."""
    settings = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    part = "text_encoder." if name.startswith("text_encoder.") or "text_model." in name else "unet."
    own = {key.removeprefix(part): value for key, value in settings.items() if key.startswith(part)} or settings
    for pattern, alpha in (own.get("alpha_pattern") or {}).items():
        if name == pattern or name.endswith("." + pattern):
            return alpha, own.get("use_rslora", False)
    return own.get("lora_alpha"), own.get("use_rslora", False)


def change_of(weight: torch.Tensor, parts: dict, alpha, root: bool) -> torch.Tensor:
    """W' - W at strength 1."""
    def whole(prefix):
        return parts[prefix] if prefix in parts else parts[f"{prefix}_a"] @ parts[f"{prefix}_b"]

    if "down" in parts:
        down, up, rank = parts["down"], parts["up"].flatten(1), parts["down"].shape[0]
        if "mid" in parts:
            delta = torch.einsum("op,pqyx,qi->oiyx", up, parts["mid"], down.flatten(1))
        else:
            delta = up @ down.flatten(1)
    elif "hada_w1_a" in parts:
        rank = parts["hada_w1_b"].shape[0]
        delta = whole("hada_w1") * whole("hada_w2")
    else:
        first, second = whole("lokr_w1"), whole("lokr_w2")
        ranks = [parts[name].shape[1] for name in ("lokr_w2_a", "lokr_w1_a") if name in parts]
        rank = ranks[0] if ranks else None
        delta = torch.kron(first, second.flatten(1))
    if rank is not None and alpha:
        delta = delta * (alpha / (rank ** 0.5 if root else rank))
    delta = delta.reshape(weight.shape[0], -1, *weight.shape[2:])
    if delta.shape[1] < weight.shape[1]:
        rest = weight.shape[1] - delta.shape[1]
        delta = torch.cat([delta, delta.new_zeros(delta.shape[0], rest, *delta.shape[2:])], 1)
    magnitude = parts.get("magnitude", parts.get("dora_scale"))
    if magnitude is None:
        return delta
    axis = 1 if "dora_scale" in parts and magnitude.shape[0] == 1 and weight.shape[0] != 1 else 0
    changed = weight + delta
    norms = changed.square().sum([dim for dim in range(weight.dim()) if dim != axis], keepdim=True).sqrt()
    return changed * magnitude.reshape(norms.shape) / norms - weight


def merge(unet, text_encoder, loras: list):
    """`loras` holds (path, strength in the UNet, strength in the text encoder)."""
    names = modules_by_name(unet, text_encoder)
    sums = {}
    for path, scale, text_scale in loras:
        files: dict = {}
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for key in file.keys():
                end, part = next((end, part) for end, part in ENDS if key.endswith(end))
                files.setdefault(key.removesuffix(end), {})[part] = file.get_tensor(key).to(unet.dtype)
        for name, parts in files.items():
            module, is_text = names[name]
            alpha, root = settings_of(name, metadata)
            alpha = parts["alpha"].item() if "alpha" in parts else alpha
            change = change_of(module.weight, parts, alpha, root) * (text_scale if is_text else scale)
            sums[module] = sums.get(module, 0) + change
    for module, change in sums.items():
        module.weight.data += change
