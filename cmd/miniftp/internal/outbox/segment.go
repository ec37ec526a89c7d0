package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"miniftp/ftp/server"
)

// The types of records.
const (
	isBegin = "begin" // a change is about to be made
	isEvent = "event" // a change was made
	isDone  = "done"  // the change of an earlier begin was made
	isUndo  = "undo"  // it was not made
	isSent  = "sent"  // the receiver To has got the event
)

// record is a line of the journal, which begins with the CRC-32 of the rest in hex.
type record struct {
	Type   string            `json:"t"`
	Seq    uint64            `json:"seq"`
	Event  *Event            `json:"event,omitempty"`
	Before *server.FileState `json:"before,omitempty"`
	To     string            `json:"to,omitempty"`
}

// line returns the line of r.
func (r *record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text), nil
}

// parseRecord returns the record in a line, and false if the line is damaged.
func parseRecord(line []byte) (r record, ok bool) {
	sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	if !ok || len(sum) != 8 || !bytes.HasSuffix(line, []byte("\n")) {
		return r, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != crc32.ChecksumIEEE(text) || json.Unmarshal(text, &r) != nil {
		return r, false
	}
	return r, (r.Type != isBegin && r.Type != isEvent) || r.Event != nil
}

// segment is a file of the journal.
type segment struct {
	path  string
	size  int64
	items map[*item]struct{} // those whose record is here and is still needed
	live  int64              // bytes of these records
}

// item is an event of the journal.
type item struct {
	seq uint64
	seg *segment
	at  int64 // its record in seg
	n   int64
	// left has a bit for each receiver that has not got the event.
	left      uint8
	made      bool // false: the change is about to be made
	recovered bool
	began     int64 // Unix time
}

// settle makes seg the place of it.
func (s *segment) settle(it *item, at, n int64) {
	if it.seg != nil {
		it.seg.forget(it)
	}
	it.seg, it.at, it.n = s, at, n
	s.items[it] = struct{}{}
	s.live += n
}

func (s *segment) forget(it *item) {
	if _, ok := s.items[it]; ok {
		delete(s.items, it)
		s.live -= it.n
	}
}

// segmentName returns the name of a segment.
func segmentName(dir string, n uint64) string {
	return filepath.Join(dir, fmt.Sprintf("journal-%010d", n))
}

// segmentNumber returns the number of a segment by its name.
func segmentNumber(path string) (uint64, bool) {
	text, ok := strings.CutPrefix(filepath.Base(path), "journal-")
	if !ok || len(text) != 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}

// syncDir makes the names in a directory durable, where the system can do that.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
