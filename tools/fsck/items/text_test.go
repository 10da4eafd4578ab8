package items

import (
	"bufio"
	"strconv"
	"strings"
	"testing"
)

// Text is written on one line, in whatever pieces it comes, and strconv.Unquote gives it back.
func FuzzTextIsOneLineAndLossless(f *testing.F) {
	f.Add([]byte("zwölf\n\x00\xc3"), 3)
	f.Add([]byte("\\x41 \u2028 \U0001f600 \ufffd"), 9)
	f.Add([]byte("\"\xf0\x9f"), 2)
	f.Fuzz(func(t *testing.T, payload []byte, cut int) {
		var b strings.Builder
		out := bufio.NewWriter(&b)
		w := &textWriter{out: out}
		cut = min(max(cut, 0), len(payload))
		w.Write(payload[:cut])
		w.Write(payload[cut:])
		w.Close()
		out.Flush()
		back, err := strconv.Unquote(`"` + strings.ReplaceAll(b.String(), `"`, `\"`) + `"`)
		if err != nil || back != string(payload) {
			t.Fatalf("%q became %s, and back %q, %v", payload, &b, back, err)
		}
	})
}
