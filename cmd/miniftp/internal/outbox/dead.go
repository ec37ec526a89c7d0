package outbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// maxDead limits the file of rejected events. When it is full, it replaces the one before it.
const maxDead = 10 << 20

// deadLetters is a file of events that a receiver has rejected.
type deadLetters struct {
	dir string
	mu  sync.Mutex // several queues may add
}

// deadLetter is a line of it.
type deadLetter struct {
	Receiver string    `json:"receiver"`
	Given    time.Time `json:"given_up"`
	Why      string    `json:"why"`
	Event    *Event    `json:"event"`
}

func (d *deadLetters) add(e *Event, receiver string, why error) error {
	line, err := json.Marshal(deadLetter{receiver, time.Now().UTC(), why.Error(), e})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name := filepath.Join(d.dir, "dead-letters")
	if fi, err := os.Stat(name); err == nil && fi.Size()+int64(len(line)) > maxDead {
		if err := os.Rename(name, name+".1"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
