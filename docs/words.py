"""What the stable codes mean, for people: the webhook's reasons and the broker's codes have a word in code and a sentence here.

For a limit of a value also a sample that breaks it. The generator refuses a code without a sentence, and one whose code is gone.
"""

from contract import wire
from contract.envfile import LINE_LIMIT, STRING_LIMIT
from webhook.problem import Reason

# What is wrong, and who acts.
REASONS: dict[Reason, tuple[str, str]] = {
    Reason.MALFORMED_REFERENCE: ("A value holds `tfy-secret://`, or names a store, and is no name that can be read.", "author"),
    Reason.UNKNOWN_GROUP: ("There is no SecretGroup of that name.", "author"),
    Reason.UNKNOWN_KEY: ("The group does not list that key; with `?optional=true` this is a warning.", "author"),
    Reason.OTHER_TENANT: ("The name's first part is not the tenant of this installation.", "author"),
    Reason.DENIED: ("The pod's service account has no role in the group, or no rule of the store allows the path.", "group admin"),
    Reason.STORE_UNUSABLE: ("The SecretStore or SecretGroup breaks a rule of its schema, or the group's store is not there.", "operator"),
    Reason.BAD_ANNOTATION: ("An annotation or label under `tfy-secret.dev/` is unknown, misspelt or cannot be read.", "author"),
    Reason.NAME_TAKEN: (
        (
            "A container or volume of the pod has one of our names, two containers have the same one, or, in mode exec, something is "
            "mounted at `/tfy-secret/run`."
        ),
        "author",
    ),
    Reason.MOUNT_IMPOSSIBLE: ("Kubernetes cannot mount the file there: another mount is in its way, or is read-only.", "author"),
    Reason.EXPANSION_UNKNOWN: ("`$(VAR)` stands beside a reference, and its value is not known at admission.", "author"),
    Reason.MODE_UNAVAILABLE: ("Mode envfile is asked for, and the API server is older than 1.35 or not known yet.", "author"),
    Reason.COMMAND_UNKNOWN: (
        "Mode exec, and a container without `command` of which neither the annotation nor a registry says what it runs.",
        "author",
    ),
    Reason.NOT_DELIVERABLE: (
        (
            "A reference in a command, a ConfigMap or an ephemeral container, a static or Windows pod, or an init container before "
            "ours; in mode exec also a variable that is set again by something else, or our own mark in a command."
        ),
        "author",
    ),
    Reason.PLAN_TOO_LARGE: ("More than 1000 different secrets, or a plan past the kernel's 128 KiB for one variable.", "author"),
    Reason.TEMPLATE_BROKEN: (
        "A config file with references is not what its format says, or has a reference where no value stands.",
        "author",
    ),
    Reason.UNREADABLE_POD: ("The object in the review is not a v1 Pod.", "whoever sent it"),
    Reason.NOT_READY: ("A pod with references came before the webhook knew certificates, groups and versions. Try again.", "nobody"),
    Reason.CRASH: ("A fault of the webhook itself; its log has `review_crashed` with the place.", "please report it"),
}

# What is wrong, and the init container's exit code for it, where it reaches one.
CODES: dict[str, str] = {
    wire.NOT_FOUND: "There is no such key, path or version.",
    wire.FIELD_NOT_FOUND: "The value is there; the `#field` is not, or is null.",
    wire.DENIED: "No role allows it, or there is no such secret: the two are told apart to no one without a role.",
    wire.INVALID: "A name, path, version or mode cannot be used.",
    wire.MISCONFIGURED: "A SecretStore, its credentials' files or a setting is wrong.",
    wire.UNSUPPORTED: "The store has no such operation.",
    wire.STORE_REFUSED: "The store does not accept the broker's credentials or rights.",
    wire.MALFORMED: "The store's answer, or a stored row, is not what its contract says; or a `#field` of a value that is no JSON object.",
    wire.TOO_LARGE: "A value, or all values of a pod together, are past a limit.",
    wire.INTERNAL: "A fault of the broker itself; its log has the request's id and the place.",
    wire.THROTTLED: "The store asks for fewer calls. Tried again.",
    wire.UNAVAILABLE: "The store, the Kubernetes API or the audit log does not answer. Tried again.",
    wire.UNAUTHENTICATED: "The token is not accepted, or not bound to a pod where that is needed.",
    wire.BAD_REQUEST: "The request is not one of this version, or past a limit.",
    wire.CONFLICT: "Someone else changed the secret group since it was looked at; the answer says what.",
    wire.NODE_TOO_OLD: "The pod's node cannot deliver the plan's mode.",
}

# A value that breaks the limit, in words and as a sample.
SAMPLES: dict[str, tuple[str, bytes]] = {
    "empty": ("is empty", b""),
    "nul": ("holds a NUL byte", b"a\0b"),
    "not-utf8": ("is not UTF-8", b"\xff"),
    "single-quote": ("holds a single quote", b"it's"),
    "crlf": ("holds CR LF", b"one\r\ntwo"),
    "too-long": ("is 128 KiB or more, with its name", b"x\n" * (STRING_LIMIT // 2)),
    "long-line": ("has a line of 64 KiB or more", b"x" * LINE_LIMIT),
}
