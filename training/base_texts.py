"""Texts that the base model wrote, with its next-token probabilities: they prevent forgetting.

The training loss includes a cross-entropy on these texts: between the base's next-token
distribution (its `TOP` most probable tokens, and the rest as one) and the adapted model's. Each
step has fresh texts. A few texts that are repeated would be learned by heart and protect nothing.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedModel

TOP = 32
"""How many of the base's most probable tokens are kept at each position."""
_BATCH = 64


def sample_base_texts(
    model: PreTrainedModel, start_id: int, count: int, tokens: int, seed: int
) -> dict[str, torch.Tensor]:
    """Draw `count` texts of `tokens` tokens from `model`, from its 100 most probable tokens.

    Each starts as an empty document. Returns ids (texts, tokens + 1), and the distributions after
    ids[:, :-1] as top_ids and top_probs (texts, tokens, TOP).
    """
    torch.manual_seed(seed)
    batches = []
    for at in range(0, count, _BATCH):
        size = min(_BATCH, count - at)
        start = torch.full((size, 1), start_id)
        with torch.inference_mode():
            ids = model.generate(
                start,
                attention_mask=torch.ones_like(start),
                do_sample=True,
                top_k=100,  # top_p would sort the whole vocabulary at each token: twice the time
                max_new_tokens=tokens,
                min_new_tokens=tokens,
            )
            hidden = model.model(
                input_ids=ids[:, :-1], use_cache=False
            ).last_hidden_state  # (batch, tokens, width)
            # One text at a time: the whole batch's logits in float32 would take a gigabyte
            likeliest = [
                model.lm_head(text).float().softmax(-1).topk(TOP, dim=-1) for text in hidden
            ]
        probs = torch.stack([values for values, _ in likeliest]).to(torch.float16)
        top = torch.stack([indices for _, indices in likeliest]).to(torch.int32)
        batches.append((ids, top, probs))
        print(f"  base texts: {at + size}/{count}", flush=True)
    ids, top, probs = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return {"ids": ids.to(torch.int32), "top_ids": top, "top_probs": probs}


def load_or_sample(
    path: Path, model: PreTrainedModel, start_id: int, count: int, tokens: int, seed: int
) -> dict[str, torch.Tensor]:
    """The texts in `path`, which are sampled and stored there first if it has fewer."""
    from safetensors.torch import load_file, save_file

    if path.exists() and (stored := load_file(path))["ids"].shape[0] >= count:
        return {name: tensor[:count] for name, tensor in stored.items()}
    texts = sample_base_texts(model, start_id, count, tokens, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(texts, path)
    return texts


def forgetting_loss(
    log_probs: torch.Tensor, top_ids: torch.Tensor, top_probs: torch.Tensor
) -> torch.Tensor:
    """The cross-entropy between the base and the adapted model, as a mean over positions.

    It is taken over the base's most probable tokens, with all others as one. log_probs (positions,
    vocabulary) is float32; top_ids and top_probs are (positions, TOP).
    """
    kept = log_probs.gather(-1, top_ids.long())  # (positions, TOP)
    rest = torch.log1p(-kept.exp().sum(-1).clamp(max=1 - 1e-6))  # (positions,)
    probs = top_probs.float()
    return -(probs * kept).sum(-1).add((1 - probs.sum(-1)).clamp(min=0) * rest).mean()
