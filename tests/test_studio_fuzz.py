"""The API by its own schema: whatever is asked, it answers in the way that it says, and never fails."""

import os

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from identitystory.runs.characters import library
from tests.characters import person
from tests.studio_desk import studio, workshop

EXAMPLES = int(os.environ.get("STUDIO_EXAMPLES", "4"))  # an operation


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """The schema of a studio that has a painted story and somebody in the library, who stand for all."""
    with pytest.MonkeyPatch.context() as here:
        here.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))  # nobody's own library
        library.add(person())
        yield made_up(tmp_path_factory)


def made_up(tmp_path_factory):
    made = studio(tmp_path_factory.mktemp("studio"), workshop())
    story = made.painted(made.new())
    schema = schemathesis.openapi.from_asgi(
        "/api/openapi.json", made.client.app, headers={"host": "localhost"}
    )
    return schema, made, story


@pytest.mark.journey
def test_the_api_answers_as_its_schema_says_and_never_with_a_mistake_of_its_own(api):
    schema, made, story = api
    known = {
        "id": story["id"],
        "key": story["frames"][0]["picture"],
        "job": 1,
        "index": 0,
        "name": "Mara",
    }
    asked = 0

    def ask(operation):
        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(), own=hypothesis.strategies.booleans())
        def one(case, own):
            nonlocal asked
            if own:  # of ids that are drawn none is anybody's
                for name, value in known.items():
                    if name in (case.path_parameters or {}):
                        case.path_parameters[name] = value
                if isinstance(case.body, dict) and "revision" in case.body:
                    case.body["revision"] = made.get(f"/api/stories/{story['id']}")["revision"]
            asked += 1
            answer = case.call(headers={"host": "localhost"})
            assert answer.status_code < 500 or answer.status_code == 501, answer.text
            checks = [response_schema_conformance, content_type_conformance]
            case.validate_response(answer, checks=checks)
            if made.client.get(f"/api/stories/{story['id']}").status_code == 404:
                made.post(f"/api/stories/{story['id']}/restore", {})

        return one

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path != "/api/events":  # it never ends
            ask(operation)()
    assert asked > 50
