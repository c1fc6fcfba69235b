"""Keep the environment variables that change how GPU software behaves, and no secret among them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpu_doctor.model.hardware import Variable

_VALUE_LIMIT = 4096

_NAMES = frozenset(
    {
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "LD_DEBUG"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONUSERBASE", "PYTHONSAFEPATH", "VIRTUAL_ENV"),
        *("CONDA_PREFIX", "CONDA_OVERRIDE_CUDA", "CONDA_DEFAULT_ENV"),
        *("OMP_NUM_THREADS", "MKL_THREADING_LAYER", "KMP_DUPLICATE_LIB_OK"),
        *("USE_TORCH", "USE_TF", "USE_FLAX", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
        *("COLAB_RELEASE_TAG", "COLAB_GPU", "LLAMA_CUBLAS", "GGML_CUDA", "MAX_JOBS"),
    }
)

# TF_ alone would also name the variables of Terraform, which hold credentials.
_PREFIXES = (
    *("CUDA_", "CUDNN_", "CUBLAS_", "CUBLASLT_", "NCCL_", "NVIDIA_", "PYTORCH_", "TORCH_", "CT2_", "ORT_"),
    *("XLA_", "JAX_", "TF_FORCE_", "TF_GPU_", "TF_CPP_", "TF_ENABLE_", "TF_XLA_", "TF_CUDNN_", "TRITON_"),
    *("BNB_", "CUPY_", "FLASH_ATTN_", "FLASH_ATTENTION_", "HSA_", "HIP_", "ROCR_"),
)

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# The forms in which services hand out keys: Hugging Face, GitHub, OpenAI and NVIDIA, Amazon.
_SECRET_VALUE = re.compile(r"\b(?:hf_\w{16,}|gh[a-z]_\w{16,}|github_pat_\w+|(?:sk|nvapi)-[\w-]{16,}|AKIA[A-Z0-9]{12,})")
_REMOVED = "***"


def read_variables(environ: Mapping[str, str]) -> tuple[Variable, ...]:
    """Return the relevant variables by name, each value at most 4096 characters long and with its secrets removed."""
    return tuple(Variable(name, _harmless(environ[name])) for name in sorted(environ) if _is_relevant(name))


def _is_relevant(name: str) -> bool:
    return (name in _NAMES or name.startswith(_PREFIXES)) and not _SECRET_NAME.search(name)


def _harmless(value: str) -> str:
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # Cut last: a secret cut in half would no longer be recognised.
    return _SECRET_VALUE.sub(_REMOVED, _USER_INFO.sub(_REMOVED, text))[:_VALUE_LIMIT]
