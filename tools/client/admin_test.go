package client

import (
	"context"
	"strings"
	"testing"
)

func TestAnAdministratorHearsWhatTheServerSays(t *testing.T) {
	c, err := Dial(context.Background(), script(t,
		[2]string{"status\r\n", "READONLY\r\n"}, [2]string{"status up\r\n", "END\r\n"},
		[2]string{"status up\r\n", "SERVER_ERROR no space left\r\n"},
		[2]string{"reload\r\n", "Reloaded config.\r\n"},
		[2]string{"reload\r\n", "SERVER_ERROR line 3\r\n"},
	))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if at, err := c.Status(); at != "READONLY" || err != nil {
		t.Errorf("got %q, %v, want READONLY", at, err)
	}
	if err := c.SetStatus("up"); err != nil {
		t.Error(err)
	}
	if err := c.SetStatus("up"); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want why", err)
	}
	if err := c.Reload(); err != nil {
		t.Error(err)
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v, want why", err)
	}
}
