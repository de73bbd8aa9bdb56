CLIENTS += rust
rust.needs := Rust 1.88 or newer with rustfmt and clippy
rust.present := cargo fmt --version && cargo clippy --version && cargo --version | grep -E 'cargo 1\.(8[89]|9[0-9]|[1-9][0-9]{2})'
rust.generated := clients/rust/src/v1
rust.generators := .tools/rust/.ready

# Built without optimization: a release build takes minutes, and the generators run for a second.
.tools/rust/.ready: clients/rust/client.mk
	@echo "Installing the code generators for Rust into .tools; the first time takes a minute"
	@cargo install --quiet --locked --debug --root $(@D) protoc-gen-prost@0.5.0 protoc-gen-tonic@0.5.0
	@touch $@

rust.check := check-client-rust
.PHONY: check-client-rust
check-client-rust: ## Check the Rust client: format, lint, tests, the examples of the README
	@cd clients/rust && cargo fmt --check && cargo clippy --quiet --locked --all-targets -- -D warnings && cargo test --quiet --locked

# Without --no-verify, cargo would compile the crate here; make test-dist compiles it in a project of its own.
rust.dist := dist-rust
.PHONY: dist-rust
dist-rust:
	@echo "Building the Rust crate"
	@mkdir -p dist/rust
	@cd clients/rust && cargo package --quiet --locked --allow-dirty --no-verify
	@cp clients/rust/target/package/runsvc-client-$(RELEASE).crate dist/rust

.PHONY: .tools/drivers/rust
.tools/drivers/rust:
	@mkdir -p $(@D)
	@cd clients/rust && cargo build --quiet --locked --example conformance
	@cp clients/rust/target/debug/examples/conformance $@

rust.docs := docs-rust
.PHONY: docs-rust
docs-rust: ## Build the reference pages of the Rust client in build/docs/rust
	@cd clients/rust && RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps --lib
	@rm -rf build/docs/rust && mkdir -p build/docs && cp -R clients/rust/target/doc build/docs/rust
	@echo '<meta http-equiv="refresh" content="0; url=runsvc_client/index.html">' > build/docs/rust/index.html
