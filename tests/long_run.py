"""The property of rolls through trouble, for as long as you like: ``python -m tests.long_run --cases 5000 [--seed N]``.

The seed is printed first, so that a failure can be played again; a failing case is made small and printed, too.
"""

import argparse
import random

from hypothesis import HealthCheck, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests import trouble
from tests.test_properties import a_roll_through_trouble, groups


def main() -> None:
    """Play so many cases. Ends with a traceback at the first that breaks a promise."""
    parser = argparse.ArgumentParser(prog="python -m tests.long_run", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    asked = parser.parse_args()
    print(f"python -m tests.long_run --cases {asked.cases} --seed {asked.seed}", flush=True)  # noqa: T201
    pace = settings(
        max_examples=asked.cases,
        deadline=None,
        database=None,
        print_blob=True,
        verbosity=Verbosity.normal,
        suppress_health_check=list(HealthCheck),
    )
    drawn = given(st.data(), groups(), trouble.CASES, st.integers(0, 2**16))(a_roll_through_trouble)
    seed(asked.seed)(pace(drawn))()
    print(f"{asked.cases} cases: every promise held")  # noqa: T201


if __name__ == "__main__":
    main()
