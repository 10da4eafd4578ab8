package main

// darner peek --info: what the server knows of the next item, for people, or as JSON.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/darner/darner/tools/client"
	"github.com/darner/darner/tools/names"
)

func infoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{
			Name:  "info",
			Usage: "write what is known of the item instead, and where it came from if it was moved",
		},
		&cli.BoolFlag{Name: "json", Usage: "with --info: as a line of JSON"},
	}
}

func peekInfo(c *cli.Context) error {
	if !c.Bool("info") {
		return usage("--json is for --info")
	}
	write := writeInfo
	if c.Bool("json") {
		write = writeInfoJSON
	}
	return withQueue(c, func(from *client.Client, queue string) error {
		head, ok, err := from.Info(queue)
		switch {
		case err != nil:
			return err
		case !ok:
			return empty(queue)
		}
		return write(os.Stdout, head)
	})
}

// writeInfo writes a line for each thing that is known.
func writeInfo(out io.Writer, head client.Info) error {
	_, err := fmt.Fprintf(out, "sequence    %d\nsize        %d\nflags       %d\nenqueued    %s\n"+
		"expires     %s\ndue         %s\ndeliveries  %d\nfrom        %s\n",
		head.Sequence, head.Size, head.Flags, stamp(head.Enqueued), stamp(head.Expires),
		stamp(head.Due), head.Deliveries, origin(head.From))
	return err
}

// stamp writes a time in Unix ms; 0 is none.
func stamp(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// origin says where an item came from.
func origin(from *client.Origin) string {
	switch {
	case from == nil:
		return "-"
	case from.Queue == "":
		return "unknown"
	}
	text := fmt.Sprintf("%s, item %d, %s",
		names.Printable(from.Queue), from.Sequence, names.Printable(from.Why))
	if n := from.Deliveries; n > 0 {
		text += " after " + deliveries(n)
	}
	return text
}

func deliveries(n uint32) string {
	if n == 1 {
		return "1 delivery"
	}
	return fmt.Sprintf("%d deliveries", n)
}

// infoJSON is an item in JSON, by the names that darner-fsck export has for the same. Times are in
// Unix ms.
type infoJSON struct {
	Sequence   uint64      `json:"sequence"`
	Enqueued   int64       `json:"enqueued"`
	Expires    int64       `json:"expires"`
	Due        int64       `json:"due"`
	Flags      uint32      `json:"flags"`
	Size       int64       `json:"size"`
	Deliveries uint32      `json:"deliveries"`
	From       *originJSON `json:"from"`
}

// originJSON has the name in base64 where it is no text.
type originJSON struct {
	Queue      string `json:"queue,omitempty"`
	Base64     []byte `json:"base64,omitempty"`
	Why        string `json:"why,omitempty"`
	Sequence   uint64 `json:"sequence"`
	Deliveries uint32 `json:"deliveries"`
}

func writeInfoJSON(out io.Writer, head client.Info) error {
	line := infoJSON{
		Sequence: head.Sequence, Enqueued: head.Enqueued, Expires: head.Expires, Due: head.Due,
		Flags: head.Flags, Size: head.Size, Deliveries: head.Deliveries,
	}
	if o := head.From; o != nil {
		line.From = &originJSON{Why: o.Why, Sequence: o.Sequence, Deliveries: o.Deliveries}
		if utf8.ValidString(o.Queue) {
			line.From.Queue = o.Queue
		} else {
			line.From.Base64 = []byte(o.Queue)
		}
	}
	to := json.NewEncoder(out)
	to.SetEscapeHTML(false)
	return to.Encode(line)
}
