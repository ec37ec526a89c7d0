package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp/client"
)

// TestSharedNames has clients change the same few files through three nodes, none of which is killed. In the end, each
// file must have a content that one of them has sent whole, and the quota must be exact.
func TestSharedNames(t *testing.T) {
	requested(t, storeVar, timeVar)
	s := openStore(t)
	k := &soak{t: t, store: s, counts: map[string]int{}, limit: rate.NewLimiter(uploadRate, 64<<20)}
	dir := t.TempDir()
	k.cluster = startCluster(t, 3, func(i int) []string {
		file := filepath.Join(dir, fmt.Sprintf("miniftp%d.toml", i+1))
		check(t, os.WriteFile(file, fmt.Appendf(nil, config, s.url(i, "small", "")), 0o600))
		return []string{"--config", file, "--shared-state", s.url(i, "state", ""), s.url(i, "files", "")}
	})
	const names = 8
	sent := make([]sync.Map, names)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			c, err := k.cluster.dial(t.Context(), mainUser)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for ctx.Err() == nil {
				i := rand.IntN(names)
				k.changeShared(c, fmt.Sprintf("/s%d", i), &sent[i])
			}
		})
	}
	all.Wait()
	c, err := k.cluster.dial(t.Context(), mainUser)
	check(t, err)
	defer c.Close()
	for i := range names {
		got, err := look(t.Context(), c, fmt.Sprintf("/s%d", i))
		check(t, err)
		if _, ok := sent[i].Load(got); got.exists && !ok {
			t.Errorf("/s%d is %s, which nobody has sent", i, got)
		}
	}
	k.checkQuota(mainUser)
	k.checkUploads()
	k.report()
}

// changeShared replaces or removes a file that others change as well.
func (k *soak) changeShared(c *client.Client, name string, sent *sync.Map) {
	var err error
	what := "STOR"
	if rand.IntN(4) == 0 {
		what = "DELE"
		err = c.Delete(k.t.Context(), name)
	} else {
		whole := content{[]piece{{rand.Uint64(), 1 + rand.Int64N(64<<10)}}}
		if rand.IntN(50) == 0 {
			whole.pieces[0].size = 17 << 20
		}
		sent.Store(whole.state(), true)
		_, err = c.StoreWith(k.t.Context(), client.Transfer{Path: name, Size: whole.size()}, whole.reader(0))
	}
	switch _, decided := refusedWith(err); {
	case err == nil:
		k.count("ok %s", what)
	case decided:
		k.count("refused %s: %s", what, short(err))
	default:
		k.t.Errorf("%s %s: %v", what, name, err)
	}
}
