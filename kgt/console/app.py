"""The application: its addresses, what stands before them, and how its errors look."""

from __future__ import annotations

import contextlib
import logging
import secrets
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kgt.client import AsyncClient
from kgt.console import asking, facts, history, operating, teaching, whole
from kgt.console.faults import call_failed, defect, not_served
from kgt.console.guard import Guard
from kgt.console.visit import FormTokens, Site, Visit, checked_form, visit_of
from kgt.errors import CallError

Handler = Callable[[Visit], Awaitable[Response]]

_log = logging.getLogger("kgt.console")


def _visited(
    handler: Handler, *, needs_user: bool = True
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a handler. A form is checked before the handler sees it."""

    async def endpoint(request: Request) -> Response:
        form = await checked_form(request) if request.method == "POST" else {}
        visit = visit_of(request, form)
        if needs_user and not visit.user:
            return RedirectResponse("/user", 303)
        try:
            return await handler(visit)
        except (CallError, HTTPException):
            raise
        except Exception as error:
            # Not the message: it may repeat what the user wrote.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a defect, %s:\n%s", type(error).__name__, frames)
            return defect(request)

    return endpoint


_ROUTES = [
    Route("/", _visited(facts.show)),
    Route("/fact", _visited(facts.change), methods=["POST"]),
    Route("/tell", _visited(teaching.tell), methods=["POST"]),
    Route("/ask", _visited(asking.show)),
    Route("/ask", _visited(asking.ask), methods=["POST"]),
    Route("/correct", _visited(teaching.correct), methods=["POST"]),
    Route("/history", _visited(history.show)),
    Route("/history/{edit_id}", _visited(history.show_one)),
    Route("/undo", _visited(history.undo), methods=["POST"]),
    Route("/data", _visited(whole.show)),
    Route("/export", _visited(whole.export)),
    Route("/erase", _visited(whole.erase), methods=["POST"]),
    Route("/service", _visited(operating.show, needs_user=False)),
    Route("/user", _visited(operating.ask_user, needs_user=False)),
    Route("/user", _visited(operating.set_user, needs_user=False), methods=["POST"]),
]


def application(site: Site) -> Starlette:
    """The console of a site. The connection to the service lasts as long as the application."""
    secret = secrets.token_hex()

    @contextlib.asynccontextmanager
    async def connected(app: Starlette) -> AsyncIterator[None]:
        async with AsyncClient(site.service, timeout_s=site.timeout_s, **site.access) as client:
            app.state.client = client
            yield

    app = Starlette(
        routes=[*_ROUTES, Mount("/static", _Static(directory=str(files(__package__) / "static")))],
        middleware=[
            Middleware(Guard, host_names=site.host_names),
            Middleware(
                SessionMiddleware,
                secret_key=secret,
                # Browsers keep one set of cookies for all ports of a host.
                session_cookie=f"kgt_console_{site.port}",
                max_age=None,
                same_site="strict",
            ),
        ],
        exception_handlers={CallError: call_failed, HTTPException: not_served},
        lifespan=connected,
    )
    app.state.site = site
    app.state.tokens = FormTokens(secret)
    return app


class _Static(StaticFiles):
    """The package's own files. Browsers keep them, and ask whether there are newer ones."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
