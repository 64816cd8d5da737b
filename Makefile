# Thin on purpose: every target is a script of the same name, which can be read and run alone.
# Arguments go through ARGS: make run ARGS="--port 9000"

.PHONY: run test test-interop test-claude test-package test-fresh lint audit bench profile soak package

run: # install what is missing, build, and serve in the foreground
	@scripts/run $(ARGS)

test: # every check there is; what CI runs
	@scripts/test

test-interop: # beside the real claude-mpm, installed from its package registry
	@scripts/test-interop $(ARGS)

test-claude: # the real Claude Code, offline, against a scripted API; ARGS=2.1.197 for another version
	@scripts/test-claude $(ARGS)

test-package: # builds the .deb, installs it into an empty folder, and runs the desktop tests with it
	@scripts/test-package $(ARGS)

test-fresh: # `make run` and the set-up of `make test` in bare Debian 12 and 13; ARGS=--page as CI has it, without Rust
	@scripts/test-fresh $(ARGS)

lint: # formatting and static checks only
	@scripts/lint

audit: # known vulnerabilities of all dependencies; needs the open internet
	@scripts/audit

bench: # what the monitor carries and costs, beside its limits; BENCH_QUICK=1 for a minute
	@scripts/bench $(ARGS)

profile: # where the server's processor time goes under the bench's load; ARGS="--bulk" for bodies of many events
	@scripts/profile $(ARGS)

soak: # what `make test` does for a moment, for long: kills (500, or ARGS), a failing disk, viewers, damaged input, restarts
	@scripts/soak $(ARGS)

package: # packages of the desktop app with all programs, into target/release/bundle
	@scripts/package $(ARGS)
