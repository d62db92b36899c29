"""Random two-layer models of two families, each with a tokenizer, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CONTEXT = 256
END = "<|end|>"
BEGIN = "<|begin|>"

_TEXT = [
    "To answer the query: What does a dog enjoy?, I need information dog likes meat",
    "Answer the query considering the user's personalized facts."
    " <question>: Where is it? <facts>: dog is located in kennel",
    "Based on the provided query and answer, identify 5 types of relationships"
    " <relation>: likes <sep> has a",
    "naïve café 犬 собака the quick brown fox jumps over the lazy dog 0123456789",
]


def llama_config(kind: type[LlamaConfig] = LlamaConfig, layers: int = 2) -> LlamaConfig:
    """What a tiny Llama looks like: rotary positions, grouped heads, 48 numbers a state."""
    return kind(
        vocab_size=600,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=1,
        eos_token_id=0,
        pad_token_id=0,
    )


def make_llama(folder: Path, *, begins: bool = True, layers: int = 2) -> Path:
    """A Llama-style model. With `begins`, its tokenizer sets a beginning-of-sequence token."""
    torch.manual_seed(1)
    LlamaForCausalLM(llama_config(layers=layers)).save_pretrained(folder)
    tiny_tokenizer(begins=begins).save_pretrained(folder)
    return folder


def make_gpt2(folder: Path) -> Path:
    """A GPT-2-style model (learned positions) whose tokenizer sets no special tokens."""
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=600,
        n_positions=CONTEXT,
        n_embd=48,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tiny_tokenizer(begins=False).save_pretrained(folder)
    return folder


def make_gguf(path: Path) -> Path:
    """The Llama-style model's shape as a GGUF file in 16-bit numbers, with its tokenizer."""
    random = np.random.default_rng(3)
    described = json.loads(tiny_tokenizer(begins=False).backend_tokenizer.to_str())["model"]
    tokens = sorted(described["vocab"], key=described["vocab"].__getitem__)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(48)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(12)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_merges([" ".join(pair) for pair in described["merges"]])
    writer.add_token_types(
        [gguf.TokenType.CONTROL if t in (END, BEGIN) else gguf.TokenType.NORMAL for t in tokens]
    )
    writer.add_eos_token_id(tokens.index(END))
    writer.add_bos_token_id(tokens.index(BEGIN))
    shapes = {
        "token_embd.weight": (len(tokens), 48),
        "output_norm.weight": (48,),
        "output.weight": (len(tokens), 48),
        "attn_q.weight": (48, 48),
        "attn_k.weight": (24, 48),
        "attn_v.weight": (24, 48),
        "attn_output.weight": (48, 48),
        "ffn_gate.weight": (96, 48),
        "ffn_up.weight": (96, 48),
        "ffn_down.weight": (48, 96),
        "attn_norm.weight": (48,),
        "ffn_norm.weight": (48,),
    }
    for name, shape in shapes.items():
        in_layers = name.startswith(("attn", "ffn"))
        for place in [f"blk.0.{name}", f"blk.1.{name}"] if in_layers else [name]:
            number_format = np.float32 if len(shape) == 1 else np.float16
            writer.add_tensor(place, (random.standard_normal(shape) * 0.1).astype(number_format))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_tokenizer(*, begins: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 600 tokens, with a beginning token if it `begins`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[END, BEGIN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 3, trainer)
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", special_tokens=[(BEGIN, 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, bos_token=BEGIN if begins else None
    )
