package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A State holds the small values that several servers of one service have in common: how much of a quota is
// used, the sessions of each user, and bans. Each value has a version, and a change names the version that it
// replaces, so concurrent changes can't be lost. An object store with conditional writes can be a State
// (fsroot/s3fs). The default is in the memory of the process.
//
// Keys are words of letters, digits, - and _, separated by slashes. The methods are safe for concurrent use.
type State interface {
	// Get returns a value and its version, or fs.ErrNotExist.
	Get(ctx context.Context, key string) (value []byte, version string, err error)

	// Put stores a value and returns its version. It does so only if the current version is the given one; ""
	// means that there is no value. Otherwise the error is syscall.ESTALE.
	Put(ctx context.Context, key string, value []byte, version string) (newVersion string, err error)

	// Delete removes a value if its version is the given one; otherwise the error is syscall.ESTALE.
	Delete(ctx context.Context, key, version string) error

	// Keys returns the keys that begin with prefix, in any order.
	Keys(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// memState is a State in memory.
type memState struct {
	mu     sync.Mutex
	values map[string]memValue
	last   uint64
}

type memValue struct {
	value   []byte
	version string
}

func newMemState() *memState { return &memState{values: map[string]memValue{}} }

func (m *memState) Get(_ context.Context, key string) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok {
		return nil, "", fs.ErrNotExist
	}
	return v.value, v.version, nil
}

func (m *memState) Put(_ context.Context, key string, value []byte, version string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[key].version != version {
		return "", syscall.ESTALE
	}
	m.last++
	m.values[key] = memValue{bytes.Clone(value), fmt.Sprint(m.last)}
	return m.values[key].version, nil
}

func (m *memState) Delete(_ context.Context, key, version string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values[key].version != version {
		return syscall.ESTALE
	}
	delete(m.values, key)
	return nil
}

func (m *memState) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.values {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return func(yield func(string, error) bool) {
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// stateKey returns the key for name, which may have any characters, in a group of values.
func stateKey(group, name string) string {
	return group + "/" + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// nameOfKey undoes stateKey.
func nameOfKey(key string) (string, bool) {
	_, encoded, _ := strings.Cut(key, "/")
	name, err := base64.RawURLEncoding.DecodeString(encoded)
	return string(name), err == nil
}

// errUnchanged is returned by a function for updateState that has nothing to change.
var errUnchanged = errors.New("unchanged")

// maxUpdates is how often a change is tried while others change the same value.
const maxUpdates = 200

// updateState changes a value that is kept as JSON. change gets the current value, the zero value if there is none,
// and modifies it. It is called again if another server changes the value at the same time, so it must have no other
// effects. If change returns an error, nothing is stored, and updateState returns that error, except for errUnchanged.
func updateState[V any](ctx context.Context, state State, key string, change func(*V) error) (V, error) {
	var zero V
	if t, ok := state.(*turns); ok {
		release, err := t.take(ctx, key)
		if err != nil {
			return zero, err
		}
		defer release()
	}
	for try := range maxUpdates {
		v, version, err := readState[V](ctx, state, key)
		if err != nil {
			return zero, err
		}
		switch err := change(&v); {
		case errors.Is(err, errUnchanged):
			return v, nil
		case err != nil:
			return v, err
		}
		text, err := json.Marshal(v)
		if err != nil {
			return zero, err
		}
		_, err = state.Put(ctx, key, text, version)
		if !errors.Is(err, syscall.ESTALE) {
			return v, err
		}
		select { // wait, so that those who want to change it do not all try at once
		case <-time.After(rand.N(time.Duration(min(try+1, 20)) * updatePause)):
		case <-ctx.Done():
			return zero, context.Cause(ctx)
		}
	}
	return zero, fmt.Errorf("%s: changed by others each time", key)
}

// readState returns a value and its version, or the zero value and "" if there is none.
func readState[V any](ctx context.Context, state State, key string) (v V, version string, err error) {
	text, version, err := state.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return v, "", nil
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, version, err
}

// turns is a State whose values the sessions of one server change one after the other, in the order in which they ask.
// Without it they would hinder each other as other servers do, and some would wait much longer than others.
type turns struct {
	State
	mu    sync.Mutex
	taken map[string]*turn // by key
}

// turn is held by the session that changes a value.
type turn struct {
	free  chan struct{}
	users int // sessions that hold it or wait for it; guarded by turns.mu
}

func newTurns(state State) *turns { return &turns{State: state, taken: map[string]*turn{}} }

// take waits for the turn to change a value. The caller must call release.
func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	t.mu.Lock()
	own := t.taken[key]
	if own == nil {
		own = &turn{free: make(chan struct{}, 1)}
		t.taken[key] = own
	}
	own.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.taken, key)
		}
	}
	select {
	case own.free <- struct{}{}:
		return func() { <-own.free; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
