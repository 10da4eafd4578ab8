package server

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/darner/darner/server/config"
)

// settingsOf asks a server with a configuration file for its settings.
func settingsOf(t *testing.T, text string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "darner.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, func(into *config.Config) {
		c.Data, c.Port = into.Data, 0
		*into = c
	})
	return ask(t, dial(t, "tcp", s.Addr().String()), "stats settings\r\n")
}

func TestStatsSettingsShowsWhatCameOutOfAutomaticSettings(t *testing.T) {
	got := settingsOf(t, "")
	for _, name := range []string{"min-free", "memory-limit", "loops", "port", "maxconns", "maxbytes"} {
		if _, err := strconv.ParseInt(got[name], 10, 64); err != nil {
			t.Errorf("got %s %q, want a number", name, got[name])
		}
	}
	for _, name := range []string{"port", "loops", "maxconns", "maxbytes"} {
		if got[name] == "0" {
			t.Errorf("got %s 0, want what is in force", name)
		}
	}
	for name, want := range map[string]string{
		"admin-commands": "default", "sync": "1s", "segment-size": "16777216", "max-disk": "0",
		"transport": got["transport"], "maxconns": got["max-connections"], "tcpport": got["port"],
	} {
		if got[name] != want || want == "" || want == "auto" {
			t.Errorf("got %s %q, want %q", name, got[name], want)
		}
	}
}

func TestStatsSettingsShowsTheTablesOfQueues(t *testing.T) {
	got := settingsOf(t, "max-disk = \"64MiB\"\nparity = 3\nadmin-commands = \"local\"\n"+
		"[queue.\"a:b\"]\nmax-disk = \"4MiB\"\nwhen-full = \"discard-oldest\"\n")
	for name, want := range map[string]string{
		"max-disk": "67108864", "maxbytes": "67108864", "admin-commands": "local",
		"queue.a:b.max-disk": "4194304", "queue.a:b.when-full": "discard-oldest",
		"queue.a:b.parity": "3", "queue.a:b.segment-size": "524288",
	} {
		if got[name] != want {
			t.Errorf("got %s %q, want %q", name, got[name], want)
		}
	}
}
