"""llama.cpp with the same weights, to compare the engine with.

The weights that the service has in memory, its adapter merged into them, are written as a GGUF
file, which llama.cpp reads. Only Llama models without biases can be written.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import torch
from transformers import PreTrainedModel

WeightFormat = Literal["float32", "bfloat16", "Q8_0", "Q4_1"]
"""How llama.cpp has the weights. The first two are written here, the others it makes of them."""

WEIGHT_FORMATS: tuple[WeightFormat, ...] = ("float32", "bfloat16", "Q8_0", "Q4_1")
_WRITTEN = {
    "float32": gguf.GGMLQuantizationType.F32,
    "bfloat16": gguf.GGMLQuantizationType.BF16,
}
_LAYER_PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""transformers' names of a layer's parts, and GGUF's."""


def llama_cpp() -> Any:
    """The package llama-cpp-python; None where it is not installed."""
    try:
        import llama_cpp as package
    except ImportError:
        return None
    return package


class LlamaCpp:
    """llama.cpp with one model and one sequence of tokens."""

    def __init__(self, file: Path, context_tokens: int, threads: int) -> None:
        self._api = api = llama_cpp()
        api.llama_log_set(_silent, ctypes.c_void_p(0))
        self._model = api.llama_model_load_from_file(
            str(file).encode(), api.llama_model_default_params()
        )
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot read {file}")
        options = api.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = context_tokens
        options.n_threads = options.n_threads_batch = threads
        self._context = api.llama_init_from_model(self._model, options)
        self._batch = api.llama_batch_init(context_tokens, 0, 1)
        self._vocabulary: int = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self._model))
        self._position = 0

    def close(self) -> None:
        """Free the memory."""
        self._api.llama_batch_free(self._batch)
        self._api.llama_free(self._context)
        self._api.llama_model_free(self._model)

    def read(self, tokens: Sequence[int], logits: int = 1) -> np.ndarray[Any, Any]:
        """Start anew with `tokens`. Returns the logits after the last `logits` of them."""
        self._api.llama_memory_clear(self._api.llama_get_memory(self._context), True)
        self._position = 0
        return self._decode(tokens, logits)

    def step(self, token: int) -> int:
        """Read one more token, and return the most probable next one."""
        return int(self._decode([token], 1)[0].argmax())

    def _decode(self, tokens: Sequence[int], logits: int) -> np.ndarray[Any, Any]:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = self._position + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = place >= len(tokens) - logits
        if failed := self._api.llama_decode(self._context, batch):
            raise RuntimeError(f"llama_decode: {failed}")
        self._position += len(tokens)
        found = self._api.llama_get_logits(self._context)
        return np.ctypeslib.as_array(found, (logits, self._vocabulary))


def written(model: PreTrainedModel, wanted: WeightFormat, folder: Path) -> Path:
    """A file in `folder` with the model's weights in the format wanted."""
    file = folder / f"{wanted}.gguf"
    if wanted in _WRITTEN:
        write(model, file, _WRITTEN[wanted])
        return file
    whole = folder / "float32.gguf"
    if not whole.exists():
        write(model, whole, gguf.GGMLQuantizationType.F32)
    api = llama_cpp()
    options = api.llama_model_quantize_default_params()
    options.ftype = getattr(api, f"LLAMA_FTYPE_MOSTLY_{wanted}")
    api.llama_log_set(_silent, ctypes.c_void_p(0))
    if api.llama_model_quantize(str(whole).encode(), str(file).encode(), ctypes.byref(options)):
        raise RuntimeError(f"llama.cpp cannot quantise to {wanted}")
    return file


def write(model: PreTrainedModel, file: Path, form: gguf.GGMLQuantizationType) -> None:
    """Write a Llama model's weights to `file`, without a tokenizer."""
    config = model.config
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    weights = model.state_dict()
    _add(writer, "token_embd", weights["model.embed_tokens.weight"], form)
    _add(writer, "output_norm", weights["model.norm.weight"], form)
    if not config.tie_word_embeddings:
        _add(writer, "output", weights["lm_head.weight"], form)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for number in range(config.num_hidden_layers):
        for theirs, name in _LAYER_PARTS.items():
            weight = weights[f"model.layers.{number}.{theirs}.weight"]
            if name in heads:
                weight = _interleaved(weight, heads[name])
            _add(writer, f"blk.{number}.{name}", weight, form)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add(
    writer: gguf.GGUFWriter, name: str, weight: torch.Tensor, form: gguf.GGMLQuantizationType
) -> None:
    values = weight.float().cpu().numpy()
    if values.ndim == 1 or form is gguf.GGMLQuantizationType.F32:
        writer.add_tensor(f"{name}.weight", values)
    else:
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, form), raw_dtype=form)


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """The rows in llama.cpp's order: it rotates neighbours, transformers the halves of a head."""
    return weight.view(heads, 2, -1, weight.shape[-1]).transpose(1, 2).flatten(0, 2)


def _ignored(_level: int, _text: bytes, _data: int) -> None:
    """Takes llama.cpp's log, which goes to the error output otherwise."""


_silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_ignored)
