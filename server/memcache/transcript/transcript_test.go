package transcript

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func parseOne(t *testing.T, text string) Case {
	t.Helper()
	cases, err := Parse("test.txt", []byte(text))
	if err != nil || len(cases) != 1 {
		t.Fatalf("got %d cases, error %v, want one", len(cases), err)
	}
	return cases[0]
}

func TestParseReadsEveryKindOfLine(t *testing.T) {
	c := parseOne(t, "# nothing\n== the name\nwith sync always\n> a\\x00\\r\\n\\\\\n"+
		"B> {ab*3}\\\nB< <any>\nB< <closed>\n> <hangup>\nuntil items 3\n>\n")
	want := []Step{
		{Line: 4, Do: Send, Text: "a\x00\r\n\\"},
		{Line: 5, Conn: "B", Do: Send, Text: "ababab", Bare: true},
		{Line: 6, Conn: "B", Do: Expect, Text: "<any>"},
		{Line: 7, Conn: "B", Do: ExpectClosed},
		{Line: 8, Do: Hangup},
		{Line: 9, Do: Until, Text: "items", Want: "3"},
		{Line: 10, Do: Send},
	}
	if c.Name != "the name" || c.With["sync"] != "always" || len(c.Step) != len(want) {
		t.Fatalf("got %+v, want the case of the file", c)
	}
	for i := range want {
		if c.Step[i] != want[i] {
			t.Errorf("step %d is %+v, want %+v", i, c.Step[i], want[i])
		}
	}
}

func TestParseRefusesWhatIsNoStep(t *testing.T) {
	for _, text := range []string{"> early\n", "== x\nhello\n", "== x\n> \\q\n", "== x\n> \\x1\n", "== x\nuntil items\n", "== x\nABC> x\n"} {
		if _, err := Parse("test.txt", []byte(text)); err == nil {
			t.Errorf("got %q accepted, want an error", text)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"VERSION <any>", "VERSION 1.0", true},
		{"VERSION <any>", "VERSION ", false},
		{"STAT x <number>\r\n", "STAT x 12\r\n", true},
		{"STAT x <number>\r\n", "STAT x 1a\r\n", false},
		{"<number>.<number>", "1.2", true},
		{"a < b <any>", "a < b c", true},
	} {
		if match(c.pattern, c.line) != c.want {
			t.Errorf("match(%q, %q) is %v", c.pattern, c.line, !c.want)
		}
	}
}

// canned answers every write with the next of its answers.
type canned struct {
	answers []string
	out     bytes.Buffer
}

func (c *canned) Write(p []byte) (int, error) {
	if len(c.answers) > 0 {
		c.out.WriteString(c.answers[0])
		c.answers = c.answers[1:]
	}
	return len(p), nil
}
func (c *canned) Read(p []byte) (int, error) { return c.out.Read(p) }
func (c *canned) Close() error               { return nil }

func TestReplayTellsADifference(t *testing.T) {
	c := parseOne(t, "== x\n> hello\n< WORLD\n")
	for _, x := range []struct {
		answers []string
		want    string
	}{
		{[]string{"WORLD\r\n", "VERSION 1\r\n"}, ""},
		{[]string{"WORLD\r\nMORE\r\n", "VERSION 1\r\n"}, "at the end"},
		{[]string{"WORD\r\n", "VERSION 1\r\n"}, "test.txt:3"},
		{[]string{"WOR"}, "EOF"},
	} {
		dial := func() (io.ReadWriteCloser, error) { return &canned{answers: x.answers}, nil }
		err := c.Replay(dial)
		if x.want == "" && err != nil ||
			x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("answers %q: %v, want %q", x.answers, err, x.want)
		}
	}
}
