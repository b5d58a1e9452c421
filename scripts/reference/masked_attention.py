"""The attention masks of the paper's Eqs. 13-15, and IP-Adapters, as attention processors for a diffusers UNet."""

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel


def foreground(latent_mask: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Eq. 13: where the mask, resized bilinearly to height x width, equals 1. Flat, row-major, boolean.

    Interpolated in float64 and compared with a margin: in float32 the weights of a cell may sum to 1 - 6e-8 (33 rows
    to 17, for one), and an all-ones mask would have background. The smallest share a zero of the mask can have in a
    cell is far above the margin.
    """
    resized = F.interpolate(
        latent_mask.double()[None, None], size=(height, width), mode="bilinear", align_corners=False, antialias=False)
    return resized.flatten() > 1 - 1e-9


class AttentionMasks:
    """Installs itself in every attention layer of a UNet; `use` says which masks act from then on."""

    def __init__(self, unet: torch.nn.Module, chunk_length: int | None = None):
        """`chunk_length`: the tokens of a chunk of the prompt; None for prompts of one chunk."""
        self.chunk_length = chunk_length
        self.latent_mask = None
        # IP-Adapters, and the branch whose tokens act.
        self.images = []
        self.branch = None
        self.cross = False
        self.self_ = False
        self._size = None
        for module in unet.modules():
            if isinstance(module, Transformer2DModel):
                # An attention processor sees tokens only; the rows and columns they came from are noted here.
                module.register_forward_pre_hook(self._note_size, with_kwargs=True)
        unet.set_attn_processor(self)

    def use(self, latent_mask: torch.Tensor | None, cross: bool = False, self_: bool = False, branch: str | None = None):
        self.latent_mask, self.cross, self.self_, self.branch = latent_mask, cross, self_, branch

    def _note_size(self, module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        self._size = tuple(hidden.shape[-2:])

    def _hidden_keys(self, is_cross: bool, key_count: int) -> torch.Tensor | None:
        """[queries, keys], true where a query must not see a key; None where nothing is masked."""
        if self.latent_mask is None or not (self.cross if is_cross else self.self_):
            return None
        inside = foreground(self.latent_mask, *self._size)
        if not inside.any():
            return None
        outside = ~inside
        if not is_cross:
            return outside[:, None] & inside[None, :]                                           # Eq. 15
        # Eq. 14, the first token of each chunk kept.
        prompt_tokens = torch.arange(key_count) % (self.chunk_length or key_count) > 0
        return outside[:, None] & prompt_tokens[None, :]

    def _foreground(self, shown: torch.Tensor) -> torch.Tensor | float:
        """F of Eq. 14, which a background query sees nothing of a picture by; 1 where nothing is masked."""
        if self.latent_mask is None or not self.cross:
            return 1.0
        inside = foreground(self.latent_mask, *self._size)
        return inside.to(shown.dtype)[None, :, None] if inside.any() else 1.0

    def __call__(self, attention: Attention, hidden_states, encoder_hidden_states=None, **_):
        is_cross = encoder_hidden_states is not None
        context = encoder_hidden_states if is_cross else hidden_states

        def heads(x):
            return x.unflatten(-1, (attention.heads, -1)).transpose(1, 2)

        query = heads(attention.to_q(hidden_states))
        key = heads(attention.to_k(context))
        value = heads(attention.to_v(context))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        hidden_keys = self._hidden_keys(is_cross, key.shape[-2])
        if hidden_keys is not None:
            scores = scores.masked_fill(hidden_keys, float("-inf"))
        output = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
        if is_cross:
            for image in self.images:
                key, value = (heads(x) for x in image.keys_and_values(attention, self.branch))
                scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
                shown = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
                output = output + image.scale * self._foreground(shown) * shown
        return attention.to_out[0](output)
