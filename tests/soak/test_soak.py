"""Three guests beside the managing VM under load: nothing is lost, nothing is wrong, and cores are shared fairly.

Here for one short round; `make soak` runs ten minutes of virtual time.
"""

from __future__ import annotations

import pytest

from shyper_tui import images
from tests.soak.station import soak


@pytest.mark.skipif(images.linux_images() is None, reason="no Linux images: run `shyper-tui images fetch`")
def test_linux_and_embedded_guests_share_cores_under_load_without_losing_anything() -> None:
    told: list[str] = []
    soak(1, 2.0, told.append)
    assert "of virtual time under load" in told[-1]
