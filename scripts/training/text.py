"""The text encoder: a small CLIPTextModel, taught first to bind words that belong together.

A denoiser learns slowly through cross-attention which colour belongs to which object. So the encoder first learns to
answer that from its own output (one query for each kind of object, one for the time, one for the ground), which takes
a minute; afterwards it is trained along with the denoiser.
"""

from pathlib import Path

import torch
from byte_pairs import END, START, write_tokenizer

from loop import DEVICE, Schedule, train
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from world import COLOURS, GROUNDS, OBJECTS, TIMES, every_caption_word

WIDTH = 128
CONTEXT = 32


def tokenizer(work: Path) -> CLIPTokenizer:
    folder = work / "tokenizer"
    if not (folder / "tokenizer_config.json").exists():
        write_tokenizer(folder, " ".join(every_caption_word()), CONTEXT)
    return CLIPTokenizer.from_pretrained(folder)


def tokens(words: CLIPTokenizer, captions: list[str]) -> torch.Tensor:
    """Token ids [captions, CONTEXT], padded as at inference."""
    return words(captions, padding="max_length", max_length=CONTEXT, truncation=True, return_tensors="pt").input_ids


def untrained(words: CLIPTokenizer) -> CLIPTextModel:
    ids = words.get_vocab()
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(ids),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            projection_dim=WIDTH,
            max_position_embeddings=CONTEXT,
            hidden_act="quick_gelu",
            bos_token_id=ids[START],
            eos_token_id=ids[END],
            pad_token_id=ids[END],
        )
    )


class Reader(torch.nn.Module):
    """Answers questions from the encoder's output by one layer of cross-attention, a learnt query for each question:
    what colour has the ball (none without one), ... the time, the ground."""

    ANSWERS = (*[len(COLOURS) + 1] * len(OBJECTS), len(TIMES) + 1, len(GROUNDS) + 1)

    def __init__(self):
        super().__init__()
        self.queries = torch.nn.Parameter(torch.randn(len(self.ANSWERS), WIDTH) * 0.1)
        self.attention = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.answers = torch.nn.ModuleList(torch.nn.Linear(WIDTH, count) for count in self.ANSWERS)

    def forward(self, states: torch.Tensor) -> list[torch.Tensor]:
        read, _ = self.attention(self.queries.expand(len(states), -1, -1), states, states, need_weights=False)
        return [answer(read[:, index]) for index, answer in enumerate(self.answers)]


def truth(caption: str) -> list[int]:
    """The answers as the caption gives them; the last index where it says nothing."""
    words = caption.split()
    colours = {kind: len(COLOURS) for kind in OBJECTS}
    for colour, kind in zip(words, words[1:]):
        if colour in COLOURS and kind in OBJECTS:
            colours[kind] = COLOURS.index(colour)
    signs = {"day": 0, "sunny": 0, "daylight": 0, "sunset": 1, "evening": 1, "dusk": 1, "night": 2}
    places = {"grass": 0, "meadow": 0, "sand": 1, "beach": 1, "snow": 2, "water": 3, "lake": 3}
    time = next((signs[word] for word in words if word in signs), len(TIMES))
    ground = next((places[word] for word in words if word in places), len(GROUNDS))
    return [*colours.values(), time, ground]


def taught(words: CLIPTokenizer, captions: list[str], steps: int, work: Path, seed: int) -> CLIPTextModel:
    """The encoder after its first lessons, for which captions without an object, or with two of one kind, don't do."""
    single = [line for line in captions if len(set(line.split()) & set(OBJECTS)) >= line.count(" and ") + 1]
    ids, answers = tokens(words, single).to(DEVICE), torch.tensor([truth(line) for line in single], device=DEVICE)
    torch.manual_seed(seed)
    modules = torch.nn.ModuleDict({"text_encoder": untrained(words), "reader": Reader()})

    def loss(rng, generator):
        chosen = torch.from_numpy(rng.integers(len(single), size=64)).to(DEVICE)
        states = modules["text_encoder"](ids[chosen]).last_hidden_state
        guesses = modules["reader"](states)
        right = answers[chosen]
        parts = [torch.nn.functional.cross_entropy(guess, right[:, i]) for i, guess in enumerate(guesses)]
        share = torch.stack([(guess.argmax(1) == right[:, i]) for i, guess in enumerate(guesses)]).all(0).float().mean()
        return {"loss": sum(parts), "all answers right": share}

    schedule = Schedule(steps=steps, peak=1e-3)
    return train("text", modules, loss, schedule, work, seed, averaging=0.99, report_every=200)["text_encoder"]
