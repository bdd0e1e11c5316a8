"""The meter: what it counts, what it leaves out, and where a peak comes from."""

import time

import pytest
import torch
from training_samples import make_loop, pretraining_job

from videobert_cli.core.training import meter as meter_module
from videobert_cli.core.training.history import curves, read_records
from videobert_cli.core.training.meter import Meter, peak_flops_per_second

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_rates_are_of_the_time_that_the_steps_took(clock, monkeypatch):
    monkeypatch.setattr(meter_module, "peak_flops_per_second", lambda _device, precision: 1e9)
    meter = Meter(CPU, precision="float32")
    for _ in range(4):
        clock[0] += 0.5
        meter.add(num_tokens=100, num_flops=2e8)
    with meter.paused():
        clock[0] += 1000
    speed = meter.read()
    assert (speed.seconds, speed.steps_per_second, speed.tokens_per_second) == (2.0, 2.0, 200.0)
    assert speed.mfu == pytest.approx(0.4)
    clock[0] += 1.0
    meter.add(num_tokens=10, num_flops=1.0)
    assert meter.read().tokens_per_second == 10.0


def test_what_is_not_known_is_not_recorded(clock):
    meter = Meter(CPU, precision="float32")
    meter.add(num_tokens=0, num_flops=0.0)
    clock[0] += 1.0
    assert set(meter.read().record()) == {"seconds", "steps_per_second", "memory_bytes"}


def test_news_is_due_once_a_second(clock):
    meter = Meter(CPU, precision="float32")
    clock[0] += 0.9
    assert not meter.is_news_due()
    clock[0] += 0.2
    assert meter.is_news_due()
    meter.told()
    assert not meter.is_news_due()


@pytest.mark.parametrize(
    ("name", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA A10G", 70),
    ],
)
def test_a_known_gpu_has_the_peak_of_its_data_sheet(monkeypatch, name, teraflops):
    monkeypatch.setattr(meter_module, "device_name", lambda _device: name)
    assert peak_flops_per_second(torch.device("cuda"), precision="bfloat16") == teraflops * 1e12


def test_a_cpu_is_timed_and_draws_no_random_number():
    before = torch.random.get_rng_state()
    assert peak_flops_per_second(CPU, precision="float32") > 1e8
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_logged_line_has_its_speed_and_every_token_is_counted(tmp_path):
    make_loop(pretraining_job(), tmp_path).run()
    records = read_records(tmp_path / "metrics.jsonl")
    speed = curves(records, "speed")
    assert [step for step, _ in speed["tokens_per_second"]] == [3, 6, 9, 12]
    num_tokens = sum(
        rate * seconds
        for (_, rate), (_, seconds) in zip(speed["tokens_per_second"], speed["seconds"], strict=True)
    )
    job = pretraining_job()
    assert num_tokens == pytest.approx(
        sum(job.batch(step, first_sequence=0).num_tokens for step in range(12)), rel=1e-4
    )
