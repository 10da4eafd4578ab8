package telemetry

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

func TestLinesAreJSONAndTheSameForTheSameSeed(t *testing.T) {
	n, again := 0, collect(7, 20)
	devices := map[string]bool{}
	for _, line := range collect(7, 20) {
		var v struct {
			Device, Status string
			Time           time.Time
			TempIn         float64 `json:"temp_in"`
		}
		if err := json.Unmarshal(line, &v); err != nil || v.Status == "" || v.Time.IsZero() ||
			v.TempIn == 0 {
			t.Fatalf("%s: %v", line, err)
		}
		devices[v.Device] = true
		if !bytes.Equal(line, again[n]) {
			t.Fatalf("line %d differs the second time", n)
		}
		n++
	}
	if len(devices) != 20 {
		t.Errorf("%d devices report, want 20", len(devices))
	}
}

func collect(seed uint64, devices int) (lines [][]byte) {
	for line := range Lines(seed, devices) {
		if lines = append(lines, bytes.Clone(line)); len(lines) == 200 {
			break
		}
	}
	return lines
}
