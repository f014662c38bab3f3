#!/usr/bin/env bash
# Processor time of a bootstrap of a mean, 10,000 resamples of 100,000 values,
# percentile interval: this project, SciPy and R, one after another in one run.
# On Debian as root it installs what it lacks. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

python=/usr/bin/python3 # Debian's, whatever else is in PATH
missing=()
"$python" -c 'import scipy, numpy' 2>/dev/null || missing+=(python3-scipy python3-numpy)
Rscript -e 'library(boot)' >/dev/null 2>&1 || missing+=(r-base-core r-cran-boot)
if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "These are missing: ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -c '
import numpy
numpy.savetxt("'"$work"'/values", numpy.random.default_rng(7).lognormal(6.4, 0.6, 100_000).round(), fmt="%d")'

# One thread each, so that processor time is the time that one core needs.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 GOMAXPROCS=1
echo "$(uname -srm), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(getconf _NPROCESSORS_ONLN) cores, load $(cut -d' ' -f1-3 /proc/loadavg) before"
echo "$(go env GOVERSION) · $("$python" -c 'import platform, scipy, numpy; print("Python", platform.python_version(), "SciPy", scipy.__version__, "NumPy", numpy.__version__)') · $(Rscript -e 'cat("R", as.character(getRversion()), "boot", as.character(packageVersion("boot")))')"
{
  PROVA_BENCH_VALUES="$work/values" go test ./internal/stats -count 1 -run TestBootstrapTiming -v | grep '^prova'
  "$python" bench/bootstrap.py "$work/values"
  Rscript bench/bootstrap.R "$work/values"
} >"$work/rows"
awk -F'\t' '
  { row[NR] = $0 }
  /groups of units/ { base = $4 }
  END {
    printf "%-46s %9s %9s %10s %12s   %s\n", "", "values", "drawn", "CPU s", "to groups", "95 % interval"
    for (i = 1; i <= NR; i++) {
      split(row[i], f, "\t")
      printf "%-46s %9s %9s %10.4f %12s   %s … %s\n", f[1], f[2], f[3], f[4], f[3] == "" ? "" : sprintf("%.1f", f[4] / base), f[5], f[6]
    }
  }' "$work/rows"
echo "load $(cut -d' ' -f1-3 /proc/loadavg) after"
