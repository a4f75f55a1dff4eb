"""One complaint, from the first form to its close."""

from mediation_api.dev.office import Office


async def test_a_complaint_is_taken_to_mediated(office: Office) -> None:
    story = await office.file()
    await story.to_mediated(agreement_reached=False)
    case = await story.case()
    assert case["state"] == "mediated"
    assert case["agreement_reached"] is False


async def test_another_is_withdrawn_during_its_session(office: Office) -> None:
    story = await (await office.file()).to_in_session()
    await story.withdraw(story.complainants[0])
    assert await story.state() == "withdrawn"
