"""Command handler: what each operator command does, and the one result that its reply future receives."""

from dataclasses import replace

from tests.daemon_harness import D, NodeHarness, run_scenario

from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip

QUESTIONS = (
    OperatorCommand.STATUS,
    OperatorCommand.WHY,
    OperatorCommand.BALANCE,
    OperatorCommand.TODAY,
    OperatorCommand.DAILY,
    OperatorCommand.TRADES,
    OperatorCommand.PROFIT,
    OperatorCommand.PREVIEW,
)


def ask(it: NodeHarness, instruction: OperatorCommand, times: int = 1) -> list[CommandResult]:
    """The results come in later, into this list; those that are there at once are in it already."""
    results: list[CommandResult] = []
    for _ in range(times):
        reply = it.node.submit(instruction)
        if reply.done():
            results.append(reply.result())
        else:
            reply.add_done_callback(lambda done: results.append(done.result()))
    return results


def test_the_number_of_trades_is_the_argument_and_a_wrong_one_is_refused() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        for argument, done, said in (
            ("1", True, "none since this run began"),
            ("x", False, "trades: 'x' is not a number"),
        ):
            reply = it.node.submit(OperatorCommand.TRADES, argument)
            await it.wait(1)
            assert (reply.result().done, said in reply.result().text) == (done, True)

    run_scenario(story)


def test_a_flip_is_answered_with_what_became_of_it() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        first = ask(it, OperatorCommand.FLIP)
        second = ask(it, OperatorCommand.FLIP)
        await it.wait(1)
        assert [(answer.done, answer.text[:20]) for answer in first] == [(True, "manual flip: selling")]
        assert isinstance(first[0].data["exit"], int)
        assert [(answer.done, answer.text) for answer in second] == [(False, "flip refused: already under way")]

    run_scenario(story)


def test_a_cancel_command_is_answered_and_a_second_one_refused() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        ask(it, OperatorCommand.FLIP)
        await it.wait(1)
        first, second = ask(it, OperatorCommand.CANCEL), ask(it, OperatorCommand.CANCEL)
        await it.wait(1)
        assert [answer.done for answer in (*first, *second)] == [True, False]

    run_scenario(story)


def test_questions_bring_figures_and_change_nothing() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        for question in QUESTIONS:
            (answer,) = await told(it, question)
            assert answer.done
            assert answer.text
            assert answer.data
        assert it.own_orders == []

    run_scenario(story)


def test_in_the_start_there_is_nothing_to_tell_yet() -> None:
    async def story(it: NodeHarness) -> None:
        for question in (OperatorCommand.STATUS, OperatorCommand.WHY, OperatorCommand.BALANCE, OperatorCommand.TODAY):
            (answer,) = ask(it, question)
            assert (answer.done, answer.text) == (False, "starting, not trading yet: connect and log on, attempt 1")

    run_scenario(story)


def test_a_flood_of_questions_is_answered_a_few_at_a_time_and_the_rest_turned_away() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        answers = ask(it, OperatorCommand.STATUS, times=1000)
        assert [answer.text for answer in answers] == ["too many commands are waiting; try again"] * 900
        await it.wait(1)
        assert len(answers) == 1000

    run_scenario(story)


async def told(it: NodeHarness, question: OperatorCommand) -> list[CommandResult]:
    answers = ask(it, question)
    await it.wait(0.1)
    return answers


def test_a_resume_that_a_breaker_outlasts_says_only_that() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        assert it.node.services is not None
        breakers = it.node.services.core.risk.breakers
        trip = BreakerTrip(Breaker.DAILY_LOSS, D("0.02"), D("0.01"))
        breakers.state = replace(breakers.state, trips=(trip,))
        (answer,) = await told(it, OperatorCommand.RESUME)
        assert (answer.done, answer.text[:12]) == (False, "still paused")
        assert not it.alerts_starting_with("resumed")

    run_scenario(story)
