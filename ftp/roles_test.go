package ftp

import (
	"fmt"
	"testing"
)

func TestStance(t *testing.T) {
	tests := []struct {
		side Side
		mode DataMode
		want Stance
	}{
		{ServerPI, Passive, Listens},
		{UserPI, Passive, Dials},
		{ServerPI, Active, Dials},
		{UserPI, Active, Listens},
	}
	for _, tt := range tests {
		if got := tt.side.Stance(tt.mode); got != tt.want {
			t.Errorf("%v, %v: got %v, want %v", tt.side, tt.mode, got, tt.want)
		}
	}
	for _, mode := range []DataMode{Passive, Active} {
		if UserPI.Stance(mode) == ServerPI.Stance(mode) {
			t.Errorf("%v: both sides have the same stance", mode)
		}
	}
}

func TestSender(t *testing.T) {
	if Retrieve.Sender() != ServerPI || Store.Sender() != UserPI {
		t.Errorf("retrieve: %v sends, store: %v sends", Retrieve.Sender(), Store.Sender())
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		value fmt.Stringer
		want  string
	}{
		{UserPI, "user"},
		{ServerPI, "server"},
		{Side(9), "9?"},
		{Passive, "passive"},
		{Active, "active"},
		{Listens, "listens"},
		{Dials, "dials"},
		{Retrieve, "retrieve"},
		{Store, "store"},
		{ASCII, "A"},
		{Image, "I"},
		{Local8, "L 8"},
		{EBCDIC, "E"},
		{Type(200), "200?"},
		{FileStructure, "F"},
		{RecordStructure, "R"},
		{PageStructure, "P"},
		{Stream, "S"},
		{Block, "B"},
		{Compressed, "C"},
		{Deflate, "Z"},
		{Clear, "C"},
		{Private, "P"},
		{Fresh, "fresh"},
		{NeedPass, "need password"},
		{NeedAcct, "need account"},
		{LoggedIn, "logged in"},
		{Closing, "closing"},
		{NothingPending, "nothing"},
		{RenameFrom, "rename from"},
		{RestartAt, "restart at"},
		{Idle, "idle"},
		{Busy, "busy"},
		{UnknownEntry, "unknown"},
		{FileEntry, "file"},
		{DirEntry, "dir"},
		{CDirEntry, "cdir"},
		{PDirEntry, "pdir"},
		{LinkEntry, "link"},
		{OtherEntry, "other"},
	}
	for _, tt := range tests {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%T: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestZeroValues(t *testing.T) {
	want := Params{Type: ASCII, Structure: FileStructure, Mode: Stream, Protection: Clear}
	if (Params{}) != want {
		t.Error("the zero Params are not RFC 959's defaults")
	}
	if (Machine{}) != (Machine{Login: Fresh, Pending: NothingPending, Transfer: Idle}) {
		t.Error("the zero Machine is not a fresh connection")
	}
}
