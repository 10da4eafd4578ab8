# The habits. Each is a step of .ci/run or a command of its own; `make ci` is all that must hold.

.PHONY: build dist test race fuzz crashes lint clients bench kill long torture emulated soak ci

build:
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

# A release, stripped: make dist GOARCH=arm GOARM=6. urfave_cli_no_docs leaves out the generator of
# manual pages, and with it two Markdown libraries.
GOOS ?= linux
GOARCH ?= $(shell go env GOARCH)
GOARM ?= 6
dist:
	CGO_ENABLED=0 GOOS=$(GOOS) GOARCH=$(GOARCH) GOARM=$(GOARM) go build -trimpath -tags urfave_cli_no_docs -ldflags '-s -w' -o bin/$(GOOS)-$(GOARCH)/ ./cmd/...

test:
	go test ./...

race:
	.ci/run race

fuzz:
	FUZZTIME=1m .ci/run fuzz

# Random workloads that end in a kill or a power cut, with fresh seeds: each kind for CRASHTIME. On two
# processors that is some 130 workloads a second, 100,000 of a kind in a quarter of an hour.
crashes:
	CRASHTIME=15m .ci/run crashes

lint:
	.ci/run format vet staticcheck layers

clients:
	.ci/run clients

# Remakes the tables and plots of docs/benchmarks.md beside memcached, Redis and beanstalkd.
bench:
	tools/bench/compare

# The server killed a hundred times under load.
kill:
	go test -count=1 -timeout 1h -run TestKilledServer ./cmd/darner -kill-rounds 100

# What takes too long for every day: an item of 1 GB, 10,000 connections that wait or are silent,
# 10 million items, an idle minute.
long: kill
	go test -count=1 -timeout 1h -run 'Gigabyte|Waiters|Memory|Silent|Idle' ./cmd/darner \
		-large -waiters 10000 -silent 10000 -backlog 10000000 -idle 1m

ci:
	.ci/run

# Power cuts, full disks, failing disks and rot in their long form. Root sees more of it: ext4, xfs
# (xfsprogs) and btrfs (btrfs-progs) for real. The first command takes half an hour of processor time,
# the second one eight minutes, and three quarters of an hour on a busy machine: the disks are waited for.
torture:
	go test -count=1 -timeout 6h -run 'PowerCut|Kill|Rot' ./wal -crashes=10000 -rot-all
	go test -count=1 -timeout 6h ./tools/torture -cuts=100 -long=50

# The whole suites of segment, wal and server/queue on emulated processors; .ci/run has the short form.
# Half an hour of processor time for the three of them.
emulated:
	.ci/emulated -full

# Random load, kills and restarts for SOAK, and a minute more.
SOAK ?= 4h
soak:
	go test -count=1 -timeout 0 -v -run Soak ./tools/torture -soak=$(SOAK)
