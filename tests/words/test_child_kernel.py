"""The kernel for CUDA against its plain body: in Triton's interpreter, which runs it on a CPU, and by its compiler."""

import importlib.util
import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None,
        reason="needs triton: pip install 'videobert-cli[kernel-test]'",
    ),
]

# Sizes that no block divides; children that are not there; a tile with gaps, whose slots name some other point.
COMPARE = """
import torch
from videobert_cli.core.words.branches import two_lowest
from videobert_cli.core.words.child_kernel import two_lowest_scores

generator = torch.Generator().manual_seed(0)
for num_children, dim, tile in ((12, 100, 16), (2, 7, 32), (33, 64, 16), (16, 1, 16)):
    points = torch.randn(300, dim, generator=generator)
    relative = torch.randn(5, num_children, dim, generator=generator)
    offsets = torch.randn(5, num_children, generator=generator)
    offsets[2, num_children // 2 :] = torch.inf
    slots = torch.randint(0, 300, (9 * tile,), generator=generator)
    parents = torch.tensor([2, 0, 1, 2, 3, 4, 4, 0, 2])
    found = two_lowest_scores(
        points, points_S=slots, parents_G=parents, relative_PKD=relative, offsets_PK=offsets
    )
    products = torch.bmm(relative[parents], points[slots].view(9, tile, dim).transpose(1, 2))
    lowest, second, child = two_lowest(offsets[parents][:, :, None] - 2 * products)
    torch.testing.assert_close(found[0], lowest, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found[1], second, rtol=1e-5, atol=1e-4)
    is_clear = second - lowest > 1e-3
    assert bool(is_clear.any())
    assert torch.equal(found[2][is_clear], child[is_clear])
# Of equal scores the first child is taken.
zeros = torch.zeros(16, 8)
found = two_lowest_scores(
    zeros,
    points_S=torch.arange(16),
    parents_G=torch.tensor([0]),
    relative_PKD=torch.ones(1, 12, 8),
    offsets_PK=torch.zeros(1, 12),
)
assert found[0].tolist() == found[1].tolist() == [[0.0] * 16]
assert found[2].tolist() == [[0] * 16]
print("equal")
"""

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from videobert_cli.core.words.child_kernel import _two_lowest_scores as kernel

pointers = dict.fromkeys(("points_ptr", "relative_ptr", "offsets_ptr", "lowest_ptr", "second_ptr"), "*fp32")
pointers |= dict.fromkeys(("slots_ptr", "parents_ptr", "child_ptr"), "*i64")
sizes = {"CHILDREN": 16, "TILE": 128, "DIM_BLOCK": 32}
signature = pointers | {"dim": "i32", "num_children": "i32"} | dict.fromkeys(sizes, "constexpr")
signature = {name: signature[name] for name in kernel.arg_names}
source = ASTSource(kernel, signature=signature, constexprs=sizes)
compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 4, "num_stages": 4})
assert compiled.asm["cubin"]
# What a block of the smallest card that Triton serves has.
assert compiled.metadata.shared < 96 * 1024, compiled.metadata.shared
print("compiled")
"""


@pytest.mark.parametrize(("script", "said"), [(COMPARE, "equal"), (COMPILE, "compiled")])
def test_the_kernel(script, said):
    # Triton reads how it is to run as it is imported.
    variables = {**os.environ, "TRITON_INTERPRET": "1"} if said == "equal" else dict(os.environ)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=variables, check=False
    )
    assert done.stdout.strip().endswith(said), done.stderr
