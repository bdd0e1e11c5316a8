"""The ways of taking a pretraining step that benchmarks/pretrain.py compares, and how they are measured."""

import gc
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pretrain_sequences import Setting, padded
from torch import nn
from torch._dynamo.utils import counters
from transformers import BertConfig, BertForPreTraining

from videobert_cli.core.model.init import new_model
from videobert_cli.core.model.pretraining import VideoBERTForPreTraining
from videobert_cli.core.sequences.packing import PackedBatch
from videobert_cli.core.training.optimizer import build_optimizer
from videobert_cli.core.training.options import OptimizerOptions
from videobert_cli.runtime import has_fast_bfloat16

# Dense bfloat16 TFLOP/s by the maker's data sheet.
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}


class Step:
    """A model and its optimizer, and what both sides do alike."""

    def __init__(self, setting: Setting, *, device: torch.device) -> None:
        self.setting = setting
        self.device = device
        is_mixed = setting.precision == "auto" and has_fast_bfloat16(device)
        self.dtype = torch.bfloat16 if is_mixed else torch.float32

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    def finish(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


class Peer(Step):
    """transformers' model, padded."""

    def __init__(self, setting: Setting, *, device: torch.device, micro: int, is_sorted: bool) -> None:
        super().__init__(setting, device=device)
        self.micro, self.is_sorted = micro, is_sorted
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=setting.num_text + setting.num_words,
            hidden_size=setting.hidden_size,
            num_hidden_layers=setting.num_layers,
            num_attention_heads=setting.num_heads,
            intermediate_size=setting.intermediate_size,
            hidden_dropout_prob=setting.dropout,
            attention_probs_dropout_prob=setting.dropout,
        )
        self.model = BertForPreTraining(config).to(device).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-5, weight_decay=0.01, fused=device.type == "cuda"
        )

    def prepare(self, batch: PackedBatch) -> list[dict[str, torch.Tensor]]:
        numbers = torch.arange(batch.num_sequences)
        order = (torch.argsort(batch.cu_seqlens.diff()) if self.is_sorted else numbers).tolist()
        parts = [order[start : start + self.micro] for start in range(0, len(order), self.micro)]
        return [padded(batch, chosen, num_text=self.setting.num_text) for chosen in parts]

    def take(self, parts: list[dict[str, torch.Tensor]]) -> None:
        num_sequences = sum(len(part["input_ids"]) for part in parts)
        for part in parts:
            with self.autocast():
                loss = self.model(**{name: value.to(self.device) for name, value in part.items()}).loss
            (loss * (len(part["input_ids"]) / num_sequences)).backward()
        self.finish(self.model, self.optimizer)


class Ours(Step):
    """Our model, unpadded; the bare step, without the loop."""

    def __init__(
        self,
        setting: Setting,
        *,
        device: torch.device,
        is_compiled: bool = False,
        is_recomputing: bool = False,
    ) -> None:
        super().__init__(setting, device=device)
        self.model: VideoBERTForPreTraining = new_model(setting.config(), seed=0).to(device).train()
        if is_compiled:
            self.model.bert.encoder.compile_layers()
        self.model.bert.encoder.recomputes_activations = is_recomputing
        self.optimizer = build_optimizer(self.model, options=OptimizerOptions())

    def prepare(self, batch: PackedBatch) -> PackedBatch:
        return batch

    def take(self, batch: PackedBatch) -> None:
        with self.autocast():
            output = self.model(batch.to(self.device))
        (output.text_loss + output.visual_loss + output.alignment_loss).backward()
        self.finish(self.model, self.optimizer)


@dataclass(kw_only=True)
class Way:
    """One way of taking the step, and what was measured of it."""

    name: str
    make: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    num_bytes: int = 0
    num_recompiled: int = 0
    problem: str = ""

    def rate(self, num_tokens: float) -> float:
        return 0.0 if self.problem else num_tokens / statistics.median(self.seconds)


def measure(way: Way, batches: list[PackedBatch], *, num_warmup: int, device: torch.device) -> None:
    """Take a step on each batch, the first ones untimed; the model is made for it, and gone afterwards."""
    clear(device)
    counters.clear()
    try:
        step = way.make()
        for number, batch in enumerate(batches):
            if number == num_warmup:
                num_graphs = counters["stats"]["unique_graphs"]
            inputs = step.prepare(batch)
            begin, processor = now(device), time.process_time()
            step.take(inputs)
            if number >= num_warmup:
                way.seconds.append(now(device) - begin)
                way.processor_seconds.append(time.process_time() - processor)
        way.num_recompiled += counters["stats"]["unique_graphs"] - num_graphs
    except torch.OutOfMemoryError:
        way.problem = "out of memory"
    way.num_bytes = max(way.num_bytes, peak_bytes(device))


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def clear(device: torch.device) -> None:
    """Forget the models of before and the peak of memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Return the peak since `clear`: of the GPU's memory, or of this whole process where Linux says it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(
        int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM")
    )


def peak_tflops(device: torch.device, dtype: torch.dtype) -> tuple[float, str]:
    """Return the device's peak and where the number comes from."""
    if device.type == "cuda" and dtype == torch.bfloat16:
        for name, peak in PEAK_TFLOPS.items():
            if name in torch.cuda.get_device_name(device):
                return peak, "data sheet"
    size = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    times = []
    for _ in range(8):
        begin = now(device)
        a @ b
        times.append(now(device) - begin)
    return 2 * size**3 / min(times) / 1e12, f"a product of {size} x {size}, measured"
