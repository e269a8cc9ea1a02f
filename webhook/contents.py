"""Early truth of config files: what a ConfigMap holds now, told before the pod exists.

ConfigMap                     | told
----------------------------- | --------------------------------------------------------------------------
is not there, lacks the key   | a warning: the kubelet waits for it; nothing where the author says optional
cannot be read                | a warning
is large                      | a warning: a review's time is everybody's
is not what its format says   | refused, with line and column
names what `truth` refuses    | refused, with line and column
names a store outside of ${ } | a warning: the app gets the text

It may change before the pod starts, and later: the broker decides then. Of its content nothing but references is ever shown.
"""

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from contract.fqn import shorten
from contract.template import Fault, Template, TemplateError, read_template
from contract.wire import MAX_SECRETS
from webhook.problem import Problem, Reason, nearest
from webhook.target import Findings
from webhook.templates import WantedTemplate
from webhook.truth import Truth


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """As much of one as is looked at; `is_there` False: there is none of that name."""

    data: Mapping[str, Any]
    binary: Mapping[str, Any]
    is_there: bool = True

    @classmethod
    def of(cls, manifest: Any) -> "ConfigMap":
        fields = manifest if isinstance(manifest, dict) else {}
        data, binary = fields.get("data"), fields.get("binaryData")
        return cls(data if isinstance(data, dict) else {}, binary if isinstance(binary, dict) else {})

    def content(self, key: str) -> bytes | None:
        """What the kubelet writes into the key's file."""
        text = self.data.get(key)
        if isinstance(text, str):
            return text.encode(errors="surrogatepass")
        encoded = self.binary.get(key)
        try:
            return binascii.a2b_base64(encoded) if isinstance(encoded, str) else None
        except ValueError:
            return None


MAX_LOOKED_AT = 64 * 1024  # bytes of a pod's config files; 20 ms of everybody's admission
NONE = ConfigMap({}, {}, is_there=False)


def check_templates(
    wanted: Iterable[WantedTemplate], config_map: Callable[[str], ConfigMap | None], absent: str, truth: Truth, findings: Findings
) -> None:
    """`config_map` gives one by name, None where it cannot be read. `absent` is what a missing one means here."""
    names: set[str] = set()
    room = MAX_LOOKED_AT
    seen: set[tuple[str, str, str]] = set()
    for template in wanted:
        place = f"{template.place} (ConfigMap '{template.config_map}', key '{template.key}')"
        found = config_map(template.config_map)
        if found is None:
            findings.tell(f"{place}: it could not be read; its references are checked when the pod starts")
            continue
        content = found.content(template.key)
        if content is None:
            findings.tell(None if template.optional else _missing(place, template, found, absent))
            continue
        if (template.config_map, template.key, template.format) in seen:
            continue
        seen.add((template.config_map, template.key, template.format))
        room -= len(content)
        if room < 0:
            findings.tell(
                f"{place}: with it the pod's config files have more than {MAX_LOOKED_AT} bytes; references are checked when the pod starts"
            )
            continue
        try:
            read = _read(content, template.format)
        except TemplateError as error:
            for fault in error.faults:
                findings.tell(_broken(place, fault))
            continue
        names |= {str(mention.fqn.required) for mention in read.mentions}
        _check_mentions(place, read, truth, findings)
        findings.tell(_outside(place, read, truth))
    if len(names) > MAX_SECRETS:
        fix = "split the pod, or keep several values in one JSON secret and use #field"
        found_names = f"{len(names)} different secrets in config files"
        findings.tell(Problem("spec", Reason.PLAN_TOO_LARGE, found_names, f"at most {MAX_SECRETS} in one pod", fix))


# Pods of one Deployment have the same files.
_read = lru_cache(maxsize=16)(read_template)


def _missing(place: str, template: WantedTemplate, found: ConfigMap, absent: str) -> str:
    if not found.is_there:
        return f"{place}: the ConfigMap was not found; {absent}"
    near = nearest(template.key, [*found.data, *found.binary])
    hint = f" (did you mean '{shorten(near, 60)}'?)" if near else ""
    return f"{place}: the ConfigMap has no such key{hint}; {absent}"


def _broken(place: str, fault: Fault) -> Problem:
    reason = Reason.MALFORMED_REFERENCE if fault.of_name else Reason.TEMPLATE_BROKEN
    return Problem(f"{place}, {fault.place}", reason, fault.found, fault.allowed, fault.fix)


def _check_mentions(place: str, read: Template, truth: Truth, findings: Findings) -> None:
    for mention in read.names.values():
        findings.tell(truth.check(f"{place}, {mention.place}", mention.fqn, "nothing stands in its place"))
        if findings.full:
            return


def _outside(place: str, read: Template, truth: Truth) -> str | None:
    """A store's path is a reference inside ${ } alone; outside it was perhaps meant to be one."""
    for store in truth.catalog.store_fqns if "::" in read.text else ():
        match = re.search(rf"(?<![\w/:.{{-]){re.escape(store)}::(?=[\w/])", read.text)
        if match is not None:
            line = read.text.count("\n", 0, match.start()) + 1
            return f"{place}, line {line}: '{shorten(store, 80)}::...' stands outside of ${{...}} and is passed on as text"
    return None
