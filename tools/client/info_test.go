package client

import (
	"errors"
	"strings"
	"testing"
)

func TestInfoReadsWhatItKnows(t *testing.T) {
	c := against(t, [2]string{"info q\r\n", "STAT sequence 7\r\nSTAT size 13\r\nSTAT flags 4294967295\r\n" +
		"STAT enqueued 1796000000000\r\nSTAT expires 5\r\nSTAT due 6\r\nSTAT deliveries 2\r\n" +
		"STAT colour blue\r\nSTAT from - expired 42 3 more\r\nEND\r\n"},
		[2]string{"info q\r\n", "STAT sequence 8\r\nSTAT from ?\r\nEND\r\n"},
		[2]string{"info q\r\n", "STAT sequence 9\r\nSTAT from -\r\nEND\r\n"},
		[2]string{"info q\r\n", "END\r\n"})
	want := Info{Sequence: 7, Size: 13, Flags: 4294967295, Enqueued: 1796000000000, Expires: 5,
		Due: 6, Deliveries: 2}
	got, ok, err := c.Info("q")
	if err != nil || !ok || got.From == nil || *got.From != (Origin{"-", "expired", 42, 3}) {
		t.Fatalf("got %+v from %+v, %v, %v, want item 42 of a queue named -", got, got.From, ok, err)
	}
	if got.From = nil; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, ok, err = c.Info("q"); err != nil || !ok || got.From == nil || *got.From != (Origin{}) {
		t.Errorf("got %+v, %v, %v, want an origin that is not known", got, ok, err)
	}
	if got, ok, err = c.Info("q"); err != nil || !ok || got.From != nil {
		t.Errorf("got %+v, %v, %v, want an item without an origin", got, ok, err)
	}
	if got, ok, err = c.Info("q"); err != nil || ok {
		t.Errorf("got %+v, %v, %v, want none", got, ok, err)
	}
}

func TestInfoThatIsNoInfoIsAnError(t *testing.T) {
	for answer, want := range map[string]string{
		"ERROR\r\n":                                           "does not know",
		"SERVER_ERROR no disk\r\n":                            "no disk",
		"STAT sequence x\r\nEND\r\n":                          "is it a queue server?",
		"STAT sequence 1\r\nSTAT from a\r\nEND\r\n":           "is it a queue server?",
		"STAT sequence 1\r\nSTAT from a/b c 1 1\r\nEND\r\n":   "is it a queue server?",
		"STAT sequence 1\r\nSTAT flags 4294967296\r\nEND\r\n": "is it a queue server?",
		hangUp: "broke",
	} {
		_, _, err := against(t, [2]string{"info q\r\n", answer}).Info("q")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", answer, err, want)
		}
	}
	if _, _, err := against(t).Info("a b"); err == nil {
		t.Error("got no error for a name with a blank, want one")
	}
}

func TestOneItemIsOpenedConfirmedAndGivenBack(t *testing.T) {
	c := against(t, [2]string{"gets q/open\r\n", "VALUE q 1 2 3\r\nab\r\nEND\r\n"},
		[2]string{"confirm q 1\r\n", "END\r\n"}, [2]string{"confirm q 1\r\n", "ERROR\r\n"},
		[2]string{"confirm q 1\r\n", "SERVER_ERROR no disk\r\n"},
		[2]string{"gets q/open/ahead\r\n", "END\r\n"},
		[2]string{"gets q/open\r\n", "CLIENT_ERROR close current item first\r\n"},
		[2]string{"get q/abort\r\n", "END\r\n"})
	it, err := c.Open("q")
	if err != nil || it == nil || it.Sequence != 3 || it.Skip() != nil {
		t.Fatalf("got %+v, %v, want item 3", it, err)
	}
	for _, want := range []bool{true, false} {
		if there, err := c.Confirm("q"); there != want || err != nil {
			t.Errorf("got %v, %v, want %v", there, err, want)
		}
	}
	if _, err := c.Confirm("q"); !IsRefusal(err) {
		t.Errorf("got %v, want a refusal", err)
	}
	if it, err := c.OpenAhead("q"); it != nil || err != nil {
		t.Errorf("got %v, %v, want no item", it, err)
	}
	if _, err := c.Open("q"); !errors.As(err, new(ServerError)) {
		t.Errorf("got %v, want a refusal", err)
	}
	if err := c.Abort("q"); err != nil {
		t.Error(err)
	}
}

func TestTheSettingsOfAQueueAreFoundAmongOthers(t *testing.T) {
	const dump = "queue 'a' {\r\n  max-deliveries=1\r\n}\r\nqueue 'q' {\r\n  max-deliveries=0\r\n" +
		"  dead-letter=\r\n  expire-to=a=b\r\n}\r\nqueue 'r' {\r\n  max-deliveries=2\r\n}\r\nEND\r\n"
	c := against(t, [2]string{"dump_config\r\n", dump}, [2]string{"dump_config\r\n", "ERROR\r\n"})
	got, err := c.Settings("q")
	if err != nil || len(got) != 3 || got["max-deliveries"] != "0" || got["expire-to"] != "a=b" {
		t.Errorf("got %v, %v, want those of q", got, err)
	}
	if got, err := c.Settings("q"); err != nil || len(got) > 0 {
		t.Errorf("got %v, %v, want none from a server that does not tell", got, err)
	}
}
