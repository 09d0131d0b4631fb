"""CSRs that Python stores by itself are written as native code would write them."""

from __future__ import annotations

import pytest

from shyper_tui.engine.hart.csr_numbers import CSR_NUMBERS, PLAIN
from tests.hart.bench import ALL, Bench


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("value", [ALL, 0, 0x8000_0000_1234_5677, 3])
def test_a_write_by_name_is_a_write_by_number(bench: Bench, name: str, value: int) -> None:
    hart = bench.hart
    states = []
    for write in (setattr, lambda csr, _, new: csr.__setitem__(CSR_NUMBERS[name], new)):
        hart.csr[CSR_NUMBERS[name]] = ~value & ALL
        write(hart.csr, name, value)
        states.append(list(hart.words))
    assert states[0] == states[1]
    assert getattr(hart.csr, name) == hart.csr[CSR_NUMBERS[name]]
