"""Has diffusers judge a single-file checkpoint that pilot model convert has written.

    pilot model init --architecture sd21 --dtype float16 --output sd21
    pilot model convert sd21 --output sd21.safetensors
    .venv/bin/python scripts/reference/check_single_file.py sd21 sd21.safetensors [--table TABLE]

diffusers' own conversion of single files is run on numbers that say which tensor and row they come from, so that its
renaming is seen without a network in memory. Then: the keys and shapes that it gives are those of diffusers' and
transformers' classes for the folder's configurations, and each tensor's bytes in the folder are those of the rows in
the file that diffusers takes it from. With --table the renaming is written down, a line for each tensor: our name,
diffusers' without text_model., the file's name, the first row, the file's shape. Those of both architectures are
fixtures of the tests: Tests/DiffusionModelsTests/Fixtures/ldm.
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import diffusers
import torch
import transformers
from diffusers.loaders import single_file_utils as judge
from safetensors import safe_open

for library in (diffusers, transformers):
    library.utils.logging.set_verbosity_error()

# More rows than any tensor has.
STRIDE = 1 << 17


def tagged(file: Path) -> tuple[list[str], dict[str, torch.Tensor]]:
    """The file's keys, and for each a tensor of its shape whose rows hold key number * STRIDE + row."""
    with safe_open(file, "pt") as handle:
        shapes = {key: handle.get_slice(key).get_shape() for key in sorted(handle.keys())}
    tensors = {}
    for number, (key, shape) in enumerate(shapes.items()):
        rows = torch.arange(shape[0], dtype=torch.int64) + number * STRIDE
        tensors[key] = rows.reshape([-1] + [1] * (len(shape) - 1)).expand(shape)
    return list(shapes), tensors


def networks(folder: Path) -> dict[str, torch.nn.Module]:
    def config(part: str) -> dict:
        return json.loads((folder / part / "config.json").read_text())

    with torch.device("meta"):
        return {
            "unet": diffusers.UNet2DConditionModel.from_config(config("unet")),
            "vae": diffusers.AutoencoderKL.from_config(config("vae")),
            "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**config("text_encoder"))),
        }


def without_prefix(key: str) -> str:
    return key.removeprefix("text_model.")


def converted(tensors: dict[str, torch.Tensor], models: dict[str, torch.nn.Module]) -> dict[str, dict]:
    """What diffusers makes of the file, by component."""
    text = models["text_encoder"].config
    if judge.is_open_clip_model(tensors) or any(key.startswith("cond_stage_model.model.") for key in tensors):
        stub = SimpleNamespace(config=SimpleNamespace(hidden_size=text.hidden_size))
        encoder = judge.convert_open_clip_checkpoint(stub, dict(tensors))
    else:
        encoder = judge.convert_ldm_clip_checkpoint(dict(tensors))
    return {
        "unet": judge.convert_ldm_unet_checkpoint(dict(tensors), models["unet"].config),
        "vae": judge.convert_ldm_vae_checkpoint(dict(tensors), models["vae"].config),
        "text_encoder": {without_prefix(key): value for key, value in encoder.items()},
    }


def check(folder: Path, file: Path) -> list[str]:
    keys, tensors = tagged(file)
    models = networks(folder)
    lines, used = [], set()
    with safe_open(file, "pt") as whole:
        for part, found in converted(tensors, models).items():
            expected = {
                without_prefix(key): list(value.shape)
                for key, value in models[part].state_dict().items() if "position_ids" not in key
            }
            shapes = {key: list(value.shape) for key, value in found.items()}
            assert shapes == expected, sorted(set(shapes.items()) ^ set(expected.items()), key=str)[:5]
            name = "model" if part == "text_encoder" else "diffusion_pytorch_model"
            with safe_open(folder / part / f"{name}.safetensors", "pt") as handle:
                stored = {without_prefix(key): key for key in handle.keys()}
                for key in sorted(found):
                    first = int(found[key].flatten()[0])
                    source, row = keys[first // STRIDE], first % STRIDE
                    used.add(source)
                    original = handle.get_tensor(stored[key])
                    copy = whole.get_slice(source)[row : row + original.shape[0]]
                    assert torch.equal(original.flatten(), copy.flatten()), f"{part} {key} has other values"
                    shape = "x".join(map(str, tensors[source].shape))
                    lines.append(f"{part} {key} {source} {row} {shape}")
    assert used == set(keys), f"diffusers leaves {sorted(set(keys) - used)[:5]} alone"
    print(f"{file}: diffusers takes it for {judge.infer_diffusers_model_type(tensors)}; {len(lines)} tensors are its own")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    lines = check(arguments.folder, arguments.file)
    if arguments.table:
        arguments.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
