"""What a name, a value or a collaborator may be, said to people before anything is changed; and what a value means for pods.

The rules are those of the SecretGroup resource (`contract.resources`, the CRD), so nothing is accepted here that it refuses.
"""

from collections.abc import Iterable, Sequence

from broker.errors import InvalidRequest, TooLarge
from broker.groups.model import Collaborator, Notice
from broker.identity import Caller, service_account_of
from contract import wire
from contract.envfile import cannot_carry
from contract.fqn import is_part, shorten
from contract.keys import API_VERSION
from contract.resources import ResourceError, parse_group
from contract.values import SecretValue

MAX_NAME = 253  # characters of a group's name or a key, as in the CRD
MAX_KEYS = 1024  # of one group, as in the CRD
MAX_COLLABORATORS = 512
MAX_SUBJECT = 256
ADMIN = "secret-group-admin"


def check_group(name: str, collaborators: Sequence[Collaborator], keys: Sequence[str] = ()) -> None:
    """Raises InvalidRequest with every fault."""
    problems = []
    if len(name) > MAX_NAME:
        problems.append(f"name: {len(name)} characters; allowed: at most {MAX_NAME}")
    if len(collaborators) > MAX_COLLABORATORS:
        problems.append(f"collaborators: found {len(collaborators)}; allowed: at most {MAX_COLLABORATORS}")
    problems += [
        f"collaborators: a subject of {len(c.subject)} characters; allowed: {MAX_SUBJECT}"
        for c in collaborators
        if len(c.subject) > MAX_SUBJECT
    ]
    rules = [{"role": c.role, "subject": c.subject} for c in collaborators]
    spec = {"store": "any", "keys": list(keys), "collaborators": rules}
    try:
        parse_group({"apiVersion": API_VERSION, "kind": "SecretGroup", "metadata": {"name": name}, "spec": spec})
    except ResourceError as error:
        problems += [problem.removeprefix("spec.").removeprefix("metadata.") for problem in error.problems]
    check_text(name, *(c.subject for c in collaborators))
    if problems:
        raise InvalidRequest("; ".join(problems))


def check_keys(keys: Iterable[str], there: int = 0) -> None:
    """`there`: keys that the group has besides. Raises InvalidRequest."""
    found = list(keys)
    for key in found:
        if not is_part(key) or len(key) > MAX_NAME:
            raise InvalidRequest(
                f"key: found '{shorten(key, 60)}'; allowed: letters, digits, '.', '_' and '-', with a letter or digit at both ends, "
                f"at most {MAX_NAME} characters"
            )
    if len(found) + there > MAX_KEYS:
        raise InvalidRequest(f"the group would have {len(found) + there} keys; allowed: at most {MAX_KEYS}. To fix: use another group too")


def check_size(*values: SecretValue) -> None:
    for value in values:
        if len(value) > wire.MAX_VALUE_BYTES:
            raise TooLarge(f"the value has {len(value)} bytes; at most {wire.MAX_VALUE_BYTES} can be stored")


def check_text(*texts: str) -> None:
    """JSON can hold halves of surrogate pairs, which no file, header or page can."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(f"found '{shorten(text, 60)}'; allowed: text in Unicode") from None


def notices_of(key: str, value: SecretValue) -> tuple[Notice, ...]:
    """What no reason to refuse it is, and good to know before a pod fails for it."""
    limit = cannot_carry(value.reveal(), key)
    if limit is None:
        return ()
    if limit.exec_carries:
        sentence = (
            f"{limit.sentence}. Pods get it as a file, or as a variable in mode exec (annotation tfy-secret.dev/mode: exec); "
            "a pod that takes it as a variable in mode envfile is not started"
        )
    else:
        sentence = f"{limit.sentence}. Pods get it as a file alone (annotation tfy-secret.dev/files)"
    return (Notice(limit.code, sentence),)


def subject_of(caller: Caller) -> str:
    """How a caller is named among collaborators."""
    account = service_account_of(caller.name)
    return f"user:{caller.name}" if account is None else f"serviceaccount:{account[0]}/{account[1]}"
