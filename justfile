# Form and lints.
check:
    cargo fmt --all --check && cargo clippy --workspace --all-targets -- -D warnings

# Every test, the end-to-end ones included; the first run fetches Spark.
test:
    cargo test --release --workspace

# The end-to-end tests, or those whose names contain a word: `just e2e scala`.
e2e *words:
    cargo test --release --package firesteel --test e2e -- {{words}}

# A server on this machine, ended with Ctrl-C.
run *options:
    cargo run --release -- up {{options}}

# The program as it is given away.
dist:
    cargo build --release --locked
