"""The two lowest scores of each point among its node's children, in one read of the points: a Triton kernel for CUDA.

With 12 children a node a pass is bound by reading the points; to gather them into tiles first, and to write and read
the scores, would cost three reads more. `branches` has the plain body, which says what this one must give.
"""

import torch
import triton
import triton.language as tl

# Shapes: N points, P nodes, K most children of one node, D feature, G tiles of T points of one node, S = G * T slots.

_LEAST_CHILDREN = 16
_DIM_BLOCK = 32


def two_lowest_scores(
    points_ND: torch.Tensor,
    *,
    points_S: torch.Tensor,
    parents_G: torch.Tensor,
    relative_PKD: torch.Tensor,
    offsets_PK: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return each slot's lowest score, the second lowest, and whose the lowest is, the first of equals, (G, T) each.

    Args:
        points_ND: float32, contiguous, on a CUDA device.
        points_S: Which point each slot holds, int64; slots of a tile follow each other.
        parents_G: The node of each tile, int64.
        relative_PKD: Children as seen from their node, float32; up to 64, or registers run out.
        offsets_PK: What is added to a child's score, infinite where there is no child.
    """
    num_tiles, tile = len(parents_G), len(points_S) // len(parents_G)
    lowest_GT = points_ND.new_empty(num_tiles, tile)
    second_GT = torch.empty_like(lowest_GT)
    child_GT = torch.empty(num_tiles, tile, dtype=torch.int64, device=points_ND.device)
    num_children, dim = relative_PKD.shape[1:]
    _two_lowest_scores[(num_tiles,)](
        points_ND,
        points_S,
        parents_G,
        relative_PKD,
        offsets_PK,
        lowest_GT,
        second_GT,
        child_GT,
        dim=dim,
        num_children=num_children,
        CHILDREN=max(_LEAST_CHILDREN, triton.next_power_of_2(num_children)),
        TILE=tile,
        DIM_BLOCK=_DIM_BLOCK,
        num_warps=4,
        num_stages=4,
    )
    return lowest_GT, second_GT, child_GT


@triton.jit
def _two_lowest_scores(
    points_ptr,
    slots_ptr,
    parents_ptr,
    relative_ptr,
    offsets_ptr,
    lowest_ptr,
    second_ptr,
    child_ptr,
    dim,
    num_children,
    CHILDREN: tl.constexpr,
    TILE: tl.constexpr,
    DIM_BLOCK: tl.constexpr,
):
    """One tile: its points times its node's children, a block of values at a time; the scores never leave the chip."""
    number = tl.program_id(0).to(tl.int64)
    slots_T = number * TILE + tl.arange(0, TILE)
    points_T = tl.load(slots_ptr + slots_T) * dim
    children_K = tl.arange(0, CHILDREN)
    is_child_K = children_K < num_children
    first = tl.load(parents_ptr + number) * num_children
    children_at_K = (first + children_K) * dim
    products_TK = tl.zeros([TILE, CHILDREN], dtype=tl.float32)
    for start in range(0, dim, DIM_BLOCK):
        values_B = start + tl.arange(0, DIM_BLOCK)
        is_value_B = values_B < dim
        points_TB = tl.load(
            points_ptr + points_T[:, None] + values_B[None, :], mask=is_value_B[None, :], other=0.0
        )
        relative_BK = tl.load(
            relative_ptr + children_at_K[None, :] + values_B[:, None],
            mask=is_value_B[:, None] & is_child_K[None, :],
            other=0.0,
        )
        # Three products of TF32 have float32's digits but the last two or three, and run on the tensor cores.
        products_TK = tl.dot(points_TB, relative_BK, products_TK, input_precision="tf32x3")
    offsets_K = tl.load(offsets_ptr + first + children_K, mask=is_child_K, other=float("inf"))
    scores_TK = offsets_K[None, :] - 2.0 * products_TK
    lowest_T, child_T = tl.min(scores_TK, axis=1, return_indices=True, return_indices_tie_break_left=True)
    others_TK = tl.where(children_K[None, :] == child_T[:, None], float("inf"), scores_TK)
    tl.store(lowest_ptr + slots_T, lowest_T)
    tl.store(second_ptr + slots_T, tl.min(others_TK, axis=1))
    tl.store(child_ptr + slots_T, child_T.to(tl.int64))
