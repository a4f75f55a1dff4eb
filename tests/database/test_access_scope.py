"""What a party is shown of a case depends on its part in that case, and not on its part in any other."""

from mediation_api.dev.office import Caller, Office, Story

NUMBER = "4711"


async def shown(story: Story, who: Caller) -> tuple[object, ...]:
    """How much a party is shown of a case, of its sessions and of its texts."""
    case = await who.get(story.path)
    sessions = await who.get(f"/v1/sessions?case_id={story.case_id}")
    agreements = await who.get(f"{story.path}/agreements")
    return (
        case["state"],
        case["others"],
        case["mediator_name"],
        case["next_session"],
        sessions["items"],
        agreements["items"],
    )


NOTHING: tuple[object, ...] = ("not_mediated", [], None, None, [], [])


async def test_an_officer_who_left_a_case_sees_nothing_of_it_though_another_case_goes_on(office: Office) -> None:
    goes_on = await office.file(officers=[{"employee_number": NUMBER}])
    await goes_on.to_scheduled()
    left = await office.file(officers=[{"employee_number": NUMBER}, {}])
    await left.to_asking()
    await left.answer(left.officers[0], "declined")
    await left.answer(left.officers[1])
    await left.assign()
    await left.schedule()
    await left.make_agreement()

    assert await shown(left, left.officers[0]) == NOTHING
    assert (await shown(goes_on, goes_on.officers[0]))[0] == "scheduled"
    assert (await shown(left, left.officers[1]))[0] == "scheduled"


async def test_who_agreed_in_the_first_attempt_and_left_the_second_sees_nothing_of_it(office: Office) -> None:
    story = await office.file(complainants=[{}, {}])
    await story.to_ready()
    await story.withdraw(story.officers[0])
    await story.request_again()
    await story.to_scheduled()
    await story.make_agreement()
    await story.withdraw(story.complainants[0])

    assert await shown(story, story.complainants[0]) == NOTHING
    assert (await shown(story, story.complainants[1]))[0] == "scheduled"
