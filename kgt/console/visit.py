"""One request to the console: whose page it is, the form that was sent, and the page in return."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from itsdangerous import Signer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from kgt.client import AsyncClient
from kgt.client.access import Access
from kgt.console.templating import TEMPLATES
from kgt.requests import new_request_id

MOST_FORM_BYTES = 1 << 20
"""The longest query that the service takes has 256 KiB, which a form may write with 3 for each."""
_USER = "user"
_SESSION = "id"


@dataclass(frozen=True, slots=True)
class Site:
    """What the console serves: which service, for which user (None: whoever is named), and how."""

    service: str
    user: str | None
    timeout_s: float = 60.0
    host_names: tuple[str, ...] = ()
    port: int = 0
    access: Access = field(default_factory=Access, repr=False)
    """What the console proves to the service who it is with."""


class FormTokens:
    """Tokens that only this process can have put into a form, each for one browser's session."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="kgt.console.form")

    def of(self, session: dict[str, Any]) -> str:
        """The token of this session, which is begun if there is none."""
        if _SESSION not in session:
            session[_SESSION] = secrets.token_urlsafe(16)
        return self._signer.get_signature(session[_SESSION]).decode()

    def fits(self, session: Mapping[str, Any], token: str) -> bool:
        """Whether the token is this session's."""
        return _SESSION in session and self._signer.verify_signature(
            session[_SESSION], token.encode()
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """A request with what its handler needs. `user` is empty if nobody has been named yet."""

    request: Request
    user: str
    form: Mapping[str, str]

    @property
    def site(self) -> Site:
        return self.request.app.state.site  # type: ignore[no-any-return]

    @property
    def client(self) -> AsyncClient:
        return self.request.app.state.client  # type: ignore[no-any-return]

    def asked(self, name: str) -> str:
        """A parameter of the address, or empty."""
        return self.request.query_params.get(name, "").strip()

    def said(self, name: str) -> str:
        """A field of the form, without blanks at its ends, or empty."""
        return self.form.get(name, "").strip()

    def request_id(self) -> str:
        """The id of the write that this form asks for.

        A form that is sent twice is one write. One that was changed in between is another.
        """
        fields = sorted((name, text) for name, text in self.form.items() if name != "token")
        return hashlib.sha256(repr(fields).encode()).hexdigest()

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page made from a template."""
        state = self.request.app.state
        text = TEMPLATES.get_template(template).render(
            user=self.user,
            any_user=self.site.user is None,
            service=self.site.service,
            here=self.request.url.path,
            token=state.tokens.of(self.request.session),
            once=new_request_id(),
            **values,
        )
        return HTMLResponse(text, status)


def visit_of(request: Request, form: Mapping[str, str] | None = None) -> Visit:
    """The visit of a request: that of the site's only user, or of the user who was named."""
    only: str | None = request.app.state.site.user
    user = only if only is not None else str(request.session.get(_USER, ""))
    return Visit(request, user, form or {})


def remember_user(request: Request, user: str) -> None:
    """Show this user's page from now on in this browser.

    The session begins anew, so that a form that is still open for another user is refused.
    """
    request.session.clear()
    request.session[_USER] = user


async def checked_form(request: Request) -> Mapping[str, str]:
    """The form's fields. Raises HTTPException if it is too large or is not one of ours."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise HTTPException(411)
    if int(length) > MOST_FORM_BYTES:
        raise HTTPException(413)
    async with request.form(max_files=0, max_fields=20) as sent:
        fields = {name: value for name, value in sent.items() if isinstance(value, str)}
    tokens: FormTokens = request.app.state.tokens
    if not tokens.fits(request.session, fields.get("token", "")):
        raise HTTPException(403)
    return fields
