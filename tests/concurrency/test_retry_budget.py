"""How many retries all calls of a client may make together."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpost_async._concurrency.retry_budget import THROTTLE_PRICE, RetryBudget

shares = st.floats(0.01, 1) | st.sampled_from([0.1, 0.05, 0.2, 0.3])
acts = st.lists(st.sampled_from(["first", "repeat", "throttled"]), max_size=300)


def attempts_of(calls: int, fault: float, budget: RetryBudget, at_most: int = 4) -> int:
    """Play calls against a server that fails that often, and count what it saw."""
    chance = random.Random(1)
    attempts = 0
    for _ in range(calls):
        budget.deposit()
        attempts += 1
        for _ in range(at_most - 1):
            if chance.random() >= fault or not budget.withdraw():
                break
            attempts += 1
    return attempts


@given(shares, st.floats(0, 100), acts)
def test_retries_never_exceed_the_initial_budget_and_the_share(
    share: float, at_start: float, play: list[str]
) -> None:
    budget = RetryBudget(share, 100.0, at_start)
    firsts = spent = 0.0
    for act in play:
        if act == "first":
            budget.deposit()
            firsts += 1
        else:
            price = 1.0 if act == "repeat" else THROTTLE_PRICE
            spent += price * budget.withdraw(price)
        assert spent <= at_start + share * firsts + 1e-9
        assert 0 <= budget.left <= 100 + 1e-9


def test_ten_first_attempts_pay_for_one_retry() -> None:
    budget = RetryBudget(at_start=0)
    for _ in range(9):
        budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    assert budget.withdraw()
    assert not budget.withdraw()


def test_retry_budget_starts_at_ten_and_grows_to_a_hundred() -> None:
    budget = RetryBudget()
    assert [budget.withdraw() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(5000):
        budget.deposit()
    assert [budget.withdraw() for _ in range(101)] == [True] * 100 + [False]


def test_each_call_can_afford_one_throttled_repeat() -> None:
    budget = RetryBudget(at_start=0)
    for _ in range(1000):
        budget.deposit()
    assert all(budget.withdraw(THROTTLE_PRICE) for _ in range(1000))
    assert not budget.withdraw(THROTTLE_PRICE)


def test_faults_of_one_in_twenty_are_all_repeated() -> None:
    assert attempts_of(10_000, 0.05, RetryBudget()) / 10_000 <= 1.06
    unbounded = RetryBudget(1.0, 1e9, 1e9)
    assert attempts_of(10_000, 0.05, RetryBudget()) == attempts_of(10_000, 0.05, unbounded)


def test_server_that_is_down_gets_a_tenth_more_calls() -> None:
    assert attempts_of(10_000, 1.0, RetryBudget()) == 10_000 + 1_000 + 10
    assert attempts_of(10_000, 1.0, RetryBudget(1.0, 1e9, 1e9)) == 40_000


@pytest.mark.parametrize(
    ("share", "capacity", "at_start", "named"),
    [(0, 1, 1, "share"), (1.1, 1, 1, "share"), (0.1, 1, 2, "capacity"), (0.1, 1, -1, "at_start")],
)
def test_invalid_retry_budget_is_refused(
    share: float, capacity: float, at_start: float, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        RetryBudget(share, capacity, at_start)
