// Package telemetry makes up what small devices send: lines of JSON to measure with, the same ones
// for the same seed.
package telemetry

import (
	"iter"
	"math/rand/v2"
	"strconv"
	"time"
)

// readings lists what a device measures: the first value, the size of a step and the number of
// decimals.
var readings = [...]struct {
	name        string
	start, step float64
	decimals    int
}{
	{"temp_in", 21.5, 0.05, 2}, {"temp_out", 8, 0.05, 2}, {"humidity", 48, 0.1, 1},
	{"pressure", 1013.2, 0.05, 2},
	{"volt_a", 230.1, 0.2, 1}, {"volt_b", 229.8, 0.2, 1}, {"amp_a", 4.2, 0.02, 3},
	{"amp_b", 3.9, 0.02, 3},
	{"freq", 50, 0.005, 3}, {"vib_x", 0.012, 0.0004, 4}, {"vib_y", 0.009, 0.0004, 4},
	{"battery", 12.6, 0.002, 3},
}

// statuses repeats a status as often as it is likely.
var statuses = [...]string{"ok", "ok", "ok", "ok", "ok", "ok", "degraded", "maintenance", "fault"}

type device struct {
	id     string
	values [len(readings)]float64
	status string
}

// Lines returns an endless sequence of lines of some 300 bytes, without line feeds. Each of the
// devices reports once in ten seconds, and its readings drift. A line is valid until the next one.
// The same seed gives the same lines.
func Lines(seed uint64, devices int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		rng := rand.New(rand.NewPCG(seed, uint64(devices)))
		all := make([]device, devices)
		for i := range all {
			all[i].start(rng)
		}
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		var line []byte
		for i := 0; ; i = (i + 1) % devices {
			d := &all[i]
			d.drift(rng)
			line = d.line(line[:0], now)
			if !yield(line) {
				return
			}
			now = now.Add(10*time.Second/time.Duration(devices) +
				time.Duration(rng.IntN(3))*time.Millisecond)
		}
	}
}

func (d *device) start(rng *rand.Rand) {
	d.id = "gw-" + strconv.FormatUint(uint64(rng.Uint32())|1<<32, 16)[1:]
	d.status = statuses[0]
	for i, r := range readings {
		d.values[i] = r.start * (0.9 + rng.Float64()/5)
	}
}

func (d *device) drift(rng *rand.Rand) {
	for i, r := range readings {
		d.values[i] += r.step * rng.NormFloat64()
	}
	if rng.IntN(50) == 0 {
		d.status = statuses[rng.IntN(len(statuses))]
	}
}

func (d *device) line(b []byte, now time.Time) []byte {
	b = append(append(b, `{"device":"`...), d.id...)
	b = now.AppendFormat(append(b, `","time":"`...), "2006-01-02T15:04:05.000Z")
	b = append(b, '"')
	for i, r := range readings {
		b = append(append(append(b, `,"`...), r.name...), `":`...)
		b = strconv.AppendFloat(b, d.values[i], 'f', r.decimals, 64)
	}
	return append(append(append(b, `,"status":"`...), d.status...), `"}`...)
}
