"""Prompts with weights, chunks and textual inversions, as the text encoder of a diffusers model reads them.

Written from the rules of AUTOMATIC1111's web UI, apart from the engine: a regular expression takes the prompt apart,
and chunks are cut out of one list of pieces.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open

BREAK = object()
REACH = 20    # how far back a comma may be for what follows it to go into the next chunk
TOKEN = re.compile(
    r"\\(?P<literal>[()\[\]\\])|(?P<backslash>\\)|(?P<open>[(\[])"
    r"|:\s*(?P<weight>[+-]?[.0-9]+)\s*\)|(?P<close>[)\]])|(?P<text>[^\\()\[\]:]+|:)")
SCHEDULE = re.compile(r":\s*[+-]?[.0-9]+(?:[eE][+-]?[0-9]*)?\s*\]")


class Refused(Exception):
    """What the engine refuses with exit code 64."""


def fragments(prompt: str) -> list:
    """(text, weight) in order, and BREAK where a chunk ends."""
    parts, brackets = [], []    # parts: [text or BREAK, weight]; brackets: [kind, first part, holds a bar]
    escaped = False

    def close(kind: str, factor: float) -> bool:
        for index in reversed(range(len(brackets))):
            if brackets[index][0] == kind:
                _, first, bar = brackets.pop(index)
                if kind == "[" and bar:
                    raise Refused("alternating words")
                for part in parts[first:]:
                    part[1] *= factor
                return True
        return False

    for match in TOKEN.finditer(prompt):
        after_backslash, escaped = escaped, False
        whole = match.group(0)
        if match["literal"]:
            parts.append([match["literal"], 1.0])
            continue
        if match["backslash"]:
            escaped = True
            continue
        if match["open"]:
            brackets.append([whole, len(parts), False])
            continue
        if match["weight"] and any(kind == "(" for kind, _, _ in brackets):
            try:
                close("(", float(match["weight"]))
            except ValueError:
                raise Refused("a weight that is no number")
            continue
        if match["close"] and close("(" if whole == ")" else "[", 1.1 if whole == ")" else 1 / 1.1):
            continue
        if whole.startswith(":") and not after_backslash and any(kind == "[" for kind, _, _ in brackets):
            if SCHEDULE.match(prompt, match.start()):
                raise Refused("words for a part of the steps")
        if re.search(r"\bAND\b", whole):
            raise Refused("AND")
        if "|" in (whole[1:] if after_backslash else whole) and brackets:
            brackets[-1][2] = True
        for index, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", whole)):
            if index > 0:
                parts.append([BREAK, 1.0])
            parts.append([piece, 1.0])
    for kind, factor in (("(", 1.1), ("[", 1 / 1.1)):
        for bracket, first, _ in brackets:
            if bracket == kind:
                for part in parts[first:]:
                    part[1] *= factor
    merged = []
    for text, weight in parts:
        if text is not BREAK and merged and merged[-1][0] is not BREAK and merged[-1][1] == weight:
            merged[-1][0] += text
        else:
            merged.append([text, weight])
    return [BREAK if text is BREAK else (text, weight) for text, weight in merged]


@dataclass
class Chunk:
    """Tokens between start and end: ids, or vectors of an embedding; and the weight of each."""

    tokens: list = field(default_factory=list)
    weights: list = field(default_factory=list)


class Prompts:
    def __init__(self, tokenizer, embeddings: dict[str, torch.Tensor] | None = None):
        """Embeddings are [vectors, width] by name."""
        self.tokenizer, self.embeddings = tokenizer, embeddings or {}
        self.room = tokenizer.model_max_length - 2
        self.comma = tokenizer.get_vocab().get(",</w>")

    def names(self, text: str) -> list:
        """The text cut at the embeddings' names: strings, and (name, vectors)."""
        longest_first = sorted(self.embeddings, key=lambda name: -len(name))
        pieces, plain, position = [], "", 0
        while position < len(text):
            for name in longest_first:
                end = position + len(name)
                before, after = text[position - 1:position], text[end:end + 1]
                inside = (before.isalnum() and name[0].isalnum()) or (after.isalnum() and name[-1].isalnum())
                if text[position:end].lower() == name.lower() and not inside:
                    pieces += [plain, (name, self.embeddings[name])]
                    plain, position = "", end
                    break
            else:
                plain += text[position]
                position += 1
        return [piece for piece in [*pieces, plain] if piece]

    def pieces(self, text: str) -> list[list]:
        """Lists of tokens that stay together: [id], or an embedding's [(name, row), ...]."""
        found = []
        for piece in self.names(text):
            if isinstance(piece, str):
                found += [[id] for id in self.tokenizer(piece, add_special_tokens=False, truncation=False).input_ids]
            else:
                name, vectors = piece
                found.append([(name, row) for row in range(len(vectors))])
        return found

    def chunks(self, prompt: str, syntax: str = "a1111") -> list[Chunk]:
        if syntax == "plain":
            kept = Chunk()
            for piece in self.pieces(prompt):
                if len(kept.tokens) + len(piece) > self.room:
                    break
                kept.tokens += piece
                kept.weights += [1.0] * len(piece)
            return [kept]
        done, pieces, comma = [], [], None    # pieces of the open chunk; comma: how many tokens are before it

        def used():
            return sum(len(tokens) for tokens, _ in pieces)

        def finish():
            nonlocal pieces, comma
            done.append(pieces)
            pieces, comma = [], None

        for fragment in fragments(prompt):
            if fragment is BREAK:
                finish()
                continue
            text, weight = fragment
            for tokens in self.pieces(text):
                if tokens == [self.comma]:
                    comma = used()
                elif used() == self.room and comma is not None and self.room - comma <= REACH:
                    stay, go, count = [], [], 0
                    for entry in pieces:
                        (stay if count <= comma else go).append(entry)
                        count += len(entry[0])
                    pieces = stay
                    finish()
                    pieces = go
                if used() + len(tokens) > self.room:
                    finish()
                pieces.append((tokens, weight))
        if pieces or not done:
            finish()
        return [
            Chunk([token for tokens, _ in chunk for token in tokens],
                  [weight for tokens, weight in chunk for _ in tokens]) for chunk in done]


def encode(
    tokenizer, encoder, chunks: list[Chunk], embeddings: dict[str, torch.Tensor], rescale: bool = True,
    clip_skip: int = 1,
) -> torch.Tensor:
    """[tokens of all chunks, width]"""
    table = encoder.get_input_embeddings()
    first, rows = {}, []
    for name, vectors in embeddings.items():
        first[name] = table.num_embeddings + len(rows)
        rows += list(vectors.to(table.weight.dtype))
    larger = torch.nn.Embedding(table.num_embeddings + len(rows), table.embedding_dim, dtype=table.weight.dtype)
    larger.weight.data = torch.cat([table.weight.data, *(row[None] for row in rows)])
    norm = next(module for name, module in encoder.named_modules() if name.endswith("final_layer_norm"))
    length, states = tokenizer.model_max_length, []
    encoder.set_input_embeddings(larger)
    try:
        for chunk in chunks:
            ids = [token if isinstance(token, int) else first[token[0]] + token[1] for token in chunk.tokens]
            ids = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
            ids += [tokenizer.pad_token_id] * (length - len(ids))
            weights = torch.tensor([1.0, *chunk.weights], dtype=table.weight.dtype)
            weights = torch.cat([weights, weights.new_ones(length - len(weights))])
            with torch.no_grad():
                output = encoder(torch.tensor([ids]), output_hidden_states=True)
                z = output.last_hidden_state[0] if clip_skip == 1 else norm(output.hidden_states[-clip_skip])[0]
            if (weights != 1).any():
                mean = z.mean()
                z = z * weights[:, None]
                z = z * (mean / z.mean()) if rescale else z
            states.append(z)
    finally:
        encoder.set_input_embeddings(table)
    return torch.cat(states)


def read_embedding(path: str | Path, token: str | None = None) -> tuple[str, torch.Tensor]:
    """The name and [vectors, width] of a file of diffusers', or of the web UI's."""
    with safe_open(path, "pt") as file:
        (key,) = file.keys()
        vectors = file.get_tensor(key).float()
    name = token or (Path(path).stem if key == "emb_params" else key)
    return name, vectors.reshape(-1, vectors.shape[-1])
