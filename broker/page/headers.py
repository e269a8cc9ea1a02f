"""The headers of a page: what a browser may do with it. Stricter than what any page of ours needs is said by leaving it out.

`form-action 'self'` also covers where a form's answer redirects to, which is why the way to an issuer is a link.
"""

from collections.abc import Mapping

from broker.http import HEADERS

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_OFF = ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "microphone", "midi", "payment", "usb")

PAGE: Mapping[str, str] = {
    **HEADERS,
    "Content-Security-Policy": _CSP,
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join([*(f"{name}=()" for name in _OFF), "clipboard-write=(self)"]),
}
STATIC: Mapping[str, str] = {
    **HEADERS,
    "Cache-Control": "public, max-age=31536000, immutable",  # its content is in its name
    "Cross-Origin-Resource-Policy": "same-origin",
}
