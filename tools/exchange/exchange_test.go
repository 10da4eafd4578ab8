package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/darner/darner/segment/disk"
	"github.com/darner/darner/segment/disk/disktest"
	"github.com/darner/darner/tools/fsck/items"
	"github.com/darner/darner/tools/kestrel"
	"github.com/darner/darner/wal"
	"github.com/darner/darner/wal/datadir"
	"github.com/darner/darner/wal/inspect"
)

func options(fsys disk.FS) wal.Options {
	return wal.Options{FS: fsys, SegmentSize: 256 << 10, SyncEvery: wal.SyncNever,
		Logger: slog.New(slog.DiscardHandler)}
}

// importAll imports from a decoder and returns the number of items imported, and the error.
func importAll(t *testing.T, fsys disk.FS, dir string, from Decoder) (int64, error) {
	t.Helper()
	im := NewImporter(dir, options(fsys))
	err := im.AddAll(from)
	if e := im.Close(); e != nil {
		t.Fatal(e)
	}
	return im.Items, err
}

func importJSON(t *testing.T, fsys disk.FS, dir, lines string) (int64, error) {
	t.Helper()
	s := NewSpool(fsys, filepath.Join(filepath.Dir(dir), ".spool"))
	defer s.Close()
	return importAll(t, fsys, dir, NewJSONDecoder(strings.NewReader(lines), s))
}

// export exports a queue, in which exactly damaged items or ranges must be damaged.
func export(t *testing.T, fsys disk.FS, dir string, encode func(io.Writer) Encoder,
	damaged int64) (string, Exported) {
	t.Helper()
	r, err := items.Read(fsys, datadir.Queue{Name: "q", Path: dir}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	done, err := Export(r, encode(&b), func(*items.Record, error) {})
	if err != nil || done.Damaged != damaged {
		t.Fatalf("%d damaged, %v; want %d", done.Damaged, err, damaged)
	}
	return b.String(), done
}

var sequence = regexp.MustCompile(`"sequence":\d+`)

// payloads returns payloads of many kinds.
func payloads() (all []string) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	return []string{
		"", "a", "zwölf Boxkämpfer", "\x00\x01\n\r\t\"\\/\x7f", "\xff\xfe", "half a character \xc3",
		"\u2028\ufffd\U0001f600",
		strings.Repeat("ü\"", 200_000), // large, text
		string(random),                 // large, not text
		string(random[:70_000]),        // one more than inline
		strings.Repeat("x", inlineMax), strings.Repeat("x", inlineMax+1),
		strings.Repeat("x", inlineMax-1) + "ü",
		strings.Repeat("long ", 200_000), // longer than the spool holds in memory
	}
}

func TestExportAndImportGiveTheSameQueue(t *testing.T) {
	fsys := disktest.New()
	im := NewImporter("data/a", options(fsys))
	for i, p := range payloads() {
		expires := int64(0)
		if i%3 == 1 {
			expires = int64(i) // long ago: expired items are exported too
		}
		if err := im.Add(Item{Enqueued: int64(1000 + i), Expires: expires, Flags: uint32(i) << 28,
			Size: int64(len(p)), Body: strings.NewReader(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	first, done := export(t, fsys, "data/a", NewJSONEncoder, 0)
	if done.Items != int64(len(payloads())) || done.Bytes != im.Bytes {
		t.Errorf("got %+v exported, want the %d items and %d bytes imported", done,
			im.Items, im.Bytes)
	}
	n, err := importJSON(t, fsys, "data/b", `{"text":"shifts the numbers"}`+"\n"+first)
	if n != done.Items+1 || err != nil {
		t.Fatalf("got %d items, %v; want %d", n, err, done.Items+1)
	}
	second, _ := export(t, fsys, "data/b", NewJSONEncoder, 0)
	_, second, _ = strings.Cut(second, "\n")
	if a, b := sequence.ReplaceAllString(first, ""), sequence.ReplaceAllString(second, ""); a != b {
		t.Errorf("got %.500s after an import and an export, want %.500s", b, a)
	}
	// Another program can read it.
	for i, line := range strings.Split(strings.TrimSuffix(first, "\n"), "\n") {
		var it struct {
			Text   *string
			Base64 []byte
		}
		if err := json.Unmarshal([]byte(line), &it); err != nil {
			t.Fatal(err)
		}
		got := string(it.Base64)
		if it.Text != nil {
			got = *it.Text
		}
		if want := payloads()[i]; got != want || (it.Text != nil) != utf8.ValidString(want) {
			t.Errorf("payload %d: got %d bytes, text: %v; want %d", i, len(got),
				it.Text != nil, len(want))
		}
	}

	raw, _ := export(t, fsys, "data/a", NewRawEncoder, 0)
	if _, err := importAll(t, fsys, "data/c", NewRawDecoder(strings.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	if again, _ := export(t, fsys, "data/c", NewRawEncoder, 0); again != raw {
		t.Errorf("got %d bytes of bare payloads, want the same %d", len(again), len(raw))
	}
}

func TestWhatIsKeptOfAMovedItemIsExportedAndImported(t *testing.T) {
	fsys := disktest.New()
	im := NewImporter("data/a", options(fsys))
	at := int64(1_700_000_000_000)
	moved := []wal.Origin{
		{Log: "jobs", Seq: 7, Why: wal.Undeliverable, Deliveries: 5, Enqueued: at, Expires: at + 9},
		{Log: "jö bs+\x01\"", Seq: 1 << 63, Why: wal.Expired, Enqueued: -1},
		{}, // from where is not known
	}
	for i := range 5 {
		it := Item{Enqueued: at, Due: at * int64(i%2), Size: 1, Body: strings.NewReader("x")}
		if i < len(moved) {
			it.Origin = &moved[i]
		}
		if i == 1 { // a large one
			it.Size = 100_000
			it.Body = strings.NewReader(strings.Repeat("x", 100_000))
		}
		if err := im.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	first, _ := export(t, fsys, "data/a", NewJSONEncoder, 0)
	const want = `"due":0`
	if n := strings.Count(first, `"due":1700000000000`); n != 2 || strings.Contains(first, want) {
		t.Errorf("got %d items due later, want 2, and nothing of the others", n)
	}
	for _, want := range []string{
		`"size":1,"from":"jobs","from_sequence":7,"from_why":"undeliverable","from_deliveries":5,` +
			`"from_enqueued":1700000000000,"from_expires":1700000000009,"text":"x"}`,
		`"from_why":"expired"`, `"from":"","from_sequence":0,"from_why":"unknown"`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("got %.500s, want %s in it", first, want)
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(first, "\n"), "\n") {
		if err := json.Unmarshal([]byte(line), &struct{}{}); err != nil {
			t.Error(err)
		}
	}
	if n, err := importJSON(t, fsys, "data/b", first); n != 5 || err != nil {
		t.Fatalf("got %d items, %v; want 5", n, err)
	}
	if second, _ := export(t, fsys, "data/b", NewJSONEncoder, 0); second != first {
		t.Errorf("got %.800s after an import and an export, want %.800s", second, first)
	}
	for _, bad := range []string{
		`{"text":"","from":"` + strings.Repeat("x", 1000) + `"}`, `{"text":"","from":7}`,
		`{"text":"","from_deliveries":4294967296}`, `{"text":"","due":"soon"}`,
	} {
		if n, err := importJSON(t, fsys, "data/bad", bad); n != 0 || err == nil {
			t.Errorf("%.40s: got %d items, want an error", bad, n)
		}
	}
}

func TestLinesOfOtherProgramsAreRead(t *testing.T) {
	fsys := disktest.New()
	n, err := importJSON(t, fsys, "data/q",
		` { "base64" : "aGVsbG8=" , "size":5 , "flags": 4294967295,"expires":2,"enqueued":1 }`+"\r\n"+
			"\n \t\r\n"+
			`{"text":"\u00fc\ud83d\ude00\/\b\f\n\r\t\"\\","enqueued":-5}`)
	if n != 2 || err != nil {
		t.Fatalf("got %d items, %v; want 2", n, err)
	}
	got, _ := export(t, fsys, "data/q", NewJSONEncoder, 0)
	want := `{"sequence":1,"enqueued":1,"expires":2,"flags":4294967295,"size":5,"text":"hello"}` +
		"\n" +
		`{"sequence":2,"enqueued":-5,"expires":0,"flags":0,"size":14,"text":"ü😀/\u0008\u000c\n\r\t\"\\"}` + "\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestABrokenLineIsNamedAndWhatCameBeforeStays(t *testing.T) {
	for line, want := range map[string]string{
		`hello`:                           `'h' where a '{' belongs`,
		`{`:                               `the line breaks off`,
		`{}`:                              `'}' where a '"' belongs`,
		`{"text":"a"`:                     `the line breaks off`,
		`{"text":"a`:                      `the line breaks off`,
		`{"text":"a\`:                     `the line breaks off`,
		`{"text":"a\u00`:                  `the line breaks off`,
		`{"text":"a"}}`:                   `'}' after the object`,
		`{"text":"a"} {"text":"b"}`:       `'{' after the object`,
		`{"text":"a","text":"b"}`:         `"text" comes twice`,
		`{"text":"a","base64":""}`:        `there must be either "text" or "base64"`,
		`{"size":3}`:                      `there must be either "text" or "base64"`,
		`{"text":"a","size":3}`:           `the payload has 1 bytes, and size says 3`,
		`{"text":5}`:                      `'5' where a '"' belongs`,
		`{"text":"\ud83d"}`:               `half of a pair of \u escapes`,
		`{"text":"\ud83d\u0041"}`:         `half of a pair of \u escapes`,
		`{"text":"\x41"}`:                 `'x' after a backslash`,
		`{"text":"\u00zz"}`:               `"00zz" after \u`,
		"{\"text\":\"a\tb\"}":             `byte 0x09 in a string`,
		`{"base64":"a"}`:                  `the base64 ends too early`,
		`{"base64":"QQ==QQ=="}`:           `illegal base64 data`,
		`{"base64":"QQ= ="}`:              `illegal base64 data`,
		`{"text":"a","flags":4294967296}`: `flags: "4294967296" is not a valid value`,
		`{"text":"a","flags":-1}`:         `flags: "-1" is not a valid value`,
		`{"text":"a","expires":1.5}`:      `expires: a whole number belongs here`,
		`{"text":"a","expires":"soon"}`:   `expires: a whole number belongs here`,
		`{"text":"a","expire":5}`:         `"expire" is not a member of an item`,
		`{"` + strings.Repeat("k", 1000):  `is not a member of an item`,
	} {
		fsys := disktest.New()
		n, err := importJSON(t, fsys, "data/q",
			`{"text":"one"}`+"\n\n"+`{"text":"two"}`+"\n"+line+"\n"+`{"text":"never"}`+"\n")
		if n != 2 || err == nil || !strings.HasPrefix(err.Error(), "line 4: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %d items, %v; want 2 and line 4: %s", line, n, err, want)
		}
		got, _ := export(t, fsys, "data/q", NewRawEncoder, 0)
		if !strings.HasSuffix(got, "one\x03\x00\x00\x00\x00\x00\x00\x00two") ||
			strings.Contains(got, "never") {
			t.Errorf("%.60s: got %q in the queue, want the two items before it", line, got)
		}
	}
}

func TestAnImportOfNothingMakesNoQueue(t *testing.T) {
	fsys := disktest.New()
	fsys.WriteFile("data/.lock", nil)
	for _, lines := range []string{"", "\n\n", "broken\n"} {
		importJSON(t, fsys, "data/q", lines)
		if got := fsys.Names("data/q"); len(got) > 0 || len(fsys.Names("data")) != 1 {
			t.Errorf("%q: got %v in %v, want nothing", lines, got, fsys.Names("data"))
		}
	}
}

func TestRawThatBreaksOffIsAnError(t *testing.T) {
	whole := "\x03\x00\x00\x00\x00\x00\x00\x00one\x05\x00\x00\x00\x00\x00\x00\x00two"
	for end := len(whole) - 1; end > 11; end-- {
		n, err := importAll(t, disktest.New(), "data/q",
			NewRawDecoder(strings.NewReader(whole[:end])))
		if n != 1 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: got %d items, %v; want 1 and io.ErrUnexpectedEOF", end, n, err)
		}
	}
	for _, length := range []string{"\x00\x00\x01\x00\x00\x00\x00\x00",
		"\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		fsys := disktest.New()
		n, err := importAll(t, fsys, "data/q",
			NewRawDecoder(strings.NewReader(whole[:11]+length+"x")))
		if n != 1 || err == nil {
			t.Errorf("length %x: got %d items, %v; want 1 and an error", length, n, err)
		}
	}
}

// An item of any size needs little memory.
func TestLargeItemsStream(t *testing.T) {
	size := int64(32 << 20)
	if testing.Short() {
		size /= 2
	}
	dir := t.TempDir()
	im := NewImporter(filepath.Join(dir, "a"), options(disk.OS{}))
	for _, c := range []byte{'x', 0xff} {
		if err := im.Add(Item{Size: size, Body: io.LimitReader(endless(c), size)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	for name, format := range map[string]struct {
		encode func(io.Writer) Encoder
		decode func(io.Reader, *Spool) Decoder
	}{
		"json": {NewJSONEncoder, NewJSONDecoder},
		"raw":  {NewRawEncoder, func(r io.Reader, _ *Spool) Decoder { return NewRawDecoder(r) }},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := items.Read(disk.OS{}, datadir.Queue{Path: filepath.Join(dir, "a")}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pr, pw := io.Pipe()
		go func() {
			_, err := Export(r, format.encode(pw), nil)
			pw.CloseWithError(err)
		}()
		s := NewSpool(disk.OS{}, filepath.Join(dir, ".spool"))
		n, err := importAll(t, disk.OS{}, filepath.Join(dir, name), format.decode(pr, s))
		s.Close()
		runtime.ReadMemStats(&after)
		if n != 2 || err != nil {
			t.Errorf("%s: got %d items, %v; want 2", name, n, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: got %d bytes allocated for items of %d, want at most 8 MiB",
				name, used, size)
		}
	}
}

// endless is a reader that repeats one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestAFullDiskEndsAnImportBetweenItems(t *testing.T) {
	fsys := disktest.New()
	fsys.WriteFile("data/.lock", nil)
	fsys.SetCapacity(2 << 20)
	var lines strings.Builder
	for i := range 100 {
		fmt.Fprintf(&lines, `{"text":"%s","flags":%d}`+"\n", strings.Repeat("x", 100_000), i)
	}
	n, err := importJSON(t, fsys, "data/q", lines.String())
	if !errors.Is(err, wal.ErrFull) || n < 5 || n > 20 {
		t.Fatalf("got %d items, %v; want 5 to 20 and wal.ErrFull", n, err)
	}
	fsys.SetCapacity(-1)
	if _, done := export(t, fsys, "data/q", NewJSONEncoder, 0); done.Items != n {
		t.Errorf("got %d items in the queue, want the %d imported", done.Items, n)
	}
}

// An item that cannot be read is left out: no part of its line is written.
func TestExportLeavesDamageOut(t *testing.T) {
	fsys := disktest.New()
	long := strings.Repeat("x", 200_000)
	lines := `{"text":"one"}` + "\n" + `{"text":"two"}` + "\n" + `{"text":"` + long + "\"}\n" +
		`{"text":"four"}` + "\n"
	if n, err := importJSON(t, fsys, "data/q", lines); n != 4 || err != nil {
		t.Fatalf("got %d items, %v; want 4", n, err)
	}
	fsys.Corrupt("data/q/"+inspect.SegmentName(1), 1024+48+40, 3)
	fsys.Corrupt("data/q/"+inspect.BodyName(3), 150_000, 3)
	got, done := export(t, fsys, "data/q", NewRawEncoder, 2)
	want := "\x03\x00\x00\x00\x00\x00\x00\x00one\x04\x00\x00\x00\x00\x00\x00\x00four"
	if got != want || done.Items != 2 {
		t.Errorf("got %q, %+v; want %q", got, done, want)
	}
}

func TestKestrelsQueuesAreImported(t *testing.T) {
	fixtures, _ := filepath.Abs("../../testdata/kestrel")
	for name, want := range map[string]string{
		"plain": `{"sequence":1,"enqueued":NOW,"expires":1300000100000,"flags":0,"size":18,"text":"old style, expires"}
{"sequence":2,"enqueued":1300000000000,"expires":0,"flags":0,"size":3,"text":"one"}
{"sequence":3,"enqueued":1300000000001,"expires":0,"flags":0,"size":0,"text":""}
{"sequence":4,"enqueued":1300000000002,"expires":1300000005000,"flags":0,"size":3,"text":"two"}
`,
		"open": `{"sequence":1,"enqueued":1300000000000,"expires":0,"flags":0,"size":1,"text":"b"}
{"sequence":2,"enqueued":1300000000000,"expires":0,"flags":0,"size":1,"text":"d"}
{"sequence":3,"enqueued":1300000000000,"expires":0,"flags":0,"size":1,"text":"c"}
{"sequence":4,"enqueued":1300000000000,"expires":0,"flags":0,"size":1,"text":"a"}
{"sequence":5,"enqueued":1300000000000,"expires":0,"flags":0,"size":1,"text":"f"}
`,
	} {
		dir := t.TempDir()
		im := NewImporter(filepath.Join(dir, "cars"), options(disk.OS{}))
		held, err := im.FromKestrel(disk.OS{}, filepath.Join(fixtures, name),
			kestrel.Queue{Name: "cars", Files: []string{"cars"}})
		if err != nil || held.Items != im.Items {
			t.Fatalf("%s: got %d items imported, %v; want %d", name, im.Items, err, held.Items)
		}
		if err := im.Close(); err != nil {
			t.Fatal(err)
		}
		got, _ := export(t, disk.OS{}, filepath.Join(dir, "cars"), NewJSONEncoder, 0)
		now := regexp.MustCompile(`"enqueued":1[7-9]\d{11},`).ReplaceAllString(got,
			`"enqueued":NOW,`)
		if now != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, now, want)
		}
	}
}

// On any input, decoders fail with an error at worst, and return no more than the input holds.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte(`{"sequence":1,"enqueued":1,"expires":0,"flags":0,"size":5,"text":"he\nlo"}` +
		"\n" + `{"base64":"aGVsbG8="}`))
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x00\x00one"))
	f.Add([]byte(`{"text":"\ud83d\ude00\"`))
	f.Fuzz(func(t *testing.T, input []byte) {
		s := NewSpool(disktest.New(), ".spool")
		for _, d := range []Decoder{NewJSONDecoder(bytes.NewReader(input), s),
			NewRawDecoder(bytes.NewReader(input))} {
			var total int64
			for {
				it, err := d.Decode()
				if err != nil {
					break
				}
				n, err := io.Copy(io.Discard, it.Body)
				if err == nil && n != it.Size {
					t.Fatalf("got %d bytes of an item, want its size %d", n, it.Size)
				}
				total += n
			}
			if total > int64(len(input)) {
				t.Fatalf("got %d bytes from an input of %d", total, len(input))
			}
		}
	})
}

func TestTextProbeAgreesWithTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"a", "ü", "€", "😀", "\xc3", "\x9f\x98", "\xff", "\xf0\x9f"}
	for range 5000 {
		var whole string
		for range rng.IntN(6) {
			whole += pieces[rng.IntN(len(pieces))]
		}
		var p textProbe
		for rest := whole; rest != ""; {
			n := 1 + rng.IntN(len(rest))
			p.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		if p.valid() != utf8.ValidString(whole) {
			t.Fatalf("%q: got text %v, want %v", whole, p.valid(), !p.valid())
		}
	}
}
