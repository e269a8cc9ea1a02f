"""Development only: who has which token, from a file of Kubernetes' static token form: `token,user,uid,"group1,group2"`.

Stands in for TokenReview where there is no cluster. A row whose user is `system:serviceaccount:<namespace>:<name>` stands for a
pod of that service account. The file is read again when it changes; a broken file lets no one in.
"""

import csv
import hashlib
import hmac
import io
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.errors import Misconfigured, Unauthenticated, Unavailable
from broker.identity import NOT_A_POD, NOT_ACCEPTED, Caller, Pod, service_account_of, subjects_of

log = structlog.get_logger()
DEVELOPMENT_POD = "dev"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a digest of the token, never the token itself, and whose it is."""

    digest: bytes
    user: str
    uid: str
    groups: tuple[str, ...]


class StaticTokens:
    """Raises Misconfigured at once if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._rows: list[Row] = []
        self._refresh()
        log.warning("tokens_file_is_for_development", file=str(path), tokens=len(self._rows))

    async def pod(self, token: str) -> Caller:
        row = self._row(token)
        account = service_account_of(row.user)
        if account is None:
            raise Unauthenticated(NOT_A_POD)
        return Caller(row.user, subjects_of(row.user, list(row.groups)), Pod(*account, DEVELOPMENT_POD, row.uid, None))

    async def person(self, token: str) -> Caller:
        row = self._row(token)
        return Caller(row.user, subjects_of(row.user, list(row.groups)))

    def _row(self, token: str) -> Row:
        try:
            self._refresh()
        except Misconfigured as error:
            log.error("tokens_file_unusable", problem=error.message)  # noqa: TRY400 - the sentence says it all
            raise Unavailable("the file of tokens cannot be used; the broker's log says why") from None
        digest = _digest(token)
        # Every row is compared, so that time tells nothing about where a match stands.
        matches = [row for row in self._rows if hmac.compare_digest(row.digest, digest)]
        if not matches:
            raise Unauthenticated(NOT_ACCEPTED)
        return matches[0]

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._rows = parse_tokens(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except (OSError, ValueError) as error:
            self._stamp, self._rows = None, []
            reason = str(error) if isinstance(error, TokensError) else type(error).__name__
            raise Misconfigured(f"TFY_SECRET_TOKENS_FILE {self._path}: {reason}") from None


class TokensError(ValueError):
    """A line that is not a row; the message holds the line's number, never its content."""


def parse_tokens(text: str) -> list[Row]:
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if not cells or cells[0].lstrip().startswith("#"):
                continue
            rows.append(_parse_row(cells, reader.line_num))
    except csv.Error:
        raise TokensError(f'line {reader.line_num}: not CSV; allowed: token,user,uid,"group1,group2"') from None
    digests = [row.digest for row in rows]
    if len(set(digests)) != len(digests):
        raise TokensError("a token is given twice; give each user a token of their own")
    return rows


def _parse_row(cells: list[str], line: int) -> Row:
    cells = [cell.strip() for cell in cells]
    if len(cells) not in (3, 4) or not all(cells[:3]):
        raise TokensError(
            f'line {line}: found {len(cells)} columns or an empty one; allowed: token,user,uid,"group1,group2" (groups may be left out)'
        )
    groups = tuple(group.strip() for group in cells[3].split(",") if group.strip()) if len(cells) == 4 else ()
    return Row(_digest(cells[0]), cells[1], cells[2], groups)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
