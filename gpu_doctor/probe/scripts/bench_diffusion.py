"""Make images with a small diffusion model of random weights, as a program does and with less memory.

Python 3.8, torch and diffusers only, accelerate for the two kinds of offload.
Argument: the wish of `_workload.py`.
Answer: that of `Work`, with {"figures": for each way of saving memory its seconds per image and the most memory that it
held on top of what was there before the model, "ran_on": the device that holds the image, "device_name",
"multiprocessors", "model": what was run, in words, "dtype"}. A figure that could not be measured has the value 0.0 and
its reason.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Way = tuple[Callable[["_Studio"], None], Callable[["_Studio"], None], int]

_PLAIN = "plain"
# Channels of each level, side of the latent image, words of the prompt and their width, steps.
_ON_GPU = {"channels": (160, 320, 640, 640), "side": 64, "words": 77, "width": 768, "steps": 10}  # type: dict[str, Any]
_ON_CPU = {"channels": (32, 64, 64), "side": 16, "words": 8, "width": 64, "steps": 3}  # type: dict[str, Any]
# Of the VAE, whose decoder doubles the side at each level but the first.
_VAE_ON_GPU, _VAE_ON_CPU = (64, 128, 256, 256), (32, 32, 64)
# What saves memory computes the same but for the order of its sums; tiles are blended and differ.
_BEARABLE = {"float32": 1e-3, "float16": 5e-2}
_SAMPLE_SECONDS = 0.005


def answer(argument: dict[str, Any], notes: Any) -> dict[str, Any]:
    """Make images in each way, and prove them to be images."""
    work = _beside("_workload.py")["Work"](argument, notes)
    meter_of = _beside("_meter.py")["Meter"]
    meter = _measure(work, work.load(lambda: _load(work, meter_of)))
    if argument["reload"]:
        work.reload(lambda: _Studio(work, meter), lambda again: again.require_sound(again.image(1)))
    return dict(work.finish())


def _measure(work: Any, studio: _Studio) -> Any:
    """Run everything that needs the model loaded once, and return the meter, which does not hold it."""
    image = work.repeat(lambda: studio.image(1))
    work.answer.update(ran_on=str(image.device), dtype=studio.dtype_name)
    studio.require_sound(image)
    image = image.float().cpu()
    for number, way in enumerate(_WAYS):
        work.stage(way, 0.7 + 0.2 * number / len(_WAYS))
        studio.try_way(way, image)
    if len(work.wish["batches"]) > 1:
        work.sweep(lambda size: len(studio.image(size)))
    return studio.meter


def _beside(name: str) -> dict[str, Any]:
    return runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), name))


def _load(work: Any, meter_of: Any) -> _Studio:
    torch = importlib.import_module("torch")
    importlib.import_module("diffusers")
    meter = meter_of(work, torch, None)
    meter.begin()
    work.versions("diffusers", "accelerate", "transformers")
    studio = _Studio(work, meter)
    millions = [round(sum(p.numel() for p in part.parameters()) / 1e6, 1) for part in (studio.unet, studio.vae)]
    sides = f"{studio.size['side']}×{studio.size['side']}"
    work.answer["model"] = (
        f"a UNet of {millions[0]} million random weights, {studio.size['steps']} steps on latents of {sides}, "
        f"and a VAE of {millions[1]} million"
    )
    return studio


class _Studio:
    """Hold a UNet, a VAE and a scheduler on the device."""

    def __init__(self, work: Any, meter: Any) -> None:
        self.work, self.meter, self.torch = work, meter, meter.torch
        self.device, self.on_gpu = meter.device, meter.on_gpu
        self.size = _ON_GPU if self.on_gpu else _ON_CPU
        self.dtype_name = "float16" if self.on_gpu else "float32"
        self.dtype = getattr(self.torch, self.dtype_name)
        self.memory = _Memory(self.torch, self.on_gpu)
        self.torch.manual_seed(int(work.wish["seed"]))
        self.unet, self.vae = _unet(self.size), _vae(self.size["side"], self.on_gpu)
        for part in (self.unet, self.vae):
            part.eval().to(self.device, self.dtype)
        self._processors = self.unet.attn_processors
        self._last_hook = None  # type: Any
        self.scheduler = importlib.import_module("diffusers").DDIMScheduler(num_train_timesteps=1000)

    def image(self, count: int) -> Any:
        """Return so many images, the same at every call."""
        size = self.size
        generator = self.torch.Generator().manual_seed(int(self.work.wish["seed"]))

        def noise(*shape: int) -> Any:
            return self.torch.randn(count, *shape, generator=generator).to(self.device, self.dtype)

        latents, prompt = noise(4, size["side"], size["side"]), noise(size["words"], size["width"])
        self.scheduler.set_timesteps(size["steps"])
        for moment in self.scheduler.timesteps:
            predicted = self.unet(latents, moment, encoder_hidden_states=prompt).sample
            latents = self.scheduler.step(predicted, moment, latents).prev_sample
        image = self.vae.decode(latents).sample
        if self._last_hook is not None:  # nobody comes after the VAE who would send it away
            self._last_hook.offload()
        return image

    def require_sound(self, image: Any) -> None:
        """Raise where that is no image: not finite, or one colour."""
        wrong = int((~self.torch.isfinite(image)).sum())
        if wrong:
            raise RuntimeError(f"{wrong} of {image.numel()} numbers of the image are NaN or infinite")
        if not float(image.float().std()) > 1e-6:
            raise RuntimeError("the image has one colour")

    def try_way(self, name: str, right: Any) -> None:
        """Make images in one way, compare them with the plain one, and note both figures."""
        begin, end, count = _WAYS[name]
        seconds, held, reason = 0.0, 0, ""
        self.work.forget()
        try:
            begin(self)
            self.image(count)
            self.memory.begin()
            images, seconds = self.work.timed(self.image, count)
            held = self.memory.end()
            self.require_sound(images)
            if "tiling" not in name and count == 1:
                self._require_same(images.float().cpu(), right)
        except self.work.notes.Skip as error:
            reason = str(error)
        except Exception as error:
            reason = self.work.refusal(error)
        end(self)
        each = 0.0 if reason else seconds / count
        figures = self.work.answer.setdefault("figures", [])
        figures.append({"name": name, "value": each, "unit": "s/image", "kind": "", "reason": reason})
        memory = 0.0 if reason else float(held)
        figures.append({"name": f"{name}: memory", "value": memory, "unit": "bytes", "kind": "", "reason": reason})
        self.work.keep()

    def _require_same(self, image: Any, right: Any) -> None:
        error = float((image - right).abs().max() / right.abs().max())
        allowed = _BEARABLE[self.dtype_name]
        if not error <= allowed:
            raise RuntimeError(
                f"the image differs from the plain one by {error:.1e}, at most {allowed:.0e} is rounding"
            )

    # --- Ways to save memory ------------------------------------------------------------------------------------------

    def nothing(self) -> None:
        """Leave everything as it is."""

    def slice_attention(self) -> None:
        """Compute attention for some heads at a time."""
        self.unet.set_attention_slice("auto")

    def whole_attention(self) -> None:
        """Compute attention for all heads at once."""
        self.unet.set_attn_processor(dict(self._processors))

    def slice_vae(self) -> None:
        """Decode one image of a batch at a time."""
        self.vae.enable_slicing()

    def tile_vae(self) -> None:
        """Decode an image in tiles."""
        self.vae.enable_tiling()

    def whole_vae(self) -> None:
        """Decode everything at once."""
        self.vae.disable_slicing()
        self.vae.disable_tiling()

    def offload_models(self) -> None:
        """Keep each model in the host's memory while another one runs."""
        accelerate = self._accelerate()
        for part in (self.unet, self.vae):
            part.to("cpu")
            _, self._last_hook = accelerate.cpu_offload_with_hook(part, self.device, prev_module_hook=self._last_hook)

    def offload_layers(self) -> None:
        """Keep each layer in the host's memory while another one runs."""
        accelerate = self._accelerate()
        for part in (self.unet, self.vae):
            part.to("cpu")
            accelerate.cpu_offload(part, self.device)

    def bring_back(self) -> None:
        """Put the models onto the device for good."""
        self._last_hook = None
        hooks = sys.modules.get("accelerate.hooks")
        for part in (self.unet, self.vae):
            if hooks is not None:
                hooks.remove_hook_from_module(part, recurse=True)
            part.to(self.device)

    def _accelerate(self) -> Any:
        if not self.on_gpu:
            raise self.work.notes.Skip("needs a GPU")
        try:
            return importlib.import_module("accelerate")
        except ImportError:
            raise self.work.notes.Skip("accelerate is not installed") from None


# What begins it, what ends it, and how many images it takes to matter.
_WAYS = {
    _PLAIN: (_Studio.nothing, _Studio.nothing, 1),
    "attention slicing": (_Studio.slice_attention, _Studio.whole_attention, 1),
    "VAE tiling": (_Studio.tile_vae, _Studio.whole_vae, 1),
    "plain, 2 images": (_Studio.nothing, _Studio.nothing, 2),
    "VAE slicing, 2 images": (_Studio.slice_vae, _Studio.whole_vae, 2),
    "model offload": (_Studio.offload_models, _Studio.bring_back, 1),
    "sequential offload": (_Studio.offload_layers, _Studio.bring_back, 1),
}  # type: dict[str, Way]


def _unet(size: dict[str, Any]) -> Any:
    """Return a UNet as Stable Diffusion has it: attention to the prompt at every level but the last."""
    channels = size["channels"]
    levels = len(channels) - 1
    return importlib.import_module("diffusers").UNet2DConditionModel(
        sample_size=size["side"],
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * levels + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * levels,
        layers_per_block=1,
        cross_attention_dim=size["width"],
        attention_head_dim=8,
    )


def _vae(side: int, on_gpu: bool) -> Any:
    """Return the decoder's and encoder's model; its tiles have half the image's side, so that there are several."""
    channels = _VAE_ON_GPU if on_gpu else _VAE_ON_CPU
    return importlib.import_module("diffusers").AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        latent_channels=4,
        layers_per_block=1,
        sample_size=side * 2 ** (len(channels) - 1) // 2,
    )


class _Memory:
    """Watch the most that is held: on a GPU what torch has given out, else what of this process is in memory."""

    def __init__(self, torch: Any, on_gpu: bool) -> None:
        self._torch, self._on_gpu = torch, on_gpu
        self._before = 0 if on_gpu else _resident()

    def begin(self) -> None:
        """Begin to watch."""
        if self._on_gpu:
            self._torch.cuda.reset_peak_memory_stats()
            return
        self._highest = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Return the most that was held since, in bytes."""
        if self._on_gpu:
            return int(self._torch.cuda.max_memory_allocated())
        self._over.set()
        self._thread.join()
        return max(0, self._highest - self._before)

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._highest = max(self._highest, _resident())


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
