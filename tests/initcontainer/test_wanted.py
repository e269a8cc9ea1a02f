"""What a plan asks for."""

from initcontainer.wanted import wanted_by
from tests.initcontainer.plans import HOST, PASSWORD, PATH, container, file, plan, variable


def test_each_name_is_asked_once_in_its_canonical_spelling() -> None:
    wanted = wanted_by(
        plan(
            container(variable("A", PASSWORD), variable("B", "x", PASSWORD, "", HOST, "y"), file("f", PATH)),
            container(variable("A", PASSWORD + "?optional=true"), name="side"),
        )
    )
    assert list(wanted.wants) == [PASSWORD, HOST, PATH]
    assert wanted.spellings[PASSWORD + "?optional=true"] == PASSWORD
    assert wanted.wants[PASSWORD].places == ("container app, env A", "container app, env B", "container side, env A")


def test_versions_and_fields_are_names_of_their_own() -> None:
    wanted = wanted_by(plan(container(variable("A", PASSWORD + "?version=2&optional=true#user"), variable("B", PASSWORD))))
    assert list(wanted.wants) == [PASSWORD + "?version=2#user", PASSWORD]


def test_a_name_is_required_if_anybody_requires_it() -> None:
    optional, required = variable("A", HOST + "?optional=true"), variable("B", HOST)
    assert wanted_by(plan(container(optional, required))).wants[HOST].required
    assert wanted_by(plan(container(required, optional))).wants[HOST].required
    assert not wanted_by(plan(container(optional))).wants[HOST].required


def test_many_places_are_counted() -> None:
    want = wanted_by(plan(container(*(variable(f"V{i}", HOST) for i in range(5))))).wants[HOST]
    assert want.place == "container app, env V0; container app, env V1; container app, env V2 and 2 more"
