#!/usr/bin/env bash
# Runs every test with the race detector on. As root on Debian it first
# installs what it lacks; elsewhere it says what to install.
#
#   ./test.sh              everything
#   ./test.sh ./receipt    some packages
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n== %s\n' "$*"; }

# Programs that the tests run for real, and the Debian packages that hold them.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need gcc gcc
need jq jq
need curl curl
need openssl openssl
need python3 python3 # the code in docs/receipts.md, and the Python SDK
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip) # which is installed as its users do
need mypy mypy # and whose types are checked
need ip iproute2
need unshare util-linux
need mount mount # a small disk to fill
need chromium chromium # the pages, in a browser
need node nodejs # and their modules outside of one, and the TypeScript SDK
need npm npm # the packages of that SDK; it comes with Node where Node is not Debian's
need qemu-s390x-static qemu-user-static # the golden tests on other CPUs
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)

if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "These are missing: ${missing[*]}" >&2
    echo "Install them, on Debian as root with: apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

# SQLite's own code, C translated to Go, has no race detector: it would take most of its time there.
export GOFLAGS="'-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0' ${GOFLAGS:-}"

say "go vet"
go vet ./...

if [ "$#" -gt 0 ]; then
  exec go test -race "$@"
fi

# A test that runs the built programs, or a database, must run: nothing is skipped for want of them.
export PROVA_REQUIRE_ALL=1
# The packages that compute start no goroutine and share nothing, and the last two play what internal/simulate
# tests: the race detector would find nothing there and take five times as long. Those that call them have it on.
pure=(./internal/stats ./internal/compare ./internal/rollout ./internal/evidence ./internal/cli/evalcmd
  ./internal/simulate/characteristics ./docs/images/generate)
say "Tests of the packages that compute"
go test -timeout 20m "${pure[@]}"

say "Tests, with the race detector on"
# The longest come first, so that no core waits at the end.
mapfile -t others < <(go list ./e2e ./internal/authority ./internal/dashboard . ./receipt ./... | grep -vxF "$(go list "${pure[@]}")")
go test -race -timeout 20m "${others[@]}"
go test -C tools ./mutate

# It runs staticcheck and gofumpt with the rest; both are in tools/go.mod for use on their own.
say "golangci-lint"
go tool -modfile=tools/go.mod golangci-lint run ./...

say "All of it passed"
