"""A page in a real browser: headless Chromium, driven by a script of ours at the end of the page."""

import os
import re
import shutil
import subprocess

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium on this machine (apt install chromium)"
)


def visit(html, folder, *, script="", size=(1200, 900)):
    """Open the page and return what `report(name, value)` of the script said, and what stood in the console."""
    page = folder / "visited.html"
    probe = f"""<script>
const report = (name, value) => document.body.setAttribute("data-report-" + name, String(value));
{script}
</script></body>"""
    page.write_text(html.replace("</body>", probe), encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={size[0]},{size[1]}",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    reports = dict(re.findall(r'data-report-([\w-]+)="([^"]*)"', done.stdout))
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return reports, console
