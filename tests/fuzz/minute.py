"""Compares the twins on new random examples for so many seconds: ``make fuzz-minute``.

The suite has the same examples on every run; these are others each time. What fails is shrunk and
shown with a line, ``@reproduce_failure(...)``, that makes it come again above the test in ``test_twins``.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, settings

EXAMPLES = 500  # between two looks at the clock


def main(seconds: float) -> None:
    settings.register_profile(
        "minute",
        database=None,
        deadline=None,
        max_examples=EXAMPLES,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("minute")
    # The tests take the settings that are loaded when they are made.
    from tests.fuzz.test_twins import test_requests, test_responses
    from tests.fuzz.twins import SUBJECTS

    print("Compared with the reference:", ", ".join(twin.name for twin in SUBJECTS), flush=True)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        test_requests()
        test_responses()
        rounds += 1
    print(f"{rounds * EXAMPLES} arrivals of requests and as many responses: no difference")


if __name__ == "__main__":
    main(float(sys.argv[1]))
