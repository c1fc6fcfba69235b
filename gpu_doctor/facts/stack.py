"""Which distributions belong to the GPU stack, by canonical name."""

from __future__ import annotations

import re

_GPU_STACK = re.compile(
    r"^(torch|torchvision|torchaudio|torchcodec|torchao|pytorch-triton|triton|xformers|flash-attn|bitsandbytes"
    r"|vllm|sglang|sgl-kernel|deepspeed|auto-gptq|ctranslate2|faster-whisper|whisperx|openai-whisper|pyannote-audio"
    r"|coqui-tts|tts|transformers|diffusers|accelerate|onnxruntime(-.+)?|cupy(-.+)?|jax|jaxlib|jax-cuda\d*-.+"
    r"|tensorflow|paddlepaddle-gpu|tensorrt(-.+)?|nvidia-(?!ml-py|smi).+|cuda-(bindings|python|toolkit|pathfinder))$"
)


def is_gpu_package(name: str) -> bool:
    """Tell whether a distribution belongs to the GPU stack."""
    return _GPU_STACK.match(name) is not None


def is_onnxruntime(name: str) -> bool:
    """Tell whether a distribution writes the folder `onnxruntime/`; the add-ons beside it have folders of their own."""
    return re.match(r"onnxruntime(?!-genai|-extensions|-tools)", name) is not None
