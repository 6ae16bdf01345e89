#!/usr/bin/env bash
# Write dev/constraints/airflow-X.Y.txt: for an Airflow version, the versions of its own time of
# everything that it and this project need; and docs.txt: what builds the site. Needs `uv` on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."

# compile AIRFLOW_VERSION DAY [PYTHON [PACKAGE==VERSION...]]: take nothing newer than DAY, but for
# the one import that serves all Airflow versions, and for the validator of requests: an older one
# takes "3" for a number. PYTHON is the oldest that will do, 3.10 by default. Pre-releases are taken
# only of what is named here: of a pre-release of Airflow, its parts. ONE_MORE is another group.
compile() {
  local airflow=$1 day=$2 python=${3:-3.10}
  printf '%s\n' "apache-airflow==$airflow" "${@:4}" |
    uv pip compile pyproject.toml - --group dev --group cluster --group lineage \
      ${ONE_MORE:+--group "$ONE_MORE"} --universal --fork-strategy fewest \
      --python-version "$python" --exclude-newer "$day" --prerelease if-necessary-or-explicit \
      --exclude-newer-package apache-airflow-providers-common-compat=2026-11-20 \
      --exclude-newer-package openapi-core=2026-11-20 \
      --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
      --no-emit-package airflow-provider-datafold \
      --output-file "dev/constraints/airflow-${airflow%.*}.txt" >/dev/null
}

compile 2.11.2 2026-03-25
compile 3.0.6 2025-09-10
compile 3.1.8 2026-03-20
compile 3.2.2 2026-06-05
ONE_MORE=measure compile 3.3.2 2026-11-10  # Benchmarks and mutmut run on the newest only.
compile 3.4.0b2 2026-11-26 3.11 apache-airflow-core==3.4.0b2 apache-airflow-task-sdk==1.4.0b2

echo "apache-airflow==3.3.2" |
  uv pip compile pyproject.toml - --group docs --universal --fork-strategy fewest \
    --python-version 3.10 --exclude-newer 2026-11-10 \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet \
    --no-emit-package airflow-provider-datafold \
    --output-file dev/constraints/docs.txt >/dev/null
