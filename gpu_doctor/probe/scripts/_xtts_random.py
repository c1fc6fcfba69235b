"""Make XTTS v2 at its true size with random weights; Python 3.8, standard library and coqui-tts only.

No question of its own: bench_xtts.py runs this file and takes `build` and `voice` from it. Nothing is downloaded, and
no weight means anything: what comes out is noise, made by the very kernels that make speech.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import string
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# Where the configuration that lies beside the weights of XTTS v2 differs from the defaults of coqui-tts, which are
# those of version 1: https://huggingface.co/coqui/XTTS-v2/blob/main/config.json
_ARCHITECTURE = {
    "gpt_number_text_tokens": 6681,
    "gpt_num_audio_tokens": 1026,
    "gpt_start_audio_token": 1024,
    "gpt_stop_audio_token": 1025,
    "gpt_use_perceiver_resampler": True,
}
_SETTINGS = {
    "temperature": 0.75,
    "repetition_penalty": 5.0,
    "gpt_cond_len": 30,
    "gpt_cond_chunk_len": 4,
    "max_ref_len": 30,
}
# The last layer's weights are made larger, so that the sound is neither silent nor clipped.
_LOUDNESS = 2.0


def build(seed: int) -> Any:
    """Return the model, which has still to be made ready by its `eval`."""
    torch = importlib.import_module("torch")
    config = importlib.import_module("TTS.tts.configs.xtts_config").XttsConfig()
    for name, value in _SETTINGS.items():
        setattr(config, name, value)
    for name, value in _ARCHITECTURE.items():
        setattr(config.model_args, name, value)
    tokenizer = _tokenizer(config.languages)
    config.model_args.gpt_start_text_token = tokenizer.tokenizer.token_to_id("[START]")
    config.model_args.gpt_stop_text_token = tokenizer.tokenizer.token_to_id("[STOP]")
    with _nothing_random(torch):
        model = importlib.import_module("TTS.tts.models.xtts").Xtts(config)
    model.tokenizer = tokenizer
    _fill(torch, model, seed)
    return model


@contextlib.contextmanager
def _nothing_random(torch: Any) -> Iterator[None]:
    """Keep layers from drawing weights as they are made: they would do so two or three times, in half a minute."""
    names = ("normal_", "uniform_")
    for name in names:
        setattr(torch.Tensor, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name in names:
            delattr(torch.Tensor, name)  # what torch.Tensor inherits comes to light again


def _fill(torch: Any, model: Any, seed: int) -> None:
    """Draw every weight once, of a size at which no layer's output grows or fades."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if name.endswith(("original0", "weight_g")):  # the length of a normalized weight, of two versions of torch
                values.fill_(1.0)
            elif values.dim() > 1:
                values.normal_(0.0, values[0].numel() ** -0.5, generator=generator)
            elif name.endswith("bias"):  # drawn too, when it was made; the other vectors are constants
                values.zero_()
        model.hifigan_decoder.waveform_decoder.conv_post.weight.mul_(_LOUDNESS)


def voice(rate: int) -> Any:
    """Return six seconds of something like a voice: a gliding pitch, its harmonics, four syllables a second."""
    torch = importlib.import_module("torch")
    at = torch.arange(6 * rate) / rate
    phase = torch.cumsum(120 + 20 * torch.sin(3.0 * at), 0) * (6.2831853 / rate)
    harmonics = torch.stack([torch.sin(number * phase) / number for number in range(1, 25)]).sum(0)
    return harmonics * (0.15 + 0.15 * torch.sin(25.0 * at))


def _tokenizer(languages: list[str]) -> Any:
    """Return a tokenizer of single characters, as large as the real one; what it does not know is one token as well."""
    tokenizers = importlib.import_module("tokenizers")
    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{language}]" for language in languages), "[START]"]
    words = [*special, *string.ascii_lowercase, *string.digits, *string.punctuation]
    words += [f"[unused {number}]" for number in range(len(words), _ARCHITECTURE["gpt_number_text_tokens"])]
    vocabulary = {word: number for number, word in enumerate(words)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="[UNK]"))
    made.add_special_tokens(special)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.json")
        made.save(path)
        return importlib.import_module("TTS.tts.layers.xtts.tokenizer").VoiceBpeTokenizer(vocab_file=path)
