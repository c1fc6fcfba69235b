"""Time what WhisperX does around Whisper: finding speech, and aligning words; Python 3.8, whisperx only.

No question of its own: `bench_whisper.py` runs this file and takes `figures` from it. Nothing is downloaded: WhisperX
brings the model that finds speech, and the one that aligns, wav2vec2, has its true base size and random weights.
"""

from __future__ import annotations

import importlib
import os
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RATE = 16000
_WINDOW = 30 * _RATE
# What is said in 30 s, at 150 words a minute.
_WORDS = 75


def figures(work: Any, samples: Any, heard: str) -> list[dict[str, Any]]:
    """Return the seconds that each takes for 30 s of sound, or why it cannot be said."""
    numpy = importlib.import_module("numpy")
    window = numpy.pad(samples[:_WINDOW], (0, max(0, _WINDOW - len(samples))))
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # else it reports to its makers
    before = os.environ.get("TORCH_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCH_HOME"] = folder  # WhisperX makes this folder, which it then does not use
        found = [_figure(work, "voice activity of 30 s", _find_speech, window)]
        found.append(_figure(work, "alignment of 30 s", _align, window, heard))
    os.environ.pop("TORCH_HOME") if before is None else os.environ.update(TORCH_HOME=before)
    return found


def _figure(work: Any, name: str, prepare: Any, *arguments: Any) -> dict[str, Any]:
    """Time what `prepare` returns, a function; on a GPU the second time, when its kernels are chosen."""
    work.stage(f"timing {name}", 0.95)
    figure = {"name": name, "value": 0.0, "unit": "s"}
    try:
        run = prepare(work, *arguments)
        if work.on_gpu:
            run()
        _, figure["value"] = work.timed(run)
    except Exception as error:
        figure["reason"] = work.refusal(error)
    finally:
        work.forget()
    return figure


def _find_speech(work: Any, window: Any) -> Any:
    whisperx = importlib.import_module("whisperx")
    if not os.path.exists(os.path.join(os.path.dirname(str(whisperx.__file__)), "assets", "pytorch_model.bin")):
        raise FileNotFoundError("this WhisperX brings no model that finds speech, and none is downloaded")
    torch = importlib.import_module("torch")
    pipeline = importlib.import_module("whisperx.vads.pyannote").load_vad_model(work.device)
    sound = {"waveform": torch.from_numpy(window)[None], "sample_rate": _RATE}
    return lambda: pipeline(sound)


def _align(work: Any, window: Any, heard: str) -> Any:
    words = " ".join(heard.split()[:_WORDS])
    if not words:
        raise ValueError("no word was heard that could be aligned")
    torch = importlib.import_module("torch")
    torchaudio = importlib.import_module("torchaudio")
    alignment = importlib.import_module("whisperx.alignment")
    punkt = importlib.import_module("nltk.tokenize.punkt")
    # Where sentences end is read from a download otherwise; it takes none of the time.
    vars(alignment)["nltk_load"] = lambda _: punkt.PunktSentenceTokenizer()
    labels = torchaudio.pipelines.WAV2VEC2_ASR_BASE_960H.get_labels()
    torch.manual_seed(work.wish["seed"])
    model = torchaudio.models.wav2vec2_base(aux_num_out=len(labels)).to(work.device).eval()
    letters = {label.lower(): number for number, label in enumerate(labels)}
    about = {"language": "en", "dictionary": letters, "type": "torchaudio"}
    said = [{"start": 0.0, "end": _WINDOW / _RATE, "text": words}]

    def run() -> None:
        alignment.align(said, model, about, window, work.device)

    return run
