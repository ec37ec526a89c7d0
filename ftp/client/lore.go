package client

import (
	"strings"
	"sync/atomic"

	"miniftp/ftp"
)

// lore is what connections to one server learned about sending more than one command
// at a time; those of a Pool share it. The zero value knows nothing yet.
type lore struct {
	single atomic.Bool // the server loses commands that come in one piece with another
	ahead  atomic.Uint32
}

// Whether the next data connection may be asked for while a transfer runs.
const (
	aheadLater uint32 = iota // nothing was transferred yet
	aheadMay                 // one may try it
	aheadTried               // one tries it
	aheadBorne
	aheadNever
)

// impatient are servers, by a word of their greeting, that are known to dislike a
// command that comes before the reply to the one before it.
var impatient = []string{"microsoft ftp", "mikrotik", "madgoat"}

// meet looks at the greeting. It can only forbid.
func (l *lore) meet(greeting ftp.Reply) {
	text := strings.ToLower(greeting.Text())
	for _, name := range impatient {
		if strings.Contains(text, name) {
			l.lockStep()
		}
	}
}

// lockStep: one command at a time from now on.
func (l *lore) lockStep() {
	l.single.Store(true)
	l.ahead.Store(aheadNever)
}

// moved notes a transfer that went well in lock-step.
func (l *lore) moved() { l.ahead.CompareAndSwap(aheadLater, aheadMay) }

// claim asks whether something may be sent ahead; trial: who does it is the one who
// finds out.
func (l *lore) claim() (may, trial bool) {
	trial = l.ahead.CompareAndSwap(aheadMay, aheadTried)
	return trial || l.ahead.Load() == aheadBorne, trial
}

// giveBack ends a trial that found nothing out.
func (l *lore) giveBack() { l.ahead.CompareAndSwap(aheadTried, aheadMay) }

// borne ends a trial that went well.
func (l *lore) borne() { l.ahead.CompareAndSwap(aheadTried, aheadBorne) }
