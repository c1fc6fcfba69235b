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

# The fast suite on every core; what the others build or crash would get in each other's way.
[ $# -gt 0 ] || set -- -n auto --dist loadfile

exec "$env/bin/python" -m pytest -m 'not lab and not slow and not gpu' "$@" # the last -m counts
