"""Transcribe with Whisper and say how fast, and which parts take how long; Python 3.8, ctranslate2 only.

Argument: the fields of `gpu_doctor.model.bench.BenchWish`, and "gpu", the GPU to watch. Of the weights, a name of the
hub is not resolved here: `random`, or the folder of a CTranslate2 model. Nothing is downloaded.
Answer: what `Work` notes, and "ran_on", "device_name", "model", "dtype", "audio_seconds", "tokens" (of one run),
"first_chunk_seconds" (until the first segment of the last run), "heard", and the figures of the parts for one window
of 30 s, each taken once after the runs have warmed up everything.

Through faster-whisper where it is installed, else through ctranslate2 itself, with the same prompts, so that the same
kernels run. Greedy, without timestamps, without second attempts: as much work in each run.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# Random weights do not know when to stop. English is spoken at some 150 words a minute, and a word is 1.3 tokens:
# 30 s of it are 100 tokens.
_TOKENS = 100
# CTranslate2 generates at most half of `max_length`, its prompt included: src/models/whisper.cc.
_PROMPT, _LONGEST = 4, 448
# What faster-whisper takes by default; of fewer cores, each one: threads that wait for each other's core are no speed.
_THREADS = 4


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Load, transcribe, take the parts one by one, then try the batches and the rounds that are asked for."""
    workload = _beside("_workload.py")
    work = workload["Work"](argument, notes)
    os.environ["HF_HUB_OFFLINE"] = "1"  # before anything reads it
    with tempfile.TemporaryDirectory(prefix="gpu-doctor-whisper-") as folder:
        library, importing = work.timed(_import)
        samples = _sound(argument, workload["read_wav"], library)
        engine = library if _works_with(argument, library) else None
        path, _weights = _weights_of(argument, folder, engine, work)

        def load() -> _Whisper:
            return _Whisper(work, path, engine)

        whole = len(samples) / _beside("_whisper_sound.py")["RATE"]
        _measure(work, work.load(load), samples, audio_seconds=whole, load_seconds=importing)
        if argument["reload"]:
            work.forget()  # each round has the memory that the first one had
            work.reload(load, lambda loaded: loaded.transcribe(samples[: loaded.sound["WINDOW"]]))
    told = work.finish()  # type: dict[str, Any]
    # After the figures of memory, which are Whisper's alone.
    if importlib.util.find_spec("whisperx") is not None:
        told["figures"] += _beside("_whisperx.py")["figures"](work, samples, told["heard"])
    return told


def _measure(work: Any, whisper: _Whisper, samples: Any, audio_seconds: float, load_seconds: float) -> None:
    """Note how this model transcribes; `load_seconds` are those that loading took besides."""
    work.answer["load_seconds"] += load_seconds
    work.answer.update(whisper.about, audio_seconds=audio_seconds)
    work.versions("ctranslate2", "faster-whisper", "whisperx", "torch")
    work.answer.update(work.repeat(lambda: whisper.transcribe(samples), "transcribing"))
    work.answer["figures"] = whisper.parts(samples)
    if list(work.wish["batches"]) != [1]:
        work.sweep(whisper.batch(samples))


def _beside(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


def _import() -> Any:
    """Return faster-whisper, or None where it is not installed."""
    importlib.import_module("ctranslate2")
    return importlib.import_module("faster_whisper") if importlib.util.find_spec("faster_whisper") else None


def _works_with(argument: dict[str, Any], library: Any) -> bool:
    """Tell whether faster-whisper can take this model without asking the hub for its tokenizer."""
    given = argument["weights"]
    return library is not None and (given == "random" or os.path.exists(os.path.join(given, "tokenizer.json")))


def _sound(argument: dict[str, Any], read_wav: Callable[[str], tuple[list[float], int]], library: Any) -> Any:
    sound = _beside("_whisper_sound.py")
    if argument["audio"]:
        return sound["read_sound"](argument["audio"], read_wav, library)
    return sound["speech_like"](argument["seed"])


def _weights_of(argument: dict[str, Any], folder: str, library: Any, work: Any) -> tuple[str, Any]:
    """Return the model's folder, and what must stay open as long as it is used."""
    given = argument["weights"]
    if given == "random":
        size = argument["model_size"]
        work.stage(f"writing a Whisper {size} of random weights", 0.0)
        random = _beside("_whisper_random.py")
        return folder, random["write_model"](folder, size, argument["seed"], library is not None)
    if not os.path.exists(os.path.join(given, "model.bin")):
        raise FileNotFoundError(f"{given} is no CTranslate2 model: it has no model.bin")
    return given, None


class _Whisper:
    """Transcribe with one loaded model."""

    def __init__(self, work: Any, path: str, library: Any) -> None:
        self._ctranslate2 = importlib.import_module("ctranslate2")
        self._numpy = importlib.import_module("numpy")
        self._work = work
        self._language = work.wish["language"]
        self.sound = _beside("_whisper_sound.py")
        self._letters = {letter: byte for byte, letter in enumerate(_beside("_whisper_random.py")["byte_letters"]())}
        self._random = work.wish["weights"] == "random"
        where = {"device": "cuda" if work.on_gpu else "cpu", "device_index": work.index, "compute_type": "default"}
        threads = _threads()
        if library is not None:
            self._faster = library.WhisperModel(path, local_files_only=True, cpu_threads=threads, **where)
            self._model = self._faster.model
        else:
            self._faster = None
            self._model = self._ctranslate2.models.Whisper(path, intra_threads=threads, **where)
        # The tokens from the end of the text on are no words; a model of random weights would use them as if they were.
        self._suppressed = list(range(50257, 51866 if self._bands == 128 else 51865)) if self._random else [-1]

    @property
    def _bands(self) -> int:
        return int(getattr(self._model, "n_mels", 80))  # older versions know no model that has others

    @property
    def about(self) -> dict[str, Any]:
        """Return where the model really is, and as what."""
        model, wish = self._model, self._work.wish
        on_gpu = model.device == "cuda"
        name = f"Whisper {wish['model_size']} of random weights" if self._random else wish["weights"]
        return {
            "ran_on": f"cuda:{model.device_index[0]}" if on_gpu else model.device,
            "device_name": _gpu_name(model.device_index[0]) if on_gpu else _cpu_name(),
            "dtype": model.compute_type,
            "model": f"{name}, by {'ctranslate2' if self._faster is None else 'faster-whisper'}",
        }

    def transcribe(self, samples: Any) -> dict[str, Any]:
        """Return the text of all segments, how many tokens it is, and when the first of them was there."""
        begin = time.perf_counter()
        texts, tokens, first = [], 0, None
        for text, count in self._segments(samples):
            first = first or time.perf_counter() - begin
            texts.append(text.strip())
            tokens += count
        return {"heard": " ".join(texts), "tokens": tokens, "first_chunk_seconds": first}

    def _segments(self, samples: Any) -> Iterator[tuple[str, int]]:
        if self._faster is None:
            for window in self.sound["windows"](samples):
                (result,) = self._generate(self._encode(self._features(window)[None]), 1)
                yield self._text(result.sequences[0]), len(result.sequences_ids[0])
            return
        options = {"suppress_tokens": self._suppressed}  # type: dict[str, Any]
        if self._random:
            options["max_new_tokens"] = 2 * _TOKENS - _PROMPT
        segments, _about = self._faster.transcribe(
            samples,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            condition_on_previous_text=False,
            without_timestamps=True,
            **options,
        )
        for segment in segments:
            yield segment.text, len(segment.tokens)

    def parts(self, samples: Any) -> list[dict[str, Any]]:
        """Return what each part of the work takes for one window of 30 s."""
        self._work.stage("timing the parts", 0.9)
        window = next(self.sound["windows"](samples))
        features, preparing = self._work.timed(self._features, window)
        encoded, encoding = self._work.timed(self._encode, features[None])
        _, decoding = self._work.timed(self._generate, encoded, 1)
        seconds = {"features": preparing, "encoder": encoding, "decoder": decoding}
        return [{"name": f"{name} of 30 s", "value": value, "unit": "s"} for name, value in seconds.items()]

    def batch(self, samples: Any) -> Callable[[int], int]:
        """Return what transcribes so many windows at once, and how many it were."""
        features = self._features(next(self.sound["windows"](samples)))

        def run(size: int) -> int:
            self._generate(self._encode(self._numpy.stack([features] * size)), size)
            return size

        return run

    def _features(self, window: Any) -> Any:
        if self._faster is None:
            return self.sound["log_mel"](window, self._bands)
        # What faster-whisper appends is cut off again, as it does itself.
        return self._faster.feature_extractor(window)[:, :3000]

    def _encode(self, features: Any) -> Any:
        ready = self._numpy.ascontiguousarray(features, dtype="float32")
        return self._model.encode(self._ctranslate2.StorageView.from_array(ready))

    def _generate(self, encoded: Any, size: int) -> Any:
        own = ["startoftranscript", *([self._language, "transcribe"] if self._model.is_multilingual else [])]
        prompt = [f"<|{name}|>" for name in (*own, "notimestamps")]
        longest = 2 * _TOKENS if self._random else _LONGEST
        return self._model.generate(
            encoded, [prompt] * size, beam_size=1, max_length=longest, suppress_tokens=self._suppressed
        )

    def _text(self, tokens: list[str]) -> str:
        """Return the words of tokens, whose letters stand for bytes."""
        letters = "".join(token for token in tokens if not token.startswith("<|"))
        return bytes(self._letters[letter] for letter in letters if letter in self._letters).decode("utf-8", "replace")


def _threads() -> int:
    """Return how many threads a CPU's work is given, 0 where the user's own variable says it."""
    return 0 if os.environ.get("OMP_NUM_THREADS") else min(_THREADS, len(os.sched_getaffinity(0)))


def _cpu_name() -> str:
    """Return what the kernel calls this CPU, or nothing where it gives no name."""
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else ""


def _gpu_name(index: int) -> str:
    """Return the driver's name of this GPU as the process counts them, without a library that makes it larger."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        failed = driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index)
        failed = failed or driver.cuDeviceGetName(name, len(name), device)
    except (OSError, AttributeError):
        return ""
    return "" if failed else name.value.decode("utf-8", "replace")
