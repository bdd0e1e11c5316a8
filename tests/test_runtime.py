"""Seeds are the same everywhere, devices exist or are refused, and a stop request says what it stands for."""

import importlib.metadata
import platform
import signal
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videobert_cli import runtime
from videobert_cli.errors import InterruptedRunError, KeyboardStopError, UsageError

PARTS = st.lists(st.integers(0, 1000) | st.text("abc/é", max_size=4), min_size=1, max_size=4)


def test_a_derived_seed_is_the_same_on_every_machine_and_version():
    assert runtime.derive_seed(0, "mask", 3, "v1") == 8154519344855365035


@given(PARTS, PARTS)
def test_different_parts_give_different_seeds(one, other):
    seeds = runtime.derive_seed(*one), runtime.derive_seed(*other)
    assert (seeds[0] == seeds[1]) == ([*map(str, one)] == [*map(str, other)])
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_auto_and_cpu_are_devices_of_this_machine():
    assert runtime.pick_device("cpu") == torch.device("cpu")
    assert runtime.pick_device("auto").type in {"cpu", "cuda"}


@pytest.mark.parametrize(
    ("name", "found"), [("auto", "cuda:3"), ("cuda", "cuda:3"), ("cuda:1", "cuda:1"), ("cpu", "cpu")]
)
def test_under_torchrun_each_rank_has_a_gpu_of_its_own(monkeypatch, name, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    ranks = {"TORCHELASTIC_RUN_ID": "1", "RANK": "7", "WORLD_SIZE": "8", "LOCAL_RANK": "3"}
    for variable, value in ranks.items():
        monkeypatch.setenv(variable, value)
    assert runtime.pick_device(name) == torch.device(found)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpu", "no device called 'gpu'"),
        ("", "no device called ''"),
        ("cuda:99", "'cuda:99' is not on this machine"),
        ("meta", "of a kind that videobert does not run on"),
    ],
)
def test_a_device_that_is_not_there_is_a_usage_error(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        runtime.pick_device(name)
    assert caught.value.at == "--device"
    assert "cpu" in caught.value.fix


@pytest.mark.parametrize(
    ("capabilities", "is_fast"),
    [
        ({"cpu_name": "AMD EPYC 9R14", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "AMD EPYC 7763", "avx512_bf16": False}, False),
        ({}, False),
    ],
)
def test_bfloat16_is_fast_with_amx_or_on_amd(monkeypatch, capabilities, is_fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert runtime.has_fast_bfloat16(torch.device("cpu")) is is_fast
    assert runtime.has_fast_bfloat16(torch.device("mps")) is False


def test_a_stop_request_is_silent_until_a_signal_comes():
    stop = runtime.StopRequest()
    stop.raise_if_requested("nothing")
    assert not stop.requested


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (signal.SIGINT, KeyboardStopError, 130),
        (signal.SIGTERM, InterruptedRunError, 75),
        (signal.SIGUSR1, InterruptedRunError, 75),
    ],
)
def test_each_signal_has_its_error(number, kind, code):
    stop = runtime.StopRequest()
    stop.request(number)
    assert stop.requested
    with pytest.raises(kind, match=f"stopped by {number.name}: saved step 3") as caught:
        stop.raise_if_requested("saved step 3")
    assert caught.value.exit_code == code
    assert type(caught.value) is kind


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("files", "commit"),
    [
        ({"HEAD": COMMIT}, COMMIT),
        ({"HEAD": "ref: refs/heads/main", "refs/heads/main": COMMIT}, COMMIT),
        (
            {
                "HEAD": "ref: refs/heads/main",
                "packed-refs": f"# pack-refs with: peeled\n{COMMIT} refs/heads/main\n",
            },
            COMMIT,
        ),
        (
            {"HEAD": "ref: refs/heads/main", "packed-refs": f"{COMMIT} refs/heads/other/refs/heads/mainly\n"},
            None,
        ),
        ({"HEAD": "ref: refs/heads/main"}, None),
    ],
    ids=["detached", "branch", "packed", "packed other", "no commit yet"],
)
def test_the_environment_names_the_commit(tmp_path, monkeypatch, files, commit):
    for name, text in files.items():
        (tmp_path / ".git" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".git" / name).write_text(text + "\n")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    environment = runtime.environment(seed=3, device="cpu")
    assert environment["git_commit"] == commit
    assert environment["seed"] == 3
    assert environment["packages"]["torch"] == importlib.metadata.version("torch")


def test_the_version_is_known():
    assert runtime.package_version()[0].isdigit()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
@pytest.mark.slow
def test_large_blocks_are_kept_for_the_next_of_their_size():
    code = (
        "import resource, torch; from videobert_cli import memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(4): torch.ones(16_000_000)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "first = faults(); assert memory.keep_freed_memory()\n"
        "for _ in range(8): faults()\n"
        "print(first, faults())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before


LIMITED = """
import resource, torch
from videobert_cli import memory
cpu = torch.device("cpu")
free = memory.free_memory_bytes(cpu)
lines = open("/proc/self/status").read().splitlines()
size = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize:"))
resource.setrlimit(resource.RLIMIT_AS, (size + 100_000_000,) * 2)
print(free, memory.free_memory_bytes(cpu))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.system() != "Linux", reason="only Linux tells its free memory")
def test_free_memory_is_what_ulimit_leaves():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    unlimited, limited = map(int, done.stdout.split())
    assert 0 < limited <= 100_000_000 < unlimited


def test_a_time_limit_asks_for_a_stop_when_it_is_over():
    never, soon = runtime.StopRequest(), runtime.StopRequest(deadline=time.monotonic() - 0.01)
    assert not runtime.StopRequest(deadline=time.monotonic() + 3600).requested
    assert (never.requested, soon.requested, soon.has_signal) == (False, True, False)
    with pytest.raises(InterruptedRunError, match="stopped by the time limit: saved step 3") as caught:
        soon.raise_if_requested("saved step 3")
    assert caught.value.exit_code == 75
    soon.request(signal.SIGINT)
    with pytest.raises(KeyboardStopError, match="stopped by SIGINT"):
        soon.raise_if_requested("saved step 3")
