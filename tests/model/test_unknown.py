from __future__ import annotations

import pytest

from gpu_doctor.model.unknown import CannotKnow, DoesNotApply, Unknown, known


@pytest.mark.parametrize("value", ["text", "", 0, None, (), False])
def test_a_known_value_is_returned_as_it_is(value: object) -> None:
    assert known(value) is value


def test_an_unknown_value_gives_the_check_up_with_its_reason() -> None:
    with pytest.raises(CannotKnow, match=r"^NVML does not answer$") as caught:
        known(Unknown("NVML does not answer"))
    assert not isinstance(caught.value, DoesNotApply)


def test_unknowns_are_equal_by_their_reason() -> None:
    assert Unknown("a") == Unknown("a") != Unknown("b")


def test_not_applying_is_one_way_of_not_judging() -> None:
    assert issubclass(DoesNotApply, CannotKnow)
