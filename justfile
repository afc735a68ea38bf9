# `just` lists these; each is one line that also works by hand.

_:
    @just --list

# Everything that CI checks
check:
    bash .ci/run

# Before a commit: a minute or two
quick:
    bash .ci/run words fmt lint test

# The main job on simulated keys
demo:
    cargo run --release --locked -- demo

# Tests that need no hardware
test:
    cargo test --locked

# Arbitrary bytes against every reader, so many seconds each
fuzz seconds="60":
    KEYBENCH_FUZZ_SECONDS={{seconds}} bash .ci/fuzz

# Figures: operator's time, keys per hour, ledger
bench:
    cargo bench --locked

# Pages written from the source: docs/ERRORS.md
bless:
    KEYBENCH_BLESS=1 cargo test --locked --lib

# The documentation of the source
doc:
    cargo doc --locked --no-deps --document-private-items --open
