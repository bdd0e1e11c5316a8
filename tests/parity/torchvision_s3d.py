"""Runs torchvision's own S3D in a process of its own: `python torchvision_s3d.py WEIGHTS CLIPS OUT` (safetensors files).

torchvision's compiled operators do not load beside a CPU build of torch from another index ("operator
torchvision::nms does not exist"). The video networks use none of them, so their names are declared first, without
a body. This happens here, not in the tests' process, because transformers imports torchvision where it finds it.
"""

import importlib.util
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def declare_missing_operators() -> torch.library.Library:
    spec = importlib.util.find_spec("torchvision")
    text = (Path(spec.origin).parent / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in sorted(set(re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text))):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}() -> ()")
    return library


def main(weights: str, clips: str, out: str) -> None:
    library = declare_missing_operators()
    from torchvision.models.video import s3d

    network = s3d(weights=None).eval()
    network.load_state_dict(load_file(weights), strict=True)
    pooled = []
    network.avgpool.register_forward_hook(
        lambda _module, _inputs, output: pooled.append(output.mean((2, 3, 4)))
    )
    with torch.inference_mode():
        logits = network(load_file(clips)["clips"])
    save_file({"features": pooled[0].contiguous(), "logits": logits.contiguous()}, out)
    del library


if __name__ == "__main__":
    main(*sys.argv[1:])
