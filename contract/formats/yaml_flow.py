"""Flow collections of a YAML text: [ ... ] and { ... }, nested to any depth, over any number of lines."""

import re

from contract.formats import KEY, VALUE
from contract.formats.yaml_cursor import ALIAS, MARKER, Cursor

_FLOW_END = re.compile(r":(?=[ \t\n,\[\]{}]|\Z)|(?<=[ \t])#|[\n\t,\[\]{}]")
_FLOW_KEY_END = re.compile(r"[ \n]*+:")


class FlowCursor(Cursor):
    """Goes over one collection as a whole."""

    def flow(self) -> None:
        """All of [ ... ] or { ... }, nested to any depth; afterwards `at` is behind it."""
        text, closing = self.text, list[str]()
        like_json = False  # whether a ':' may follow without a blank
        while True:
            self._skip_flow_blanks()
            if self.at == len(text):
                raise self.fault("[ or { that does not end", "a collection with both its brackets", "add the other bracket")
            character = text[self.at]
            if character in "[{":
                closing.append("]" if character == "[" else "}")
                self.at, like_json = self.at + 1, False
            elif character in "]}":
                if closing.pop() != character:
                    raise self.fault(f"'{character}' that closes another bracket", "brackets in pairs", "correct the brackets")
                self.at, like_json = self.at + 1, True
                if not closing:
                    return
            elif character == ",":
                self.at, like_json = self.at + 1, False
            elif character == ":":
                if not (like_json or text[self.at + 1 : self.at + 2] in (" ", "\n", "")):
                    raise self.fault("':' without a blank behind it", "': ' behind a key", "add a blank, or put the text into quotes")
                self.at, like_json = self.at + 1, False
            else:
                like_json = self._flow_node(character)

    def _flow_node(self, character: str) -> bool:
        """A scalar, an alias or a property. True where it was in quotes."""
        text, begun = self.text, self.at
        if character in "\"'":
            content = self.quoted()
            self.found.append((KEY if _FLOW_KEY_END.match(text, self.at) else VALUE, begun, self.at, content))
            return True
        if character in "&!":
            self.property(flow=True)
        elif character == "*":
            self.match(ALIAS, "an alias")
        elif character in "?:|>@`%#" or (character == "-" and (text[begun + 1 : begun + 2] or "\n") in " \t\n,[]{}"):
            raise self.fault(f"'{character}' inside [ ] or {{ }}", "keys and values", "put the text into quotes")
        else:
            self._flow_plain()
        return False

    def _flow_plain(self) -> None:
        text, begun = self.text, self.at
        match = _FLOW_END.search(text, begun)
        ended = "" if match is None else match.group()
        end = len(text) if match is None else match.start()
        content = text[begun:end].rstrip(" ")
        self.at = begun + len(content)
        if ended == "\t":
            raise self.fault("a tab outside of quotes", "blanks, and tabs inside quotes", "use blanks, or put the text into quotes")
        if (ended and ended in "[{") or (ended == ":" and (text[end + 1 : end + 2] or "\n") in ",[]{}"):
            self.at = begun
            found = f"'{ended}' in text without quotes, inside [ ] or {{ }}"
            raise self.fault(found, "quotes around a reference in a flow collection", 'write "${tfy-secret://...}"')
        self.found.append((KEY if ended == ":" else VALUE, begun, self.at, content))
        if ended == "\n":
            self._skip_flow_blanks()
            if self.at < len(text) and text[self.at] not in ",[]{}":
                raise self.fault("text over several lines inside [ ] or { }", "one line for each value", "put the text into quotes")

    def _skip_flow_blanks(self) -> None:
        """Blanks, line breaks and comments."""
        text = self.text
        while self.at < len(text):
            character = text[self.at]
            if character == "\n":
                self.at += 1
                if MARKER.match(text, self.at):
                    raise self.fault("'---' or '...' inside [ ] or { }", "a collection within one document", "close it before")
            elif character == " ":
                self.skip_spaces()
            elif character == "\t":
                raise self.tab()
            elif character == "#" and text[self.at - 1] in " \n":
                self.comment()
            else:
                return
