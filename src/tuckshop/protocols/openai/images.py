"""Images in a body: where they come from, and how large they are if that can be known."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, get_args

from tuckshop.domain.errors import ParameterNotAllowedError
from tuckshop.protocols.image_size import Detail, ImageInput, Pixels, pixels_of
from tuckshop.protocols.openai.values import wrong

# Most of a data URL is base64; what stands before it is short.
_DATA_URL: Final = re.compile(r"data:(image/[a-z0-9.+-]{1,32});base64,", re.IGNORECASE)
_WEB_URL: Final = re.compile(r"https?://", re.IGNORECASE)
_DETAILS: Final = get_args(Detail)


def read_image(url: Any, detail: Any, path: str, url_name: str = "") -> ImageInput:
    """
    The image at *path*.

    Args:
        url_name: The name of the URL below *path*, if it stands in an object of its own.
    Raises:
        InvalidRequestBodyError: It has no URL of a known kind, or an unknown detail.
    """
    url_path = f"{path}.{url_name}" if url_name else path
    detail_path = f"{path}.detail" if url_name else f"{path.rpartition('.')[0]}.detail"
    if not isinstance(url, str):
        raise wrong(url_path, "a URL")
    if detail is not None and detail not in _DETAILS:
        raise ParameterNotAllowedError(detail_path, "how this detail is billed is not known")
    found = _DATA_URL.match(url)
    if found is None and not _WEB_URL.match(url):
        raise wrong(url_path, "a URL that begins with https:// or data:image/…;base64,")
    pixels = _pixels_in(url[found.end() :], found[1].lower()) if found else None
    return ImageInput(path=url_path, pixels=pixels, detail=detail, detail_path=detail_path)


def _pixels_in(text: str, media_type: str) -> Pixels | None:
    try:
        # Strictly: what is skipped over here might be read elsewhere.
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return pixels_of(data, media_type)
