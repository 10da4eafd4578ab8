package config

import (
	"strings"
	"testing"
)

// spoken are the settings that a dialect presets, as text.
func spoken(c Config) string {
	var all []string
	for _, s := range c.Compat.settings() {
		all = append(all, s.Value.String())
	}
	return strings.Join(all, " ")
}

func TestADialectPresetsItsSettings(t *testing.T) {
	for dialect, want := range map[string]string{
		"memcached": "ok  full 2592000 queue name",
		"kestrel":   "flushed 2.4.1 full 1000000 queue name",
		"darner":    "flushed  darner 2592000 connection name",
		"siberite":  "flushed  full 2592000 connection name",
	} {
		c, err := Read(Sources{File: file(t, "dialect = \""+dialect+"\"\n")})
		if err != nil || spoken(c) != want {
			t.Errorf("%s: got %s, %v, want %s", dialect, spoken(c), err, want)
		}
	}
	if got, want := spoken(Default()), "ok  full 2592000 queue name"; got != want {
		t.Errorf("by default: got %s, want memcached's %s", got, want)
	}
}

func TestWhatIsSetByItselfWinsOverTheDialect(t *testing.T) {
	c, err := Read(Sources{
		File:    file(t, "flush-all-answer = \"ok\"\nreported-version = \"\"\ndialect = \"kestrel\"\n"),
		Environ: []string{"DARNER_RELATIVE_EXPTIME_MAX=2592000"},
		Flags:   map[string]string{"echo-key": "asked"},
	})
	if want := "ok  full 2592000 queue asked"; err != nil || spoken(c) != want {
		t.Errorf("got %s, %v, want %s", spoken(c), err, want)
	}
	c, err = Read(Sources{
		File:  file(t, "dialect = \"kestrel\"\nclose = \"queue\"\n"),
		Flags: map[string]string{"dialect": "darner"},
	})
	if want := "flushed  darner 2592000 queue name"; err != nil || spoken(c) != want {
		t.Errorf("got %s, %v, want %s", spoken(c), err, want)
	}
}

func TestAReportedVersionIsOneWord(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.4.15": true, "siberite-0.6.4": true, "": true, "1 2": false, "1\r\nEND": false,
		"1\x7f": false, strings.Repeat("1", 65): false,
	} {
		c := Default()
		c.ReportedVersion = version
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%q: got %v, want it accepted: %v", version, err, ok)
		}
	}
}
