"""From templates to self-contained HTML."""

import base64
import re
from collections.abc import Callable
from importlib import resources
from typing import Any, TypeAlias
from urllib.parse import quote

from ketbids.errors import InputError

__all__ = ['ImageLoader', 'render']

#: From a picture's relative path to its bytes (PNG or SVG).
ImageLoader: TypeAlias = Callable[[str], bytes]


def render(template: str, page: object, image_loader: ImageLoader) -> str:
    """Fill a template of ``data/templates``.

    Parameters
    ----------
    template : str
        Its file name.
    page : object
        What it shows, as `page`. Every string is escaped.
    image_loader : callable
        From the path of a picture to its bytes, which are embedded.

    Raises
    ------
    InputError
        A picture is neither PNG nor SVG, or a link leaves the folder of the page.
    """
    import jinja2

    def embed(path: str) -> str:
        return _data_uri(path, image_loader(path))

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_template),
    )
    environment.filters.update(embed=embed, relative=_relative)
    return environment.get_template(template).render(page=page, css=_css())


def _template(name: str) -> str:
    folder = resources.files('ketbids.data').joinpath('templates')
    return folder.joinpath(name).read_text(encoding='utf-8')


def _css() -> Any:
    from markupsafe import Markup

    return Markup(_template('report.css'))  # noqa: S704 (a packaged file)


def _data_uri(path: str, content: bytes) -> str:
    if content.startswith(b'\x89PNG\r\n\x1a\n'):
        kind = 'image/png'
    elif re.match(
        rb'\s*(<\?xml[^>]*>\s*)?(<!DOCTYPE svg[^>]*>\s*|<!--.*?-->\s*)*<svg\b', content, re.S
    ):
        kind = 'image/svg+xml'
    else:
        raise InputError(f'{path} is neither a PNG nor an SVG: it cannot go into a report.')
    return f'data:{kind};base64,{base64.b64encode(content).decode("ascii")}'


def _relative(path: str) -> str:
    """Percent-encode a relative path; refuse anything that leads elsewhere."""
    parts = path.split('/')
    if not path or path.startswith('/') or '..' in parts or '\\' in path:
        raise InputError(f'A link to {path!r} leaves the folder of the page: give a path in it.')
    # "./" keeps a colon in the first part from reading as a scheme
    return './' + quote(path, safe='/')
