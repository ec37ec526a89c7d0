package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// Servers that share a state publish their sessions in it, each under its name, with a time until which that is true.
// To end a session at one of them, a caller leaves an order there, which the server carries out and removes:
//
//	nodes/NAME           = node
//	orders/NAME/RANDOM   = order

type node struct {
	Name     string          `json:"name"`
	Instance string          `json:"instance"` // random, for each start of a server, because session numbers begin anew
	Until    time.Time       `json:"until"`
	Sessions []sessions.Info `json:"sessions"`
	Omitted  int             `json:"omitted"` // sessions that there is no room for

	Events []sessions.Event `json:"events"` // the recent ones
}

type order struct {
	Instance string    `json:"instance"`
	Kick     []uint64  `json:"kick"`
	Until    time.Time `json:"until"`
}

const (
	nodesGroup  = "nodes"
	ordersGroup = "orders"

	nodeEvery    = 5 * time.Second
	nodeLasts    = 20 * time.Second // allows for a slow store, and for clocks that differ
	nodeWait     = 10 * time.Second // for the requests of one turn
	orderWait    = 15 * time.Second
	orderLook    = 500 * time.Millisecond
	deadNode     = time.Hour // after which others remove what a dead server has published
	maxPublished = 5000      // sessions
	maxOrders    = 1000      // that are carried out in one turn
)

func encoded(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

func nodeKey(name string) string { return nodesGroup + "/" + encoded(name) }

// read returns a value of a state and its version, which is "" if there is none.
func read[V any](ctx context.Context, state server.State, key string) (v V, version string, err error) {
	text, version, err := state.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return v, "", nil
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, version, err
}

// Publish publishes the sessions of b in a state that servers share, and carries out orders, until ctx ends.
func Publish(ctx context.Context, b *Backend, state server.State, log *slog.Logger) {
	n := &publisher{b: b, state: state, log: log, instance: rand.Text(), key: nodeKey(b.Name), every: nodeEvery}
	n.run(ctx)
}

// publisher publishes the sessions of one server.
type publisher struct {
	b        *Backend
	state    server.State
	log      *slog.Logger
	instance string
	key      string
	every    time.Duration
	version  string // of what was published last
	failing  bool   // the last turn failed
}

func (n *publisher) run(ctx context.Context) {
	tick := time.NewTicker(n.every)
	defer tick.Stop()
	for first := true; ctx.Err() == nil; first = false {
		turn, cancel := context.WithTimeout(ctx, nodeWait)
		err := n.orders(turn)
		if err == nil {
			err = n.publish(turn)
		}
		if err == nil && first {
			err = n.removeDead(turn)
		}
		cancel()
		if err != nil && ctx.Err() == nil && !n.failing {
			n.log.Warn("can't publish the sessions for the other servers", "err", err)
		}
		n.failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	if n.version != "" {
		_ = n.state.Delete(end, n.key, n.version)
	}
}

// publish publishes the sessions.
func (n *publisher) publish(ctx context.Context) error {
	all := n.b.infos()
	v := node{Name: n.b.Name, Instance: n.instance, Until: time.Now().Add(nodeLasts), Sessions: all, Events: n.b.Sessions.Recent()}
	if len(all) > maxPublished {
		v.Sessions, v.Omitted = all[:maxPublished], len(all)-maxPublished
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	for range 3 {
		version, err := n.state.Put(ctx, n.key, text, n.version)
		if err == nil {
			n.version = version
			return nil
		}
		if !errors.Is(err, syscall.ESTALE) {
			return err
		}
		// It is what an earlier server of that name has left, or what a Put has written whose answer was lost.
		if _, n.version, err = read[node](ctx, n.state, n.key); err != nil {
			return err
		}
	}
	return errors.New("another server publishes under the same name, " + n.b.Name)
}

// orders carries out the orders for this server.
func (n *publisher) orders(ctx context.Context) error {
	done := 0
	for key, err := range n.state.Keys(ctx, ordersGroup+"/"+encoded(n.b.Name)+"/") {
		if err != nil {
			return err
		}
		if done++; done > maxOrders {
			return nil
		}
		o, version, err := read[order](ctx, n.state, key)
		if err != nil || version == "" {
			continue // not an order of ours, or just removed
		}
		if o.Instance == n.instance && time.Now().Before(o.Until) {
			for _, id := range o.Kick {
				if n.b.Server.Kick(id) {
					n.log.Info("session ended by an order in the shared state", "session", id)
				}
			}
		}
		if err := n.state.Delete(ctx, key, version); err != nil && !errors.Is(err, syscall.ESTALE) {
			return err
		}
	}
	return nil
}

// removeDead removes what servers have published that ended long ago without removing it.
func (n *publisher) removeDead(ctx context.Context) error {
	for key, err := range n.state.Keys(ctx, nodesGroup+"/") {
		if err != nil {
			return err
		}
		v, version, err := read[node](ctx, n.state, key)
		if err == nil && version != "" && time.Since(v.Until) > deadNode {
			err = n.state.Delete(ctx, key, version)
		}
		if err != nil && !errors.Is(err, syscall.ESTALE) {
			return err
		}
	}
	return nil
}

// Shared manages all servers that share a state.
type Shared struct{ State server.State }

// nodes returns what the living servers have published.
func (s Shared) nodes(ctx context.Context) (all []node, err error) {
	for key, err := range s.State.Keys(ctx, nodesGroup+"/") {
		if err != nil {
			return nil, err
		}
		v, version, err := read[node](ctx, s.State, key)
		if err != nil {
			return nil, err
		}
		if version != "" && time.Now().Before(v.Until) {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b node) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Sessions returns the sessions of all living servers, as of some seconds ago. servers is the number of these servers,
// and omitted that of sessions that they had no room to publish.
func (s Shared) Sessions(ctx context.Context) (all []sessions.Info, servers, omitted int, err error) {
	nodes, err := s.nodes(ctx)
	for _, n := range nodes {
		all = append(all, n.Sessions...)
		omitted += n.Omitted
	}
	return all, len(nodes), omitted, err
}

// Events calls got with the recent events of all living servers, in the order of their times. If follow is set, it then
// continues with those that come, until ctx ends. They arrive some seconds late.
func (s Shared) Events(ctx context.Context, follow bool, got func(sessions.Event) error) error {
	last := map[string]time.Time{} // of the last event, by server and start
	for {
		nodes, err := s.nodes(ctx)
		if err != nil {
			return err
		}
		var all []sessions.Event
		for _, n := range nodes {
			all = append(all, n.since(last)...)
		}
		slices.SortStableFunc(all, func(a, b sessions.Event) int { return a.Time.Compare(b.Time) })
		for _, v := range all {
			if err := got(v); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-time.After(nodeEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// since returns the events of a server after the last one in last, which it updates. If there were more than a server
// publishes, they begin with one that says so.
func (n *node) since(last map[string]time.Time) (events []sessions.Event) {
	key := n.Name + " " + n.Instance
	before, known := last[key]
	if known && len(n.Events) == sessions.Kept && n.Events[0].Time.After(before) {
		events = append(events, sessions.Event{Version: sessions.Version, Time: n.Events[0].Time, Kind: sessions.Lost, Server: n.Name})
	}
	for _, v := range n.Events {
		if v.Time.After(before) {
			v.Server = n.Name
			events = append(events, v)
			last[key] = v.Time
		}
	}
	if len(n.Events) == 0 && !known {
		last[key] = time.Time{}
	}
	return events
}

// Target is a session of one of several servers.
type Target struct {
	Server string
	ID     uint64
}

// Kick orders the servers to end sessions: targets or, if there are none, all that w selects. It waits until the orders
// have been carried out, and returns the sessions.
func (s Shared) Kick(ctx context.Context, targets []Target, w Which) (ended []sessions.Info, err error) {
	match, err := w.match()
	if err != nil {
		return nil, err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, orderWait+nodeWait)
	defer cancel()
	pending := map[string][]sessions.Info{} // by key of the order
	for _, n := range nodes {
		var chosen []sessions.Info
		o := order{Instance: n.Instance, Until: time.Now().Add(orderWait)}
		for _, in := range n.Sessions {
			if slices.Contains(targets, Target{n.Name, in.ID}) || len(targets) == 0 && match(&in) {
				chosen = append(chosen, in)
				o.Kick = append(o.Kick, in.ID)
			}
		}
		if len(chosen) == 0 {
			continue
		}
		text, err := json.Marshal(o)
		if err != nil {
			return nil, err
		}
		key := ordersGroup + "/" + encoded(n.Name) + "/" + rand.Text()
		if _, err := s.State.Put(ctx, key, text, ""); err != nil {
			return nil, err
		}
		pending[key] = chosen
	}
	return s.await(ctx, pending)
}

// await waits until orders have been removed, and returns the sessions of those that were. It removes the others.
func (s Shared) await(ctx context.Context, pending map[string][]sessions.Info) (ended []sessions.Info, err error) {
	late := ""
	for end := time.Now().Add(orderWait); len(pending) > 0; {
		for key, chosen := range pending {
			_, version, err := read[order](ctx, s.State, key)
			switch {
			case err != nil:
				return ended, err
			case version == "":
				ended = append(ended, chosen...)
				delete(pending, key)
			case time.Now().After(end):
				late = chosen[0].Server
				_ = s.State.Delete(ctx, key, version)
				delete(pending, key)
			}
		}
		if len(pending) == 0 {
			break
		}
		select {
		case <-time.After(orderLook):
		case <-ctx.Done():
			return ended, context.Cause(ctx)
		}
	}
	if late != "" {
		return ended, failed(verb.ExitConnect, "%s has not carried out the order within %v", late, orderWait)
	}
	return ended, nil
}

// Bans returns the bans that the servers share.
func (s Shared) Bans(ctx context.Context) ([]Ban, error) {
	all := []Ban{}
	for key, err := range s.State.Keys(ctx, "bans/") {
		if err != nil {
			return nil, err
		}
		_, name, _ := strings.Cut(key, "/")
		text, err := base64.RawURLEncoding.DecodeString(name)
		if err != nil {
			continue
		}
		v, version, err := read[struct {
			Until time.Time `json:"until"`
		}](ctx, s.State, key)
		if err != nil {
			return nil, err
		}
		if version != "" && time.Now().Before(v.Until) {
			all = append(all, banOf(server.Ban{Name: string(text), Until: v.Until}))
		}
	}
	return all, nil
}

// Ban adds a ban, which the servers take over within seconds. Its Until is ignored.
func (s Shared) Ban(ctx context.Context, b Ban, d time.Duration) error {
	return server.ShareBan(ctx, s.State, b.name(), d)
}

// Unban lifts a ban, which the servers do within seconds.
func (s Shared) Unban(ctx context.Context, b Ban) error {
	all, err := s.Bans(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(o Ban) bool { return o.name() == b.name() }) {
		return failed(verb.ExitRefused, "%s is not banned", b)
	}
	return server.LiftSharedBan(ctx, s.State, b.name())
}
