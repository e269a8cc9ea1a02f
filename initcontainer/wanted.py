"""Which names a plan asks for, each once in its canonical spelling, who needs it, and whether somebody cannot do without.

`?optional=true` is the pod's affair, not the broker's: the same secret may be optional for one variable and required for another.
"""

from contract.fqn import parse_fqn
from contract.plan import Plan
from contract.record import record

_SHOWN_PLACES = 3


@record
class Want:
    """One secret: `name` is what the broker is asked for; `places` say who needs it, for messages."""

    name: str
    required: bool
    places: tuple[str, ...]

    @property
    def place(self) -> str:
        more = len(self.places) - _SHOWN_PLACES
        return "; ".join(self.places[:_SHOWN_PLACES]) + (f" and {more} more" if more > 0 else "")


@record
class Wanted:
    """`wants` by canonical name; `spellings` leads from a name as the plan spells it to its canonical one."""

    wants: "dict[str, Want]"
    spellings: "dict[str, str]"


def wanted_by(plan: Plan, templates: "Templates | None" = None) -> Wanted:
    wants: dict[str, Want] = {}
    spellings: dict[str, str] = {}
    for place, spelling in _references(plan, templates):
        fqn = parse_fqn(spelling)
        name = str(fqn.required)
        known = wants.get(name) or Want(name, False, ())
        places = known.places if place in known.places else (*known.places, place)
        wants[name] = Want(name, known.required or not fqn.optional, places)
        spellings[spelling] = name
    return Wanted(wants, spellings)


def _references(plan: Plan, templates: "Templates | None") -> "Iterator[tuple[str, str]]":
    for container in plan.containers:
        for variable in container.env:
            for spelling in variable.parts[1::2]:
                yield f"container {container.name}, env {variable.name}", spelling
        for file in container.files:
            yield f"container {container.name}, file {file.mount_path}", file.fqn
    if templates is not None:
        yield from templates.references()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from initcontainer.templates import Templates
