"""CLIP's byte-level tokenizer, learnt from a few words: the full byte alphabet, so any text encodes, and merges."""

import json
from collections import Counter
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet() -> list[str]:
    """A printable character for each byte, in the order of CLIP's vocabulary: printable bytes first."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(0x100 + index) for index in range(len(others))]


def learn_merges(text: str, count: int | None = None) -> list[tuple[str, str]]:
    """Byte-pair encoding: the most frequent pair first, ties in alphabetical order. `count` merges, or as many as
    make one token of every word."""
    frequencies = Counter(text.replace(",", " , ").split())
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in frequencies}
    merges = []
    while count is None or len(merges) < count:
        pairs = Counter()
        for word, parts in words.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += frequencies[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word, parts in words.items():
            merged = []
            for part in parts:
                if merged and (merged[-1], part) == best:
                    merged[-1] += part
                else:
                    merged.append(part)
            words[word] = merged
    return merges


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    alphabet = byte_alphabet()
    tokens = alphabet + [letter + "</w>" for letter in alphabet] + ["".join(pair) for pair in merges] + [START, END]
    return {token: index for index, token in enumerate(tokens)}


def write_tokenizer(
    folder: Path, text: str, context_length: int, pad_token: str = END, merge_count: int | None = None
) -> dict[str, int]:
    """Writes vocab.json, merges.txt and tokenizer_config.json; returns the vocabulary."""
    merges = learn_merges(text, merge_count)
    tokens = vocabulary(merges)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "add_prefix_space": False, "bos_token": START, "do_lower_case": True, "eos_token": END, "errors": "replace",
        "model_max_length": context_length, "pad_token": pad_token, "tokenizer_class": "CLIPTokenizer",
        "unk_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    special = {"bos_token": START, "eos_token": END, "pad_token": pad_token, "unk_token": END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    return tokens
