"""Self-contained HTML pages: every text escaped, styles, scripts and pictures inside, nothing fetched.

A page's own policy forbids the network, so that not even a mistake here could ask for anything.
"""

import base64
import io
from functools import cache
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

# Shapes: H height, W width, C colour (RGB).

_JPEG_QUALITY = 72


def render_page(template: str, **values: Any) -> str:
    """Return a page of `templates/`; every value is escaped unless it is `Markup` made here.

    Bytes of a file's name that are no text are written as escapes, so that the page is UTF-8.
    """
    page = _environment().get_template(template).render(**values)
    return page.encode("utf-8", "backslashreplace").decode()


def jpeg_uri(rgb_HWC: NDArray[np.uint8]) -> str:
    """Return a photograph as a `data:` address, JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgb_HWC).save(stream, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def jpeg_bytes(uri: str) -> bytes:
    """Return the file inside of an address that `jpeg_uri` made."""
    return base64.b64decode(uri.partition(",")[2])


def png_uri(rgba_HWC: NDArray[np.uint8]) -> str:
    """Return a drawing as a `data:` address, PNG with transparency."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgba_HWC, "RGBA").save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def clock(seconds: float) -> str:
    """Return a time as a player shows it.

    >>> clock(75.5), clock(3725)
    ('1:15.5', '1:02:05.0')
    """
    tenths = round(10 * seconds)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("videobert_cli.core.reports", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["clock"] = clock
    environment.globals["inline"] = lambda name: Markup(_source(name))  # noqa: S704 - a file of ours, no user's text
    return environment


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None  # noqa: S101 - given above
    return environment.loader.get_source(environment, name)[0]
