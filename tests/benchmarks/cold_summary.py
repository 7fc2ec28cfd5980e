"""`netspec summary vgg_e` from a cold start against `python -c "import torch"`: at most 0.20."""

from __future__ import annotations

import subprocess
import sys

from timing import interleaved, show


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    times = interleaved(
        15,
        netspec_summary=lambda: run("-m", "netspec", "summary", "vgg_e"),
        import_torch=lambda: run("-c", "import torch"),
        python=lambda: run("-c", "pass"),
    )
    show("cold start", times, "netspec_summary")
    print(f"  share of `import torch`: {times['netspec_summary'] / times['import_torch']:.3f}")
