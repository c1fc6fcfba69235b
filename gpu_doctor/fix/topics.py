"""What the words after `gpu-doctor fix` mean: topics that people think in, and ids of rules."""

from __future__ import annotations

import re

from gpu_doctor.model.finding import Finding

ALL = "all"

# Matched against a finding's rule and its seats: distributions, files within the environment, variables, `import NAME`.
TOPICS = {
    "cudnn": re.compile(r"cudnn"),
    "onnxruntime": re.compile(r"onnxruntime|^ort-"),
    "torch": re.compile(
        r"^(?:import )?(?:torch|torchvision|torchaudio|triton|nvidia-[\w-]+)$|^torch-|/torch/|^cuda-majors-mixed$"
    ),
    "audio": re.compile(
        r"^(?:import )?(?:ctranslate2|faster-whisper|whisperx|openai-whisper|pyannote-[\w-]+|torchcodec|torchaudio"
        r"|coqui-tts|tts|transformers|speechbrain|silero-vad|onnxruntime(?:-gpu)?)$|torchcodec|ctranslate2"
    ),
    "libraries": re.compile(r"\.so\b|LD_LIBRARY_PATH|^nvidia-|-unreachable$|^library-|^import "),
}


def concerns(finding: Finding, names: tuple[str, ...], prefix: str) -> bool:
    """Tell whether a finding is meant by any of these topics and rule ids; by none at all everything is meant."""
    return not names or any(_meant(finding, name, prefix) for name in names)


def _meant(finding: Finding, name: str, prefix: str) -> bool:
    if name in (ALL, finding.rule):
        return True
    topic = TOPICS.get(name)
    # Where somebody keeps the environment (~/torch-trials/venv) tells nothing about a file in it.
    seats = (seat.removeprefix(prefix) for seat in finding.seats)
    return topic is not None and any(topic.search(word) for word in (finding.rule, *seats))
