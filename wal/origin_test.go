package wal

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/darner/darner/segment"
)

var origins = []Origin{
	{},
	{Log: "jobs", Seq: 7, Why: Undeliverable, Deliveries: 5, Enqueued: 1700000000000},
	{Log: "a/b+c", Seq: math.MaxUint64, Why: Expired, Deliveries: math.MaxUint32,
		Enqueued: math.MinInt64, Expires: math.MaxInt64},
	{Seq: 1, Why: 200, Enqueued: -1, Expires: -2},
}

func TestAnOriginReadsBackAsItWas(t *testing.T) {
	for _, o := range origins {
		if got := DecodeOrigin(o.note()); !reflect.DeepEqual(got, &o) {
			t.Errorf("got %+v, want %+v", got, o)
		}
	}
	if (*Origin)(nil).note() != nil || DecodeOrigin(nil) != nil {
		t.Error("got an origin, want none of an item that was not moved")
	}
	const written = "01020705" + "80a0abfef962" + "00" + "6a6f6273"
	if got := hex.EncodeToString(origins[1].note()); got != written {
		t.Errorf("got %s written today, want %s", got, written)
	}
}

func TestANameThatIsTooLongForARecordIsCut(t *testing.T) {
	o := Origin{Log: strings.Repeat("x", 1000), Seq: math.MaxUint64, Why: Expired,
		Deliveries: math.MaxUint32, Enqueued: math.MinInt64, Expires: math.MinInt64}
	n := o.note()
	got := DecodeOrigin(n)
	if len(n) != segment.MaxNote || got.Seq != o.Seq || len(got.Log) < 255 ||
		!strings.HasPrefix(o.Log, got.Log) {
		t.Errorf("got %d bytes, read as %+v, want all but the end of the name", len(n), got)
	}
}

// Whatever a newer program keeps, an item has an origin, and it is no error.
func TestAnOriginOfAnotherVersionIsUnknown(t *testing.T) {
	whole := origins[2].note()
	for name, n := range map[string][]byte{
		"a newer version":  append([]byte{2}, whole[1:]...),
		"version 0":        {0},
		"only the version": {1},
		"cut":              whole[:8],
		"a number too large": append([]byte{1, 1},
			bytes.Repeat([]byte{0xff}, 20)...),
		"too large a reason":   {1, 0x80, 2, 0, 0, 0, 0},
		"too many deliveries":  {1, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0},
		"nothing but a number": {9},
	} {
		got := DecodeOrigin(n)
		if got == nil || *got != (Origin{}) || got.Why.String() != "unknown" {
			t.Errorf("%s: got %+v, want an origin that is not known", name, got)
		}
	}
	for why, want := range map[Why]string{
		Unknown: "unknown", Expired: "expired", Undeliverable: "undeliverable", 77: "unknown",
	} {
		if got := why.String(); got != want {
			t.Errorf("reason %d: got %q, want %q", why, got, want)
		}
	}
}

// FuzzOrigin reads any note. What is read is written and read back as it was.
func FuzzOrigin(f *testing.F) {
	for _, o := range origins {
		f.Add(o.note())
	}
	f.Add([]byte{2, 1, 1})
	f.Fuzz(func(t *testing.T, n []byte) {
		n = n[:min(len(n), segment.MaxNote)]
		got := DecodeOrigin(n)
		if (got == nil) != (len(n) == 0) {
			t.Fatalf("got %+v of %d bytes", got, len(n))
		}
		if got == nil {
			return
		}
		again := got.note()
		if o := DecodeOrigin(again); !reflect.DeepEqual(o, got) || len(again) > max(len(n), 7) {
			t.Fatalf("got %+v, and %d bytes read as %+v after it was written", got, len(again), o)
		}
	})
}
