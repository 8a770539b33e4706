"""`/docs` and `/redoc`, with assets of their own, so that the security headers hold and no CDN is asked."""

import base64
import hashlib
import re
from importlib.resources import files

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html, get_swagger_ui_oauth2_redirect_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from src.core import openapi

ASSETS = "/docs/assets"

DESCRIPTION = """\
Vehicles and properties, for sale and for rent: REST over JSON under `/api/v1`.

**Sign in** with `POST /api/v1/auth/login` and send `Authorization: Bearer <access_token>`.
**Money** is an integer in minor units with an ISO 4217 code. **Instants** are ISO 8601 with an offset.
**Lists** are keyset pages: send `next_cursor` back as `cursor`, unchanged, or follow `Link: <…>; rel="next"`.
**Writes that others contest** (`PATCH`) need `If-Match` with the `ETag` you read: 428 without, 412 when it is stale.
**Writes that create** (201) may carry an `Idempotency-Key`: sent again, they have one effect and the same answer.
**Public reads** have an `ETag`: sent back as `If-None-Match`, the answer is 304 while nothing has changed.
**Errors** are RFC 9457 problem documents with a stable `code`; refused fields stand in `errors` with a JSON pointer.
Where a JSON body has a key twice, the last one counts. Unknown fields and parameters are refused.
"""

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def install(app: FastAPI, *, is_open: bool) -> None:
    """Serve the document, and, where docs are open, the pages that show it."""
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    if not is_open:
        return
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-assets")
    swagger = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=app.title,
        oauth2_redirect_url="/docs/oauth2-redirect",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
        swagger_ui_parameters={"persistAuthorization": True, "tryItOutEnabled": True},
    )
    redoc = get_redoc_html(
        openapi_url="/openapi.json",
        title=app.title,
        redoc_js_url=f"{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{ASSETS}/favicon.png",
        with_google_fonts=False,
    )
    pages = {"/docs": swagger, "/redoc": redoc, "/docs/oauth2-redirect": get_swagger_ui_oauth2_redirect_html()}
    for path, page in pages.items():
        _serve(app, path, page)


def _serve(app: FastAPI, path: str, page: HTMLResponse) -> None:
    html = bytes(page.body).decode()
    answer = HTMLResponse(html, headers={"Content-Security-Policy": _policy(html), "Cache-Control": "max-age=600"})
    app.add_api_route(path, lambda: answer, include_in_schema=False)


def _policy(html: str) -> str:
    """Our own assets, and exactly the inline scripts of this page."""
    hashes = [hashlib.sha256(script.encode()).digest() for script in _INLINE_SCRIPT.findall(html)]
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; frame-ancestors 'none'"
    )
