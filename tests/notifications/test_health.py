"""Health: what is a warning and what is critical, the line of a monitoring plugin, and the metrics."""

import re
from dataclasses import replace

import pytest
from tests.notifications.status_views import RULES, SELLING, D, view_of
from tests.strategy.strategy_harness import in_base

from trailingedge.notifications.health import HealthFacts, HealthLevel, assess, plugin_line, prometheus_text
from trailingedge.notifications.status import QuoteObstacle, StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip

RUN = in_base()
RUN.tick("2500")
VIEW = view_of(RUN, "2500")
WELL = HealthFacts("sim", "ETHFDUSD", VIEW, 10.0, disk_free=10**9, latency_s=0.0123, ticks=7, result_frac=-0.01)
OK, WARNING, CRITICAL = HealthLevel
LOSS = BreakerTrip(Breaker.DAILY_LOSS, D("0.03"), D("0.02"))
DOUBT = replace(SELLING, obstacle=QuoteObstacle.IN_DOUBT)


def of(**changed: object) -> HealthFacts:
    return replace(WELL, view=replace(VIEW, **changed))  # type: ignore[arg-type]  # fields of the view


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        pytest.param(of(halted=True, halt_reason="a rule"), CRITICAL, "halted: a rule", id="halted"),
        pytest.param(of(account_proven=False), CRITICAL, "no account connection", id="no account"),
        pytest.param(of(data_age_s=12.4), CRITICAL, "no market data for 12 s", id="stale"),
        pytest.param(of(data_age_s=float("inf")), CRITICAL, "no market data yet", id="never any data"),
        pytest.param(of(paused=True), WARNING, "paused", id="paused"),
        pytest.param(of(trips=(LOSS,)), WARNING, "breaker: daily loss", id="loss"),
        pytest.param(of(active_exit=DOUBT), WARNING, "the state of an order is unknown", id="doubt"),
        pytest.param(of(reject_text="-2010 no."), WARNING, "rejected the last order (-2010 no)", id="rejected"),
        pytest.param(replace(WELL, disk_free=10**8), WARNING, "100 MB of disk free", id="little disk"),
        pytest.param(replace(WELL, disk_free=10**7), CRITICAL, "10 MB of disk free", id="no disk"),
        pytest.param(replace(WELL, clock_offset_s=-1.5), WARNING, "this machine's clock is -1.5 s", id="clock"),
        pytest.param(replace(WELL, view=None, starting="candles"), WARNING, "not trading yet: candles", id="starting"),
    ],
)
def test_each_problem_has_its_level(facts: HealthFacts, level: HealthLevel, said: str) -> None:
    health = assess(facts)
    assert health.level is level
    assert said in health.problems[0]
    assert plugin_line(facts, health).startswith(f"TRAILING-EDGE {level.name} - sim ETHFDUSD: ")


def test_all_is_well_or_the_worst_comes_first() -> None:
    assert assess(WELL).problems == ()
    assert assess(replace(WELL, disk_free=None)).level is OK
    both = assess(replace(of(halted=True, halt_reason="a"), disk_free=10**8))
    assert [text[:6] for text in both.problems] == ["halted", "100 MB"]


def test_the_line_has_one_bar_before_the_performance_data() -> None:
    line = plugin_line(WELL, assess(WELL))
    assert line == (
        "TRAILING-EDGE OK - sim ETHFDUSD: holding ETH, watching | value=2500 result=-0.01 latency=0.0123 ticks=7"
    )
    broken = of(halted=True, halt_reason="a | b")
    assert plugin_line(broken, assess(broken)).count("|") == 1


def test_each_metric_has_help_type_and_a_number() -> None:
    text = prometheus_text(WELL, assess(WELL), 1000.4)
    values = dict(re.findall(r'^trailing_edge_(\w+)\{mode="sim",symbol="ETHFDUSD".*\} (\S+)$', text, re.MULTILINE))
    assert values["updated_seconds"] == "1000"
    assert (values["value"], values["price"], values["ticks_total"]) == ("2500", "2500", "7")
    assert (values["latency_seconds"], values["result_ratio"], values["health"]) == ("0.0123", "-0.01", "0")
    assert 'state="watching"} 1\n' in text
    names = re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.MULTILINE)
    assert sorted(names) == sorted(set(names)) == sorted(re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE))
    assert text.endswith("\n")


def test_what_is_not_known_is_left_out() -> None:
    facts = replace(WELL, view=StatusView("sim", RULES, "unfunded", data_age_s=float("inf")), disk_free=None)
    text = prometheus_text(facts, assess(facts), 0.0)
    assert all(word not in text for word in ("inf", "nan", "disk_free", "trailing_edge_value", "trailing_edge_price"))
