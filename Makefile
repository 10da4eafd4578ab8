# What developers run. `make ci` is the gate: everything that must hold before a change lands.

.PHONY: build dist test race fuzz crashes lint clients bench kill long torture emulated soak rules ci

build:
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

# Stripped release binaries: make dist GOARCH=arm GOARM=6. The tag urfave_cli_no_docs leaves out the
# generator of manual pages, and with it two Markdown libraries.
GOOS ?= linux
GOARCH ?= $(shell go env GOARCH)
GOARM ?= 6
dist:
	CGO_ENABLED=0 GOOS=$(GOOS) GOARCH=$(GOARCH) GOARM=$(GOARM) go build -trimpath \
		-tags urfave_cli_no_docs -ldflags '-s -w' -o bin/$(GOOS)-$(GOARCH)/ ./cmd/...

test:
	go test ./...

race:
	.ci/run race

fuzz:
	FUZZTIME=1m .ci/run fuzz

# Random workloads that end in a kill or a power cut, with new seeds, for CRASHTIME each: those of
# one log, of which two processors run some 130 a second, and those of queues whose items move, wait
# and expire, some 50 a second with three crashes each.
crashes:
	CRASHTIME=15m .ci/run crashes

lint:
	.ci/run format vet staticcheck layers

clients:
	.ci/run clients

# Makes the tables and plots of docs/benchmarks.md: Darner, memcached, Redis and beanstalkd.
bench:
	tools/bench/compare

# Kills the server a hundred times under load.
kill:
	go test -count=1 -timeout 1h -run TestKilledServer ./cmd/darner -kill-rounds 100

# Tests that take too long for every day: an item of 1 GB, 10,000 waiting and 10,000 idle
# connections, 10 million items, an idle minute.
long: kill
	go test -count=1 -timeout 1h -run 'Gigabyte|Waiters|Memory|Silent|Idle' ./cmd/darner \
		-large -waiters 10000 -silent 10000 -backlog 10000000 -idle 1m

ci:
	.ci/run

# The long form of the tests with power cuts, full disks, failing disks and rot. As root they also
# use real file systems: ext4, xfs (xfsprogs) and btrfs (btrfs-progs). The first command takes half
# an hour of processor time. The second one takes eight minutes, and 45 on a busy machine, because
# it waits for disks.
torture:
	go test -count=1 -timeout 6h -run 'PowerCut|Kill|Rot' ./wal -crashes=10000 -rot-all
	go test -count=1 -timeout 6h ./tools/torture -cuts=100 -long=50

# The whole test suites of segment, wal and server/queue on three emulated processors. .ci/run has
# the short form. It takes half an hour of processor time.
emulated:
	.ci/emulated -full

# Random load, kills and restarts, for SOAK and a minute more.
SOAK ?= 4h
soak:
	go test -count=1 -timeout 0 -v -run Soak ./tools/torture -soak=$(SOAK)

# Random clients at queues of many settings, with reloads, kills and the race detector, for RULES.
RULES ?= 1h
rules:
	go test -count=1 -timeout 0 -v -run QueuesKeepTheirRules ./tools/torture -rules=$(RULES)
