"""OpenAI's error replies: four members, the last two of which may be null."""

from __future__ import annotations

import json
from typing import Final

# docs of the API, section "Error codes"; the wording is what the API sends.
_KEY_PAGE: Final = "https://platform.openai.com/account/api-keys"


class ApiError(Exception):
    """A request that the made-up provider refuses, in the words of the real one."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.param, self.code = (
            status,
            message,
            kind,
            param,
            code,
        )

    def body(self) -> bytes:
        """The reply's body."""
        return error_body(self.message, self.kind, self.param, self.code)


def error_body(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    """`{"error": …}` with all four members, indented as the API does it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}, indent=2).encode()


def missing_key() -> ApiError:
    """No bearer at all."""
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
        f"auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from {_KEY_PAGE}.",
    )


def wrong_key(key: str) -> ApiError:
    """A bearer that is not ours. As the real one does, the message shows the key's beginning and end."""
    shown = key if len(key) <= 12 else f"{key[:8]}{'*' * min(len(key) - 12, 40)}{key[-4:]}"
    return ApiError(
        401,
        f"Incorrect API key provided: {shown}. You can find your API key at {_KEY_PAGE}.",
        code="invalid_api_key",
    )


def unknown_path(method: str, path: str) -> ApiError:
    """A path that is not served."""
    return ApiError(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> ApiError:
    """A path that is served, for other methods."""
    return ApiError(
        405,
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)",
    )


def not_json() -> ApiError:
    """A body that cannot be parsed."""
    return ApiError(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have "
        "trouble figuring out how to fix this, please contact us through our help center at help.openai.com.)",
    )


def unknown_model(model: str) -> ApiError:
    """A model that the account does not have."""
    return ApiError(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def missing(name: str) -> ApiError:
    """A member that must be there and is not."""
    return ApiError(
        400,
        f"Missing required parameter: '{name}'.",
        param=name,
        code="missing_required_parameter",
    )


def unknown_parameter(name: str) -> ApiError:
    """A member the API does not know."""
    return ApiError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def wrong_type(name: str, expected: str, value: object) -> ApiError:
    """A member of the wrong JSON type."""
    return ApiError(
        400,
        f"Invalid type for '{name}': expected {expected}, but got {_json_type(value)} instead.",
        param=name,
        code="invalid_type",
    )


def wrong_value(name: str, message: str) -> ApiError:
    """A member whose value is out of range."""
    return ApiError(400, message, param=name, code="invalid_value")


def unsupported_parameter(name: str, instead: str | None = None) -> ApiError:
    """A member this model does not take."""
    hint = f" Use '{instead}' instead." if instead else ""
    return ApiError(
        400,
        f"Unsupported parameter: '{name}' is not supported with this model.{hint}",
        param=name,
        code="unsupported_parameter",
    )


def unsupported_value(name: str, value: object) -> ApiError:
    """A value this model does not take."""
    return ApiError(
        400,
        f"Unsupported value: '{name}' does not support {json.dumps(value)} with this model. "
        "Only the default (1) value is supported.",
        param=name,
        code="unsupported_value",
    )


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a decimal"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
