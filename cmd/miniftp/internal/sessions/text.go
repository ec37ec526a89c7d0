package sessions

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/term"
)

// Line returns an event as a line for people, without the time, or "" if it is one of those that people rarely want:
//
//	alice ← /report.pdf  13 kB  100 ms
//	cam → /scan.pdf  2.1 MB  400 ms
//	alice deleted /old.txt
func (v *Event) Line() string {
	switch v.Kind {
	case LoggedIn:
		line := v.who() + " logged in from " + v.From
		if v.TLS != "" {
			line += " (" + v.TLS + ")"
		}
		return line
	case Closed:
		if v.User == "" {
			return ""
		}
		return fmt.Sprintf("%s disconnected after %s", v.who(), v.span())
	case Transfer:
		return v.transfer()
	case Changed:
		line := v.who() + " " + changeWord(v.Verb) + " " + v.Path
		if v.To != "" {
			line += " to " + v.To
		}
		return line
	case Refused:
		return v.refusal()
	case DataFailed:
		return fmt.Sprintf("%s: no data connection (%s, %s): %s", v.who(), v.Mode, v.Addr, v.Why)
	case Stranger:
		return fmt.Sprintf("%s: another host connected to the data port: %s", v.who(), v.Addr)
	case Lost:
		if v.Events == 0 {
			return "some events were lost, because there were too many between two looks"
		}
		return strconv.Itoa(v.Events) + " events were lost, because they were not read in time"
	}
	return ""
}

// who returns the user, or the address of a client that has not logged in.
func (v *Event) who() string {
	if v.User != "" {
		return v.User
	}
	return v.From
}

func (v *Event) span() string { return term.Span(time.Duration(v.Seconds * float64(time.Second))) }

func (v *Event) transfer() string {
	switch {
	case v.Why != "":
		return fmt.Sprintf("%s %s %s failed: %s", v.who(), v.Verb, v.Path, v.Why)
	case Uploads(v.Verb):
		return fmt.Sprintf("%s → %s  %s  %s", v.who(), v.Path, term.Size(v.Bytes), v.span())
	case v.Verb == "RETR":
		return fmt.Sprintf("%s ← %s  %s  %s", v.who(), v.Path, term.Size(v.Bytes), v.span())
	}
	return fmt.Sprintf("%s listed %s", v.who(), v.Path)
}

func (v *Event) refusal() string {
	line := v.who()
	if v.Verb == "" && strings.HasPrefix(v.Why, v.User+": ") { // a login; the reason has the name
		line = v.From
	}
	if v.Verb != "" {
		line += ": " + strings.TrimSpace(v.Verb+" "+v.Path)
	}
	line += " refused: " + v.Why
	if strings.Contains(v.Option, ".") { // a key of the file
		line += " (" + v.Option + ")"
	} else if v.Option != "" {
		line += " (--" + v.Option + ")"
	}
	return line
}

// changeWord returns what a command does to a file, in the past tense.
func changeWord(verb string) string {
	words := map[string]string{
		"DELE": "deleted", "RMD": "removed directory", "MKD": "made directory", "RNTO": "renamed",
		"SITE CHMOD": "changed the mode of", "SITE SYMLINK": "made link",
		"MFMT": "set the time of", "MDTM": "set the time of", "SITE UTIME": "set the time of", "MFF": "changed facts of",
	}
	if word, ok := words[verb]; ok {
		return word
	}
	return verb
}
