package client

import "testing"

func TestLossesAreSaidInWords(t *testing.T) {
	for _, of := range []struct {
		figures map[string]string
		want    string
	}{
		{map[string]string{"items": "3"}, ""},
		{map[string]string{"expired_items": "0", "refused": "0", "refused_disk_full": "0"}, ""},
		{map[string]string{"damaged_records": "2"}, "2 damaged"},
		{map[string]string{
			"expired_items": "12", "discarded": "7", "discarded_full": "4", "discarded_flushed": "3",
			"dead_letters": "8", "damaged_records": "1", "refused": "6", "refused_disk_full": "5", "refused_too_large": "1",
			"refused_failed": "0",
		}, "12 expired, 8 delivered too often, 4 discarded for new ones, 3 given back after a flush, 1 damaged, " +
			"6 refused (1 too large, 5 disk full)"},
	} {
		if got := (QueueStats{Name: "q", Figure: of.figures}).Losses(); got != of.want {
			t.Errorf("got %q, want %q", got, of.want)
		}
	}
}
