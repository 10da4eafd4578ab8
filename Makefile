# The habits. Each is a step of .ci/run or a command of its own; `make ci` is all that must hold.

.PHONY: build test race fuzz lint clients bench kill ci

build:
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

test:
	go test ./...

race:
	.ci/run race

fuzz:
	FUZZTIME=1m .ci/run fuzz

lint:
	.ci/run format vet staticcheck layers

clients:
	.ci/run clients

bench:
	tools/bench/compare

ci:
	.ci/run
