"""`Link: <…>; rel="next"` (RFC 8288) on each page of a list that has a next one."""

import re
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

# The end of a page as JSON, whoever wrote it; a quotation mark inside a string would be escaped.
_NEXT_CURSOR = re.compile(rb'"next_cursor":"([\w.-]+)"(?:,"total":\{[^{}]*\})?\}$', re.ASCII)
_LONGEST_END = 1200
# What was counted for the first page holds for all.
_NOT_KEPT = {"", "cursor", "facets"}
# What may stand in a query (RFC 3986, section 3.4), and the escapes that are there already.
_AS_IT_IS = "!$%&'()*+,/:;=?@"
# A proxy may take no more than 4096 bytes of headers, and answer 502.
LONGEST_ADDRESS = 3000


def add_next(request: Request, page: Response) -> None:
    """Add the address of the next page: this one's, with its cursor, unless it is too long for a header.

    Without a host, so that no proxy can spoil it.
    """
    body = bytes(page.body)
    if found := _NEXT_CURSOR.search(body, max(0, len(body) - _LONGEST_END)):
        given = quote(request.scope["query_string"].decode("latin-1"), _AS_IT_IS).split("&")
        kept = [part for part in given if part.partition("=")[0] not in _NOT_KEPT]
        address = f"{quote(request.scope['path'])}?{'&'.join([*kept, f'cursor={found[1].decode()}'])}"
        if len(address) <= LONGEST_ADDRESS:
            page.headers["Link"] = f'<{address}>; rel="next"'
