"""A 503 that names no time: a limit, an outage, or an accident? Asking for less tells."""

from cxai.governor.overload import Finding, Overload

NOW = 1_000.0
CALM = 100


def calm():
    """Return the judge after many answers."""
    overload = Overload()
    answer(overload, CALM)
    return overload


def answer(overload, times=1):
    for _ in range(times):
        overload.answered()


def cut(overload, at):
    assert overload.overloaded(at, at) is Finding.CUT
    overload.cut(at)


def accident(overload, at):
    """Let a cut prove to have been for nothing at `at` + 1.5."""
    cut(overload, at)
    answer(overload, CALM)
    assert overload.overloaded(at + 1.5, at + 1.5) is Finding.MISTAKEN
    answer(overload, CALM)


def test_the_first_one_is_heard():
    cut(calm(), NOW)


def test_what_left_before_the_cut_or_just_after_it_tells_nothing_new():
    overload = calm()
    cut(overload, NOW)
    answer(overload)
    assert overload.overloaded(NOW - 0.1, NOW + 0.1) is Finding.NOTHING
    assert overload.overloaded(NOW + 0.9, NOW + 1.1) is Finding.NOTHING


def test_none_below_the_pace_that_was_refused_proves_the_cut_right():
    overload = calm()
    cut(overload, NOW)
    assert overload.is_testing(NOW + 1.9)
    answer(overload, CALM)
    assert not overload.is_testing(NOW + 2.0)
    cut(overload, NOW + 60.0)


def test_one_below_the_pace_that_was_refused_was_an_accident_and_so_was_the_first():
    accident(calm(), NOW)


def test_accidents_are_passed_over_for_a_minute_then_two_and_so_on():
    overload = calm()
    accident(overload, NOW)
    assert overload.overloaded(NOW + 61.4, NOW + 61.4) is Finding.NOTHING
    answer(overload, CALM)
    accident(overload, NOW + 62.0)
    assert overload.overloaded(NOW + 183.0, NOW + 183.0) is Finding.NOTHING
    answer(overload, CALM)
    cut(overload, NOW + 184.0)


def test_many_are_heard_in_any_case():
    overload = calm()
    accident(overload, NOW)
    found = []
    for number in range(10):
        answer(overload)
        found.append(overload.overloaded(NOW + 2.0 + number, NOW + 2.0 + number))
    assert (found[0], found[-1]) == (Finding.NOTHING, Finding.CUT)


def test_two_cuts_without_an_answer_are_enough():
    overload = Overload()
    for number in range(5):
        overload.overloaded(NOW, NOW + number)
    overload.cut(NOW)
    overload.cut(NOW + 5.0)
    assert overload.overloaded(NOW + 10.0, NOW + 10.0) is Finding.NOTHING
    answer(overload)
    assert overload.overloaded(NOW + 20.0, NOW + 20.0) is Finding.CUT


def test_an_outage_is_forgotten():
    overload = Overload()
    for number in range(20):
        overload.overloaded(NOW, NOW + number)
    overload.cut(NOW)
    overload.forget()
    assert not overload.is_testing(NOW)
    cut(overload, NOW + 1.0)
