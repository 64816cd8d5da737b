# Sourced by every script: starts in the repository's root, finds cargo and what set-up installed, and gives the words
# they share.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ":$PATH:" in *":$HOME/.cargo/bin:"*) ;; *) export PATH="$HOME/.cargo/bin:$PATH" ;; esac
case ":$PATH:" in *":$PWD/.tools/bin:"*) ;; *) export PATH="$PWD/.tools/bin:$PATH" ;; esac

say() { printf '%s\n' "$*"; }

# fail MESSAGE [LINE...]: the reason and the way out, then the end.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# at_least HAVE WANT: whether version HAVE is WANT or newer.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

steps_done=()

# step NAME COMMAND...: runs one check under a heading; the first that fails ends the script by name.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '\n==> %s\n' "$name"
  if ! "$@" </dev/null; then
    printf '\nFAILED: %s, after %s\n' "$name" "$(duration $((SECONDS - start)))" >&2
    exit 1
  fi
  steps_done+=("$(printf '%8s  %s' "$(duration $((SECONDS - start)))" "$name")")
}

# bounded LIMIT COMMAND...: ends what hangs, with all that it started, and says so.
bounded() {
  local limit=$1 code=0
  shift
  if ! has timeout; then # not on macOS
    "$@"
    return
  fi
  timeout --kill-after=10s "$limit" "$@" || code=$?
  [ "$code" -ne 124 ] || printf '\nIt was not done within %s and was ended: something hangs.\n' "$limit" >&2
  return "$code"
}

duration() {
  if [ "$1" -lt 60 ]; then printf '%d s' "$1"; else printf '%d:%02d min' $(($1 / 60)) $(($1 % 60)); fi
}

# What each step took, and one last line that says it all.
summary() {
  printf '\n==> Time of each step\n'
  printf '%s\n' "${steps_done[@]}"
  printf '\nAll checks passed in %s.\n' "$(duration "$SECONDS")"
}

lint_steps() {
  step "dashboard: types, lint, format, unit tests" npm --prefix ui run --silent check
  step "rust: format" cargo fmt --all --check
  step "rust: licences, bans and sources of dependencies" cargo deny --workspace --locked check licenses bans sources
  step "rust: clippy" cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
}
