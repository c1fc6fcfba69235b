#!/usr/bin/env bash
# Set up a test environment in .cache/ and run the tests in it.
#
#   scripts/test.sh            the fast suite: three minutes, no network, no GPU
#   scripts/test.sh -m slow    crashes at each of hundreds of moments: a minute
#   scripts/test.sh -m lab     real environments from the package index: minutes, gigabytes
#
# Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

env=.cache/test-env
ready=$env/ready
if [ ! -e "$ready" ] || [ pyproject.toml -nt "$ready" ]; then
    python3 -m venv --clear "$env"
    "$env/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' # the first pip that knows --group
    "$env/bin/python" -m pip install --quiet --editable . --group dev
    touch "$ready"
fi

fast='not lab and not slow and not gpu'
if [ $# -eq 0 ]; then
    # On every core, but for the probes' own tests: they measure how children hang, flood and fill the memory.
    "$env/bin/python" -m pytest -m "$fast" -n auto --dist loadfile --ignore tests/probe
    set -- tests/probe
fi

exec "$env/bin/python" -m pytest -m "$fast" "$@" # the last -m counts
