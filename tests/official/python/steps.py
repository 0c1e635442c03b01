"""Steps in the order in which they are written, one line each on the screen, and what they check with."""

import sys
import time
import traceback

from facebook_business.exceptions import FacebookRequestError

_steps = []


def step(function):
    """Marks a step; its name is what the screen says of it."""
    _steps.append(function)
    return function


def walk():
    """Runs all steps and ends the program: with 1 where one failed."""
    failed = 0
    for function in _steps:
        began = time.monotonic()
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok      {name}  ({time.monotonic() - began:.2f} s)", flush=True)
    print(f"{len(_steps) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


def equal(found, expected):
    """Fails with both values."""
    assert found == expected, f"{found!r} instead of {expected!r}"


def refused(code, call, *arguments, subcode=None, **options):
    """The error of a call that must fail with this code, and this subcode where one is given."""
    try:
        answer = call(*arguments, **options)
    except FacebookRequestError as error:
        found = (error.api_error_code(), error.api_error_subcode())
        expected = (code, subcode if subcode is not None else found[1])
        assert found == expected, f"{found} instead of {expected}: {error.body()}"
        assert error.body()["error"]["fbtrace_id"], error.body()
        return error
    raise AssertionError(f"not refused: {answer}")
