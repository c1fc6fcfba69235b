"""Speak with XTTS and measure it; Python 3.8, standard library and coqui-tts (with what it needs) only.

Argument: the fields of `gpu_doctor.model.bench.BenchWish`, and `gpu`, the GPU to watch. `weights` is "random" or a
folder with config.json, model.pth and vocab.json; nothing is ever downloaded.
Answer: the measured fields of `gpu_doctor.model.bench.Bench`. Its figures are the medians of the three stages.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import runpy
import statistics
import textwrap
import time
import wave

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_TEXT = "Every part of this machine can speak."
_HERE = os.path.dirname(os.path.abspath(__file__))
_RANDOM = runpy.run_path(os.path.join(_HERE, "_xtts_random.py"))
_FILES = ("config.json", "model.pth", "vocab.json")
_STAGES = ("conditioning", "GPT", "vocoder")
_SETTINGS = ("temperature", "length_penalty", "repetition_penalty", "top_k", "top_p")
# Random weights know no end of a sentence. English is read aloud at some 15 characters a second, and an audio token is
# 1024 samples at 22050 Hz; so as many tokens as speech of that text has, but at least 1.5 seconds of them.
_CHARACTERS_PER_SECOND = 15.0
_LEAST_SECONDS = 1.5
_CONDITIONING_RATE = 22050
# So often is told how far the sampling is: seldom enough to cost nothing, often enough for a terminal.
_SAY_SECONDS = 0.25


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Load, speak, and measure what was wished."""
    workload = runpy.run_path(os.path.join(_HERE, "_workload.py"))
    work = workload["Work"](argument, notes)
    speech = _Speech(work, _read(argument["speaker_wav"], workload["read_wav"]))
    _measure(work, speech)
    if argument["reload"]:
        work.reload(speech.load, speech.run)
    return dict(work.finish())


def _measure(work: Any, speech: _Speech) -> None:
    """Do all that is done with one loaded model, which is let go in the end."""
    model = work.load(speech.load)
    work.versions("torch", "torchaudio", "coqui-tts", "TTS", "transformers")
    work.answer.update(speech.describe(model))
    result = work.repeat(lambda: speech.run(model), "conditioning")
    rate = int(model.args.output_sample_rate)
    work.answer.update(audio_seconds=len(result["wav"]) / rate, tokens=result["tokens"], ran_on=speech.ran_on(model))
    work.answer["figures"] = speech.figures()
    if work.wish["output"]:
        work.write_wav(result["wav"].tolist(), rate)
    work.keep()
    work.stage("first chunk of a stream", 0.9)
    work.answer["first_chunk_seconds"] = speech.first_chunk(model)
    if tuple(work.wish["batches"]) != (1,):
        work.sweep(speech.together(model))


def _read(path: str | None, read_wav: Callable[[str], tuple[list[float], int]]) -> tuple[list[float], int] | None:
    """Return the samples of the speaker's voice and their rate, or None for a generated one."""
    if path is None:
        return None
    try:
        return read_wav(path)
    except (EOFError, wave.Error) as error:
        raise ValueError(f"{path} is no WAV file of PCM samples: {str(error) or 'it ends too early'}") from error


class _Progress:
    """Count tokens as they are sampled, and now and then say so; transformers calls it with every token's scores."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self._rounds = max(1, int(work.wish["repeat"])) + 1
        self._said = 0.0
        self._round = 0
        self.tokens = 0
        self.expected = 1
        self.devices = set()  # type: set[str]

    def __call__(self, _: Any, scores: Any) -> Any:
        self.tokens += 1
        now = time.monotonic()
        if now - self._said > _SAY_SECONDS:
            self._said = now
            self.devices.add(str(scores.device))
            self.say("sampling")
        return scores

    def say(self, doing: str) -> None:
        """Say what is done in this round; those beyond the rounds of `Work.repeat` are silent."""
        if self._round < self._rounds:
            share = 0.05 + 0.9 * min(1.0, self.tokens / self.expected)
            which = f"{self._round}/{self._rounds - 1}" if self._round else "to warm up"
            self._work.stage(f"{doing} {which}", 0.1 + 0.8 * (self._round + share) / self._rounds)

    def over(self) -> None:
        """Go on to the next round, which is as long as this one was."""
        self.expected = max(1, self.tokens)
        self._round += 1


class _Speech:
    """Load XTTS and speak one text in one voice, the same every time; holds no model."""

    def __init__(self, work: Any, voice: tuple[list[float], int] | None) -> None:
        self._work = work
        self._voice = voice
        self._random = work.wish["weights"] == "random"
        self._text = (work.wish["text"] or "").strip() or _TEXT
        self._language = str(work.wish["language"])
        self._progress = _Progress(work)
        self._vocoder_began = self._vocoder_seconds = 0.0
        self._stages = []  # type: list[tuple[float, float, float]]

    def load(self) -> Any:
        """Return the model on its device, ready to speak."""
        self._torch = importlib.import_module("torch")
        if self._work.on_gpu:
            self._torch.cuda.set_device(self._work.index)
        model = self._made() if self._random else self._stored(str(self._work.wish["weights"]))
        samples, rate = self._voice or (_RANDOM["voice"](_CONDITIONING_RATE), _CONDITIONING_RATE)
        sound = self._torch.as_tensor(samples, dtype=self._torch.float32).reshape(1, -1)
        sound = importlib.import_module("torchaudio").functional.resample(sound, rate, _CONDITIONING_RATE)
        self._sound = sound[:, : _CONDITIONING_RATE * model.config.max_ref_len]
        model.to(self._work.device)
        model.hifigan_decoder.register_forward_pre_hook(lambda *_: self._before_vocoder())
        model.hifigan_decoder.register_forward_hook(lambda *given: self._after_vocoder(given[2]))
        return model

    def _made(self) -> Any:
        model = _RANDOM["build"](int(self._work.wish["seed"]))
        self._require_language(model.config)
        model.eval()
        return model

    def _stored(self, folder: str) -> Any:
        missing = [name for name in _FILES if not os.path.isfile(os.path.join(folder, name))]
        if missing:
            raise FileNotFoundError(f"{folder} is no folder of XTTS weights: it lacks {', '.join(missing)}")
        config = importlib.import_module("TTS.tts.configs.xtts_config").XttsConfig()
        config.load_json(os.path.join(folder, "config.json"))
        self._require_language(config)
        model = importlib.import_module("TTS.tts.models.xtts").Xtts.init_from_config(config)
        model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
        return model

    def _require_language(self, config: Any) -> None:
        if self._language == "zh":
            self._language = "zh-cn"
        if self._language not in config.languages:
            known = ", ".join(config.languages)
            raise ValueError(f"this model does not speak {self._language!r}; its languages are {known}")

    def describe(self, model: Any) -> dict[str, str]:
        """Return what speaks, and on which hardware."""
        size = round(sum(values.numel() for values in model.parameters()) / 1e6)
        version = 2 if model.args.gpt_use_perceiver_resampler else 1
        weights = "random weights" if self._random else f"weights of {self._work.wish['weights']}"
        return {
            "model": f"XTTS v{version}, {size} M parameters, {weights}",
            "dtype": str(next(model.parameters()).dtype).replace("torch.", ""),
            "device_name": self._torch.cuda.get_device_name(self._work.index) if self._work.on_gpu else _cpu_name(),
        }

    def run(self, model: Any) -> dict[str, Any]:
        """Speak the whole text and return its samples, `wav`, and how many tokens they came from, `tokens`."""
        (latents, speaker), conditioning = self._work.timed(self._condition, model)
        self._vocoder_seconds, self._progress.tokens = 0.0, 0
        results, seconds = self._work.timed(self._speak, model, latents, speaker)
        self._stages.append((conditioning, seconds - self._vocoder_seconds, self._vocoder_seconds))
        self._progress.over()
        numpy = importlib.import_module("numpy")
        return {
            "wav": numpy.concatenate([result["wav"].reshape(-1) for result in results]),
            "tokens": sum(result["gpt_latents"].shape[1] for result in results),
        }

    def first_chunk(self, model: Any) -> float:
        """Return the seconds until a stream's first sound, of a voice that is known, as services have it."""
        (latents, speaker), piece = self._condition(model), self._pieces(model)[0]
        self._seed()
        stream = model.inference_stream(piece, self._language, latents, speaker, **self._options(model, piece))
        _, seconds = self._work.timed(lambda: next(stream).cpu())
        stream.close()
        return float(seconds)

    def together(self, model: Any) -> Callable[[int], int]:
        """Return a function that speaks the text's beginning several times at once.

        `Xtts.inference` takes one text, so these are its own steps, whose parts do take several.
        """
        (latents, speaker), piece = self._condition(model), self._pieces(model)[0]
        encoded = model.tokenizer.encode(piece.lower(), lang=self._language)
        text = self._torch.IntTensor([encoded]).to(model.device)

        def speak(size: int) -> int:
            torch, voices, texts = self._torch, latents.expand(size, -1, -1), text.expand(size, -1)
            self._seed()
            with torch.inference_mode():
                codes = model.gpt.generate(
                    voices, texts, do_sample=True, num_beams=1, output_attentions=False, **self._options(model, piece)
                )
                lengths = torch.full((size,), texts.shape[1], device=model.device)
                samples = torch.full((size,), codes.shape[1] * model.gpt.code_stride_len, device=model.device)
                spoken = model.gpt(texts, lengths, codes, samples, cond_latents=voices, return_latent=True)
                model.hifigan_decoder(spoken, g=speaker).cpu()
            return size

        return speak

    def _condition(self, model: Any) -> tuple[Any, Any]:
        """Return a voice's latents and embedding: `Xtts.get_conditioning_latents` without its reading of a file."""
        sound, length = self._sound.to(model.device), model.config.gpt_cond_len
        speaker = model.get_speaker_embedding(sound, _CONDITIONING_RATE)
        chunk = model.config.gpt_cond_chunk_len
        return model.get_gpt_cond_latents(sound, _CONDITIONING_RATE, length=length, chunk_length=chunk), speaker

    def _speak(self, model: Any, latents: Any, speaker: Any) -> list[Any]:
        pieces = [(piece, self._options(model, piece)) for piece in self._pieces(model)]
        if not self._stages:
            self._progress.expected = sum(_usual_tokens(model, piece) for piece, _ in pieces)
        self._seed()
        return [model.inference(piece, self._language, latents, speaker, **options) for piece, options in pieces]

    def _seed(self) -> None:
        """Let every run sample the same tokens."""
        self._torch.manual_seed(int(self._work.wish["seed"]))

    def _pieces(self, model: Any) -> list[str]:
        return _cut(self._text, int(model.tokenizer.char_limits[self._language.partition("-")[0]]))

    def _options(self, model: Any, piece: str) -> dict[str, Any]:
        """Return the sampling's settings; real weights end a sentence by themselves."""
        counted = importlib.import_module("transformers").LogitsProcessorList([self._progress])
        options = {name: getattr(model.config, name) for name in _SETTINGS}  # type: dict[str, Any]
        if self._random:
            options["min_new_tokens"] = options["max_new_tokens"] = _usual_tokens(model, piece)
        return {**options, "logits_processor": counted}

    def _before_vocoder(self) -> None:
        self._work.synchronize()
        self._progress.say("vocoding")
        self._vocoder_began = time.perf_counter()

    def _after_vocoder(self, sound: Any) -> None:
        self._work.synchronize()
        self._vocoder_seconds += time.perf_counter() - self._vocoder_began
        self._progress.devices.add(str(sound.device))

    def figures(self) -> list[dict[str, Any]]:
        """Return the median seconds of each stage, of all runs but the first."""
        measured = self._stages[1:]
        return [
            {"name": f"stage {name}", "value": statistics.median(run[at] for run in measured), "unit": "s", "kind": ""}
            for at, name in enumerate(_STAGES)
        ]

    def ran_on(self, model: Any) -> str:
        """Return where the weights lie and where scores and sound came out: one device, if all is well."""
        return ", ".join(sorted(self._progress.devices | {str(values.device) for values in model.parameters()}))


def _usual_tokens(model: Any, piece: str) -> int:
    """Return how many audio tokens speech of this text has, within what the model can do."""
    seconds = max(_LEAST_SECONDS, len(piece) / _CHARACTERS_PER_SECOND)
    tokens = -int(-seconds * model.args.input_sample_rate // model.gpt.code_stride_len)
    return min(tokens, int(model.gpt.max_gen_mel_tokens))


def _cut(text: str, limit: int) -> list[str]:
    """Cut a text at the ends of sentences into pieces that the model takes, as many sentences as fit in each."""
    pieces = [""]
    for sentence in re.split(r"(?<=[.!?…])\s+|(?<=[。！？])", text):
        for part in textwrap.wrap(sentence, limit):
            joined = f"{pieces[-1]} {part}".strip()
            if len(joined) <= limit:
                pieces[-1] = joined
            else:
                pieces.append(part)
    return pieces


def _cpu_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
