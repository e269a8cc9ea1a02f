"""The one place where aiobotocore makes a client and is asked. Imported in a thread, when a store is first used: see `api`.

Turns off what the library would decide by itself: retries, endpoints and profiles of the environment and of files in the home
folder, validation of parameters (its report quotes them). Its exceptions end here. All clients share one loader of AWS's
descriptions, since reading them is most of a client's cost: 0.07 s for the first one, 0.005 s for each later one.
"""

import asyncio
import os
import threading
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession
from botocore import UNSIGNED
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from broker.errors import BrokerError, Malformed, Misconfigured
from broker.stores.aws.errors import Refusal
from broker.stores.aws.http import VettedSession
from broker.stores.aws.logins import Login
from broker.stores.aws.target import Target
from broker.stores.exchange import retry_after
from broker.stores.transport import system_trust

_LOCK = threading.Lock()  # botocore's sessions and loaders are not made for two threads at once
_LOADER = create_loader()
# Nothing of the environment or the home folder: a default and no variable, no field of a file.
_NOTHING = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def open_client(service: str, target: Target, login: Login | None, endpoint: str | None) -> Any:
    """A client of botocore, not yet connected. Blocks for its CPU time: call it in a thread. Raises Misconfigured."""
    system_trust()  # remembered for the first connection, which is made in the event loop
    with _LOCK:
        session = AioSession(_NOTHING)
        session.register_component("data_loader", _LOADER)
        if login is not None:
            session._credentials = _Signing(login)  # noqa: SLF001 - there is no public way to give it credentials that renew
        config = AioConfig(
            signature_version=UNSIGNED if login is None else None,
            retries={"total_max_attempts": 1},
            ignore_configured_endpoint_urls=True,
            use_fips_endpoint=False,  # another address: the manifest names it
            use_dualstack_endpoint=False,
            defaults_mode="legacy",  # `auto` would ask the machine's metadata service
            parameter_validation=False,
            http_session_cls=VettedSession.bound_to(target),
            user_agent_appid="tfy-secret-injector",
        )
        making = session.create_client(service, region_name=target.region, endpoint_url=endpoint, config=config)
        try:
            return asyncio.run(making.__aenter__())
        except (BotoCoreError, ValueError) as error:
            problem = Misconfigured(
                f"{target.place}: no client of {service} in region {target.region} can be made ({type(error).__name__}). "
                "To fix: region and endpoint"
            )
        raise problem


async def ask(place: str, client: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer. Raises Refusal for one that says no, Malformed for one that cannot be read, and what `http` raises."""
    problem: Exception
    try:
        answer: dict[str, Any] = await getattr(client, operation)(**parameters)
    except BrokerError:
        raise
    except ClientError as error:
        problem = _refusal(error.response)
    # Whatever stands where an answer should be makes botocore's parsers fail in ways of their own.
    except (BotoCoreError, ResponseParserError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        problem = Malformed(f"{place}: the answer cannot be read ({type(error).__name__}). To fix: is the endpoint that of the service?")
    else:
        return answer
    raise problem


def _refusal(response: dict[str, Any]) -> Refusal:
    meta, error = response.get("ResponseMetadata") or {}, response.get("Error") or {}
    headers = {str(name).lower(): str(value) for name, value in (meta.get("HTTPHeaders") or {}).items()}
    return Refusal(str(error.get("Code", "")), str(error.get("Message", "")), int(meta.get("HTTPStatusCode", 0)), retry_after(headers))


class _Signing(AioCredentials):  # type: ignore[misc] # botocore has no types
    """What botocore signs with: the login's present keys, asked for at each request."""

    def __init__(self, login: Login) -> None:
        super().__init__("", "", method="tfy-secret-injector")
        self._login = login

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        keys = await self._login.keys()
        return ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token, None)
