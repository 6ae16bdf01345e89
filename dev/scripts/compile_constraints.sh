#!/usr/bin/env bash
# Write dev/constraints/airflow-X.Y.txt: for an Airflow version, the versions of its own time of
# everything that it and this project need. Needs `uv` on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."

# compile AIRFLOW_VERSION DAY [OPTION...]: take nothing newer than DAY, but for the import that serves
# all Airflow versions, and for the validator of requests: an older one takes "3" for a number.
compile() {
  local airflow=$1 day=$2
  shift 2
  echo "apache-airflow==$airflow" |
    uv pip compile pyproject.toml - --group dev --group cluster --group lineage "$@" --universal --fork-strategy fewest \
      --python-version 3.10 --exclude-newer "$day" \
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
compile 3.3.2 2026-11-10 --group bench  # the benchmarks run on the newest only
