package config

import (
	"strings"
	"testing"
	"time"
)

func TestSizesAreBytesOrHaveASuffix(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "4194304": 4 * MiB, "4MiB": 4 * MiB, "4mib": 4 * MiB, "4M": 4 * MiB,
		"4MB": 4_000_000, "512mb": 512_000_000, "3KB": 3000, "1gb": 1e9, "1TB": 1e12, "4 MiB": 4 * MiB, "64k": 64 * KiB, "64KiB": 64 * KiB, "2g": 2 * GiB,
		"1TiB": TiB, "12b": 12, "9223372036854775807": 1<<63 - 1, "8388607t": 8388607 * TiB,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestWhatIsNoSizeIsRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "k", "-1", "+1", "1.5M", "4x", "4MiBs", "k4", "0x10", "1_000",
		"9223372036854775808", "8388608t", "99999999999999999999", "1 2",
	} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSizesReadBackAsWritten(t *testing.T) {
	for size, want := range map[Size]string{
		0: "0", 1: "1", 1023: "1023", KiB: "1KiB", 1025: "1025",
		16 * MiB: "16MiB", 512_000_000: "500000KiB", 1000: "1000", 3 * TiB: "3TiB", 1025 * MiB: "1025MiB",
	} {
		text := size.String()
		back, err := ParseSize(text)
		if text != want || err != nil || back != size {
			t.Errorf("%d: got %q and back %d, %v, want %q", size, text, back, err, want)
		}
	}
}

func TestSyncIsAlwaysNeverOrAnInterval(t *testing.T) {
	for text, want := range map[string]Sync{
		"always": SyncAlways, "never": SyncNever, "1s": Sync(time.Second),
		"1ms": Sync(time.Millisecond), "2m0s": Sync(2 * time.Minute),
	} {
		got, err := parseSync(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "0s", "-1s", "1", "1us", "sometimes", "Always"} {
		if got, err := parseSync(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestARefusedFlagLeavesTheValueAlone(t *testing.T) {
	size, sync, admin := Size(7), DefaultSync, AdminOff
	if size.Set("x") == nil || size != 7 {
		t.Errorf("got %v after a bad value, want 7", size)
	}
	if sync.Set("x") == nil || sync != DefaultSync {
		t.Errorf("got %v after a bad value, want %v", sync, DefaultSync)
	}
	if admin.Set("x") == nil || admin != AdminOff {
		t.Errorf("got %v after a bad value, want off", admin)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestEveryBadSettingIsNamed(t *testing.T) {
	for setting, spoil := range map[string]func(*Config){
		"data":                 func(c *Config) { c.Data = "" },
		"listen":               func(c *Config) { c.Listen = "" },
		"port":                 func(c *Config) { c.Port = 65536 },
		"segment-size":         func(c *Config) { c.SegmentSize = MinSegmentSize - 1 },
		"max-connections":      func(c *Config) { c.MaxConnections = 0 },
		"max-open-reads":       func(c *Config) { c.MaxOpenReads = 0 },
		"max-open-ahead":       func(c *Config) { c.MaxOpenAhead = 1025 },
		"inline-max":           func(c *Config) { c.InlineMax = maxInlineMax + 1 },
		"max-item-size":        func(c *Config) { c.MaxItemSize = 0 },
		"max-disk":             func(c *Config) { c.MaxDisk = 1 },
		"queue-max-disk":       func(c *Config) { c.QueueMaxDisk = MiB - 1 },
		"memory-limit":         func(c *Config) { c.MemoryLimit = minMemory - 1 },
		"compress-level":       func(c *Config) { c.CompressLevel = 20 },
		"parity":               func(c *Config) { c.Parity = 5 },
		"reported-version":     func(c *Config) { c.ReportedVersion = "a b" },
		"relative-exptime-max": func(c *Config) { c.RelativeExptimeMax = -1 },
	} {
		c := Default()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), setting+": ") {
			t.Errorf("got %v, want an error that names %s", err, setting)
		}
	}
	if err := (Config{Port: -1}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 8 {
		t.Errorf("got %v, want nine errors", err)
	}
}

func TestAnAddressWithAPortIsRefusedWithWhatToWrite(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:22134": `give listen = "0.0.0.0" and port = 22134`,
		"[::1]:5":       `give listen = "::1" and port = 5`,
		":5":            `give listen = "0.0.0.0" and port = 5`,
		"[::1]":         "is no address",
		"a b":           "is no address",
	} {
		c := Default()
		c.Listen = listen
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", listen, err, want)
		}
	}
	for _, listen := range []string{"::1", "localhost", "::", "fe80::1%eth0"} {
		c := Default()
		c.Listen = listen
		if err := c.Validate(); err != nil {
			t.Errorf("%s: got %v, want none", listen, err)
		}
	}
}
