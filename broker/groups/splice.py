"""Change one SecretGroup in the text of a YAML or JSON file, and leave every other byte as its author wrote it.

Only the two lists that the broker writes are touched (spec.keys, spec.collaborators), item by item where each has a line of its own, so
that comments stay. Whatever YAML the file uses, the result is read again before it counts: our group must hold what was meant and
every other document what it held before; otherwise the change is refused and the file is left alone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from contract.catalog import GROUP
from service.manifests import BrokenFile, check_depth

Item = str | Mapping[str, str]
Replacement = tuple[int, int, str]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/@-]*")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # which YAML 1.1 reads as something else
_HAND = "To fix: change the file by hand"


class CannotEdit(ValueError):
    """The file's YAML is not of a kind that can be changed without losing something."""


def with_lists(text: str, name: str, lists: Mapping[str, Sequence[Item]]) -> str:
    """The text with these fields of the group's spec. Raises CannotEdit."""
    documents = _documents(text)
    group = _group(text, name)
    spec = _child(group, "spec")
    if not isinstance(spec, yaml.MappingNode):
        raise CannotEdit(f"spec of SecretGroup {name} is not written out here. {_HAND}")
    made = text
    for replacement in sorted((r for field, items in lists.items() for r in _list(text, spec, field, items)), reverse=True):
        made = made[: replacement[0]] + replacement[2] + made[replacement[1] :]
    expected = [_changed(document, name, lists) for document in documents]
    _check(expected, made, name)
    return made


def without(text: str, name: str) -> str | None:
    """The text without the group; None: there is nothing else in it. Raises CannotEdit."""
    documents = _documents(text)
    expected = [_dropped(document, name) for document in documents]
    if all(document is None for document in expected):
        return None
    start, end = _span(text, name)
    made = text[:start] + text[end:]
    _check([d for d, before in zip(expected, documents, strict=True) if d is not None or before is None], made, name)
    return made


def _documents(text: str) -> list[Any]:
    try:
        check_depth(text)
        return list(yaml.load_all(text, Loader=_LOADER))
    except (yaml.YAMLError, BrokenFile, ValueError):
        raise CannotEdit("the file is not YAML that can be read") from None


def _check(expected: list[Any], made: str, name: str) -> None:
    found = _documents(made)
    if [_normal(d) for d in found if d is not None] != [_normal(d) for d in expected if d is not None]:
        raise CannotEdit(f"SecretGroup {name} cannot be changed here without changing something else. {_HAND}")


def _ours(document: Any, name: str) -> bool:
    metadata = document.get("metadata") if isinstance(document, dict) and document.get("kind") == GROUP else None
    return isinstance(metadata, dict) and metadata.get("name") == name


def _is_list(document: Any) -> bool:
    return isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list)


def _changed(document: Any, name: str, lists: Mapping[str, Sequence[Item]]) -> Any:
    if _ours(document, name) and isinstance(document.get("spec"), dict):
        return {**document, "spec": {**document["spec"], **{field: list(items) for field, items in lists.items()}}}
    return {**document, "items": [_changed(item, name, lists) for item in document["items"]]} if _is_list(document) else document


def _dropped(document: Any, name: str) -> Any:
    if _ours(document, name):
        return None
    if not _is_list(document):
        return document
    kept = [found for item in document["items"] if (found := _dropped(item, name)) is not None]
    return {**document, "items": kept} if kept else None


def _normal(document: Any) -> Any:
    """Neither list of a group has an order that means something, and an empty one is the same as none."""
    if not isinstance(document, dict):
        return document
    if _is_list(document):
        return {**document, "items": [_normal(item) for item in document["items"]]}
    spec = document.get("spec")
    if document.get("kind") != GROUP or not isinstance(spec, dict):
        return document
    lists = {field: sorted(spec.get(field) or [], key=_order) for field in ("keys", "collaborators")}
    return {**document, "spec": {**spec, **lists}}


def _order(item: Any) -> str:
    return json.dumps(item, sort_keys=True, default=str)


def _groups(node: yaml.Node | None) -> Iterator[tuple[yaml.MappingNode, yaml.SequenceNode | None]]:
    """Each mapping that may be a group, and the List's items that it stands in."""
    if not isinstance(node, yaml.MappingNode):
        return
    items = _child(node, "items")
    if isinstance(items, yaml.SequenceNode):
        for item in items.value:
            if isinstance(item, yaml.MappingNode):
                yield item, items
    yield node, None


def _found(text: str, name: str) -> tuple[yaml.MappingNode, yaml.SequenceNode | None]:
    for root in yaml.compose_all(text, Loader=_LOADER):
        for node, items in _groups(root):
            kind, metadata = _child(node, "kind"), _child(node, "metadata")
            named = _child(metadata, "name") if isinstance(metadata, yaml.MappingNode) else None
            if kind is not None and named is not None and (kind.value, named.value) == (GROUP, name):
                return node, items
    raise CannotEdit(f"SecretGroup {name} is not in the file any more")


def _group(text: str, name: str) -> yaml.MappingNode:
    return _found(text, name)[0]


def _child(node: yaml.MappingNode | None, name: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def _list(text: str, spec: yaml.MappingNode, field: str, items: Sequence[Item]) -> list[Replacement]:
    node = _child(spec, field)
    quoted = text.lstrip().startswith(("{", "["))  # a JSON file stays one
    if node is None:
        return [_inserted(spec, field, items, quoted)]
    if isinstance(node, yaml.ScalarNode):
        start, end = node.start_mark.index, node.end_mark.index
        return [(start, end, ("" if end > start else " ") + _flow(items, quoted))]
    if not isinstance(node, yaml.SequenceNode):
        raise CannotEdit(f"spec.{field} is not a list")
    if node.flow_style:
        start, end = node.start_mark.index, node.end_mark.index
        if re.search(r"(?m)(^|\s)#", text[start:end]):
            raise CannotEdit(f"spec.{field} holds a comment inside brackets, which would be lost. {_HAND}")
        return [(start, end, _flow(items, quoted))]
    return [_block(text, node, field, items)]


def _inserted(spec: yaml.MappingNode, field: str, items: Sequence[Item], quoted: bool) -> Replacement:
    if not spec.value:
        raise CannotEdit(f"spec is empty, so there is no place for {field}. {_HAND}")
    start: int = spec.value[0][0].start_mark.index
    if spec.flow_style:
        return start, start, f'"{field}": {_flow(items, quoted)}, '
    return start, start, f"{field}: {_flow(items, quoted)}\n{' ' * spec.value[0][0].start_mark.column}"


def _block(text: str, node: yaml.SequenceNode, field: str, items: Sequence[Item]) -> Replacement:
    """Keep the lines of the items that stay, and give each new one a line of its own."""
    starts = [_line_start(text, item.start_mark.index) for item in node.value]
    end = _line_end(text, _last(node.value[-1]))
    for item, start in zip(node.value, starts, strict=True):
        if text[start : item.start_mark.index].strip() != "-":
            raise CannotEdit(f"spec.{field} is a list whose items do not stand on lines of their own. {_HAND}")
    indent = text[starts[0] : text.index("-", starts[0])]
    left, kept = [_key(item) for item in items], []
    for start, stop, item in zip(starts, [*starts[1:], end], node.value, strict=True):
        segment = text[start:stop]
        if (key := _node_key(item)) in left:
            left.remove(key)
            kept.append(segment)
        else:
            kept += [line for line in segment.splitlines(keepends=True) if line.lstrip().startswith("#")]
    body = "".join(kept)
    added = "".join(f"{indent}- {_scalar(item, False)}\n" for item in items if _key(item) in left)
    return starts[0], end, body + ("\n" if body and added and not body.endswith("\n") else "") + added


def _span(text: str, name: str) -> tuple[int, int]:
    """Where the group's document, or its item of a List, begins and ends."""
    node, items = _found(text, name)
    if items is not None:
        if items.flow_style:
            raise CannotEdit(f"SecretGroup {name} stands in a List in brackets. {_HAND}")
        starts = [_line_start(text, item.start_mark.index) for item in items.value]
        place = items.value.index(node)
        return starts[place], starts[place + 1] if place + 1 < len(starts) else _line_end(text, _last(node))
    starts = [e.start_mark.index for e in yaml.parse(text, Loader=_LOADER) if isinstance(e, yaml.DocumentStartEvent) and e.start_mark]
    place = max(i for i, start in enumerate(starts) if start <= node.start_mark.index)
    return starts[place], starts[place + 1] if place + 1 < len(starts) else len(text)


def _last(node: yaml.Node) -> int:
    """The index after the node's last character; a block collection's own mark may lie behind later comments."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_start(text: str, index: int) -> int:
    return text.rfind("\n", 0, index) + 1


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", max(0, index - 1) if text[index - 1 : index] == "\n" else index)
    return len(text) if found < 0 else found + 1


def _key(item: Item) -> Any:
    return item if isinstance(item, str) else frozenset(item.items())


def _node_key(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return frozenset((key.value, value.value if isinstance(value, yaml.ScalarNode) else None) for key, value in node.value)
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _flow(items: Sequence[Item], quoted: bool) -> str:
    return "[" + ", ".join(_scalar(item, quoted) for item in items) + "]"


def _scalar(item: Item, quoted: bool) -> str:
    if not isinstance(item, str):
        return "{" + ", ".join(f"{_scalar(name, quoted)}: {_scalar(value, quoted)}" for name, value in item.items()) + "}"
    plain = not quoted and _PLAIN.fullmatch(item) and item.lower() not in _WORDS
    return item if plain else json.dumps(item, ensure_ascii=False)
