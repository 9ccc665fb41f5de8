"""What goes wrong with a request, in the two shapes that clients know: OpenAI's below /v1, TEI's elsewhere. Never a body."""

from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from modernbert.core.errors import UserError
from modernbert.infer.engine import TooLongError

_KINDS = {
    400: ("invalid_request_error", "Validation"),
    401: ("authentication_error", "Unauthorized"),
    404: ("not_found_error", "Validation"),
    405: ("invalid_request_error", "Validation"),
    408: ("invalid_request_error", "Validation"),
    413: ("invalid_request_error", "Validation"),
    422: ("invalid_request_error", "Validation"),
    424: ("server_error", "Backend"),
    429: ("rate_limit_error", "Overloaded"),
    500: ("server_error", "Backend"),
    503: ("server_error", "Unhealthy"),
}
"""By status, OpenAI's word and TEI's; of others, those of 424."""


class TeiError(BaseModel):
    """As text-embeddings-inference says it."""

    error: str
    error_type: str


class OpenAiProblem(BaseModel):
    """What is inside OpenAI's."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAiError(BaseModel):
    """As OpenAI says it, below /v1."""

    error: OpenAiProblem


DESCRIBED: dict[int | str, dict[str, object]] = {
    status: {"model": TeiError | OpenAiError, "description": description}
    for status, description in {
        400: "There is nothing to work on.",
        401: "A key is wanted.",
        404: "There is no such model or index.",
        408: "The body did not arrive in time.",
        413: "More, or longer, than may be; the sentence says the limit.",
        422: "Something that cannot be meant; the sentence says what.",
        429: "Too much is waiting; retry-after says how many seconds to wait.",
        500: "A mistake of ours.",
        503: "Warming up, or stopping.",
        504: "Not answered in time.",
    }.items()
}
"""For the description of every route."""

_EXPECTED = "Input should be "
"""As pydantic begins to say what it wants."""


class ApiError(Exception):
    """A request is answered with this."""

    def __init__(
        self, status: int, message: str, *, kind: str | None = None, param: str | None = None, retry_after: int = 0
    ) -> None:
        """Say it.

        Args:
            message: one sentence: what was found, what was expected, what to do. It is shown to the client.
            kind: in place of the word that the status stands for.
            param: the field that is meant.
            retry_after: seconds after which trying again makes sense.
        """
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.retry_after = retry_after


def response(path: str, error: ApiError, *, close: bool = False) -> Response:
    """The error as this path's clients expect it.

    Args:
        close: the connection, behind it: there may be more of a body than anybody wants to read.
    """
    words = _KINDS.get(error.status, _KINDS[424])
    body: dict[str, object]
    if path.startswith("/v1/"):
        kind = error.kind or words[0]
        body = {"error": {"message": error.message, "type": kind, "param": error.param, "code": str(error.status)}}
    else:
        body = {"error": error.message, "error_type": error.kind or words[1]}
    headers = {"retry-after": str(error.retry_after)} if error.retry_after else {}
    if close:
        headers["connection"] = "close"
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, error.status, headers)


def handle(app: FastAPI) -> None:
    """Teach an application to answer with these."""

    async def api_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return response(request.url.path, error)

    async def user_error(request: Request, error: Exception) -> Response:
        return response(request.url.path, ApiError(422, str(error)))

    async def text_too_long(request: Request, error: Exception) -> Response:
        found = str(error).partition(": split")[0]
        return response(
            request.url.path, ApiError(413, f'{found}: split it, or say "truncate": true where the route has it')
        )

    async def any_other(request: Request, error: Exception) -> Response:
        return response(request.url.path, ApiError(500, "something went wrong here; the server's log says what"))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(request.url.path, as_api_error(error.errors()))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = response(request.url.path, ApiError(error.status_code, _no_route(request, error)))
        found.headers.update(error.headers or {})
        return found

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(UserError, user_error)
    app.add_exception_handler(TooLongError, text_too_long)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, any_other)


def _no_route(request: Request, error: HTTPException) -> str:
    if error.status_code in (404, 405):
        return f"no route takes {request.method[:16]} here: see /openapi.json for those there are"
    return str(error.detail)


def as_api_error(problems: Sequence[dict]) -> ApiError:
    """What pydantic says of the first field that is wrong, as a sentence without the body's own values."""
    if not problems:
        return ApiError(422, "the body is not what this route takes")
    loc = [str(part) for part in problems[0]["loc"] if part != "body"]
    several = [each for each in problems if [str(part) for part in each["loc"] if part != "body"][:1] == loc[:1]]
    place = ".".join(loc if len(several) == 1 else loc[:1])[:200]
    said = list(dict.fromkeys(str(each["msg"]) for each in several))
    if all(each.startswith(_EXPECTED) for each in said):
        said = [f"expected {' or '.join(each.removeprefix(_EXPECTED) for each in said)}"]
    return ApiError(422, f"{place or 'body'}: {'; '.join(said)}"[:500], param=place or None)
