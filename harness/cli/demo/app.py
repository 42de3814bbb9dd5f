"""The page of a demo and its addresses, as a Starlette application.

==========================  ====================================================================
``GET /``                   the page; its style and script are files of this package
``GET /methods``            methods with the tasks whose prompts can be forced
``POST /jobs``              an image as the body, ``method``, ``prompt`` and ``name`` in the query
``GET /jobs/ID``            where a restoration stands
``GET /jobs/ID/before.png``, ``after.png``, ``result``   the images
==========================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from harness.cli.demo.jobs import Job, Jobs, check_choice
from harness.config.errors import HarnessError

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/script.js": ("script.js", "text/javascript"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_OWN_HEADER = "x-harness-demo"
"""Pages of other origins cannot send it without being asked for permission, which is not given."""
_PX_PER_MEGAPIXEL = 10**6
_BYTES_PER_MEGABYTE = 10**6


@dataclass(frozen=True)
class Limits:
    """What an upload may have.

    Attributes:
        megabytes: of its file.
        megapixels: of the image.
    """

    megabytes: float
    megapixels: float


class _RefusedError(Exception):
    """What is answered instead of a result: a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def make_app(jobs: Jobs, limits: Limits, hosts: Sequence[str]) -> Starlette:
    """Return the application.

    Args:
        jobs: restores.
        limits: of uploads.
        hosts: names under which the page may be asked for: other names are pages of others that
            lead here.
    """
    routes = [Route(path, _file(*served)) for path, served in _FILES.items()]
    routes += [
        Route("/favicon.ico", _no_icon),
        Route("/methods", _methods(jobs, limits)),
        Route("/jobs", _submit(jobs, limits), methods=["POST"]),
        Route("/jobs/{id}", _status(jobs)),
        Route("/jobs/{id}/{which}", _image(jobs)),
    ]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
        Middleware(BaseHTTPMiddleware, dispatch=_with_headers),
    ]
    return Starlette(
        routes=routes, middleware=middleware, exception_handlers={_RefusedError: _refused}
    )


async def _with_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, _RefusedError)
    return JSONResponse({"error": str(error)}, error.status)


async def _no_icon(request: Request) -> Response:
    """Browsers ask for an icon, and would call its absence an error."""
    return Response(status_code=204)


Endpoint = Callable[[Request], Awaitable[Response]]


def _file(name: str, kind: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return Response((_PAGE / name).read_bytes(), media_type=kind)

    return endpoint


def _methods(jobs: Jobs, limits: Limits) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        methods = []
        for name, restorer in jobs.restorers.items():
            methods.append(
                {
                    "name": name,
                    "tasks": list(restorer.task_choices),
                    "needs_task": restorer.needs_task_labels,
                }
            )
        shown = {"megabytes": limits.megabytes, "megapixels": limits.megapixels}
        return JSONResponse({"methods": methods, "limits": shown})

    return endpoint


def _submit(jobs: Jobs, limits: Limits) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if _OWN_HEADER not in request.headers:
            raise _RefusedError(403, "images are accepted from this page alone")
        method = request.query_params.get("method", "")
        prompt = request.query_params.get("prompt", "")
        try:
            check_choice(jobs.restorers, method, prompt)
        except HarnessError as error:
            raise _RefusedError(400, str(error)) from error
        if jobs.is_full():
            raise _RefusedError(503, "too many images wait already; try again when one is done")
        folder = jobs.new_folder()
        upload = folder / "upload"
        await _receive(request, upload, limits)
        height, width, suffix = await run_in_threadpool(_kind, upload, limits)
        job = Job(
            id=folder.name,
            folder=folder,
            upload=upload,
            name=f"{_stem(request.query_params.get('name', ''))}-restored{suffix}",
            method=method,
            prompt=prompt,
            pixels=height * width,
        )
        jobs.submit(job)
        return JSONResponse({"id": job.id}, 202)

    return endpoint


async def _receive(request: Request, upload: Path, limits: Limits) -> None:
    """Write the body to a file, up to the limit."""
    most = limits.megabytes * _BYTES_PER_MEGABYTE
    sentence = f"the file has more than {limits.megabytes:g} MB, the most that is accepted"
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > most:
        raise _RefusedError(413, sentence)
    received = 0
    with upload.open("wb") as file:
        async for part in request.stream():
            received += len(part)
            if received > most:
                raise _RefusedError(413, sentence)
            file.write(part)
    if not received:
        raise _RefusedError(400, "the file is empty; choose an image")


def _kind(upload: Path, limits: Limits) -> tuple[int, int, str]:
    from harness.api import image_kind

    try:
        height, width, suffix = image_kind(upload)
    except HarnessError as error:
        sentence = str(error).replace(f"image {upload}", "the file")
        raise _RefusedError(415, sentence) from error
    if height * width > limits.megapixels * _PX_PER_MEGAPIXEL:
        raise _RefusedError(
            413,
            f"the image has {width}x{height} pixels, more than the {limits.megapixels:g} "
            "megapixels that are accepted; use python -m harness restore",
        )
    return height, width, suffix


def _stem(name: str) -> str:
    """Return the name of a file without folders, suffix, and signs that headers cannot hold."""
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or "image"
    plain = "".join(sign if sign.isalnum() or sign in "-_ ." else "_" for sign in stem)
    return plain.strip(" .")[:80] or "image"


def _job(jobs: Jobs, request: Request) -> Job:
    job = jobs.get(request.path_params["id"])
    if job is None:
        raise _RefusedError(404, "this restoration is not known any more; restore the image again")
    return job


def _status(jobs: Jobs) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        job = _job(jobs, request)
        status: dict[str, Any] = {
            "state": job.state,
            "ahead": jobs.position(job) if job.state == "waiting" else 0,
            "fraction": min(1.0, job.done_px / job.pixels),
            "error": job.reason,
            "facts": job.facts,
            "wall_s": round(job.wall_s, 1),
            "name": job.name,
        }
        return JSONResponse(status)

    return endpoint


def _image(jobs: Jobs) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        job, which = _job(jobs, request), request.path_params["which"]
        if job.state != "done" or which not in {"before.png", "after.png", "result"}:
            raise _RefusedError(404, "there is no such image")
        if which == "result":
            return FileResponse(job.result, filename=job.name)
        return FileResponse(job.preview(which.removesuffix(".png")), media_type="image/png")

    return endpoint
