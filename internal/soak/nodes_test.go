package soak_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"miniftp/ftp/client"
)

const (
	workers   = 50
	killEvery = 5 * time.Second
	// uploadRate limits the bytes of all uploads, because stores free the space of replaced files only later.
	uploadRate = 20 << 20
	maxTries   = 12
	keptFiles  = 12 // of a worker
)

// TestNodes runs clients against three nodes behind a balancer while one node after the other is killed, and checks
// that what was confirmed is there, and nothing else.
func TestNodes(t *testing.T) {
	requested(t, storeVar, timeVar)
	span := 30 * time.Second
	if text := os.Getenv(timeVar); text != "" {
		var err error
		span, err = time.ParseDuration(text)
		check(t, err)
	}
	s := openStore(t)
	k := &soak{t: t, store: s, counts: map[string]int{}, limit: rate.NewLimiter(uploadRate, 64<<20)}
	dir := t.TempDir()
	k.cluster = startCluster(t, 3, func(i int) []string {
		file := filepath.Join(dir, fmt.Sprintf("miniftp%d.toml", i+1))
		check(t, os.WriteFile(file, fmt.Appendf(nil, config, s.url(i, "small", "")), 0o600))
		return []string{"--config", file, "--shared-state", s.url(i, "state", ""), s.url(i, "files", "")}
	})
	k.run(span)
	k.settle()
	k.verify()
	k.checkQuota(mainUser)
	k.checkQuota(smallUser)
	k.checkUploads()
	k.report()
}

// soak is one run.
type soak struct {
	t       *testing.T
	store   *store
	cluster *cluster
	limit   *rate.Limiter
	workers []*worker

	bytes atomic.Int64
	mu    sync.Mutex
	// counts counts operations, refusals and findings.
	counts map[string]int
}

func (k *soak) count(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.counts[fmt.Sprintf(format, args...)]++
}

func (k *soak) run(span time.Duration) {
	ctx, cancel := context.WithTimeout(k.t.Context(), span)
	defer cancel()
	var all sync.WaitGroup
	for i := range workers {
		w := &worker{k: k, id: i, user: mainUser, dir: fmt.Sprintf("/c%02d", i)}
		switch {
		case i%10 == 9:
			w.user = smallUser
		case i%10 == 8:
			w.program = "curl"
		case i%10 == 7:
			w.program = "lftp"
		}
		k.workers = append(k.workers, w)
		all.Go(func() { w.run(ctx) })
	}
	kills := 0
	all.Go(func() { kills = k.cluster.killSome(ctx, killEvery) })
	all.Wait()
	k.counts["kills"] = kills
}

// settle waits until all nodes answer and what killed nodes have begun is over.
func (k *soak) settle() {
	for _, n := range k.cluster.nodes {
		if err := awaitGreeting(k.t.Context(), n.addr, 20*time.Second); err != nil {
			k.t.Fatalf("a node does not greet after the soak: %v; its log is %s", err, n.log)
		}
	}
	time.Sleep(unsureFor)
}

// worker is one client, which alone uses its directory.
type worker struct {
	k       *soak
	id      int
	user    string
	dir     string
	program string // makes new files instead of this package
	c       *client.Client
	files   []*file
	all     []*file
	next    int
}

func (w *worker) run(ctx context.Context) {
	op, cancel := context.WithCancel(w.k.t.Context())
	defer cancel()
	defer func() { w.hangUp() }()
	if !w.makeDirs(op) {
		w.k.t.Errorf("%s could not be made", w.dir)
		return
	}
	for ctx.Err() == nil {
		w.step(op)
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	}
}

func (w *worker) makeDirs(ctx context.Context) bool {
	for range maxTries {
		if !w.connect(ctx) {
			continue
		}
		err := w.c.MakeDirAll(ctx, w.dir+"/sub")
		if err == nil {
			return true
		}
		w.k.count("failed MKD: %s", short(err))
		w.hangUp()
		time.Sleep(time.Second)
	}
	return false
}

// connect logs in if there is no connection.
func (w *worker) connect(ctx context.Context) bool {
	for range maxTries {
		if w.c != nil && w.c.Alive() {
			return true
		}
		w.hangUp()
		c, err := w.k.cluster.dial(ctx, w.user)
		if err == nil {
			w.c = c
			return true
		}
		w.k.count("failed login: %s", short(err))
		time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
	}
	return false
}

func (w *worker) hangUp() {
	if w.c != nil {
		_ = w.c.Close()
		w.c = nil
	}
}

func (w *worker) step(ctx context.Context) {
	f := w.pick()
	switch n := rand.IntN(100); {
	case f == nil || n < 25 && len(w.files) < keptFiles:
		w.create(ctx)
	case n < 40:
		w.upload(ctx, f, somePiece(), false)
	case n < 52:
		w.add(ctx, f)
	case n < 64:
		w.rename(ctx, f)
	case n < 74 || len(w.files) >= keptFiles && n < 80:
		w.remove(ctx, f)
	case n < 95:
		w.download(ctx, f)
	default:
		w.list(ctx)
	}
}

// pick returns one of the files of which all is known.
func (w *worker) pick() *file {
	var known []*file
	for _, f := range w.files {
		if f.known() {
			known = append(known, f)
		}
	}
	if len(known) == 0 {
		return nil
	}
	return known[rand.IntN(len(known))]
}

// fresh returns a file with a name that was never used.
func (w *worker) fresh() *file {
	w.next++
	dir := w.dir
	if rand.IntN(3) == 0 {
		dir += "/sub"
	}
	f := newFile(path.Join(dir, fmt.Sprintf("f%d ä.bin", w.next)))
	w.files, w.all = append(w.files, f), append(w.all, f)
	return f
}

func (w *worker) forget(f *file) {
	w.files = slices.DeleteFunc(w.files, func(g *file) bool { return g == f })
}

func (w *worker) create(ctx context.Context) {
	if w.program != "" && rand.IntN(3) == 0 {
		w.run3(ctx, w.fresh(), somePiece())
		return
	}
	w.upload(ctx, w.fresh(), somePiece(), true)
}

// upload stores a file whole, and tries again until the server confirms it. The upload of a new file is resumed.
func (w *worker) upload(ctx context.Context, f *file, p piece, isNew bool) {
	c := content{[]piece{p}}
	whole := c.state()
	_ = w.k.limit.WaitN(ctx, int(p.size))
	w.k.bytes.Add(p.size)
	resume := false
	for try := range maxTries {
		if !w.connect(ctx) {
			break
		}
		offset := int64(0)
		if try > 0 && isNew && resume {
			offset = w.kept(ctx, f, c.size())
		}
		src := c.reader(offset)
		_, err := w.c.StoreWith(ctx, client.Transfer{Path: f.name, Offset: offset, Size: c.size()}, src)
		f.note("STOR %s from %d: %v", whole, offset, short(err))
		if err == nil {
			w.k.count("ok STOR")
			if offset > 0 {
				w.k.count("ok STOR resumed")
			}
			f.is(whole, c)
			return
		}
		r, decided := refusedWith(err)
		switch {
		case decided && r.Code == 552:
			w.k.count("refused STOR: %s", short(err))
			w.forgetIfNew(f, isNew)
			return
		case decided:
			w.k.count("refused STOR: %s", short(err))
			resume = r.Code != 554
			time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
		default:
			w.k.count("lost STOR, all sent: %v", src.sent())
			if src.sent() {
				f.maybe(whole)
			}
			resume = true
			w.hangUp()
		}
	}
	w.k.count("given up STOR")
	f.retired = true
}

func (w *worker) forgetIfNew(f *file, isNew bool) {
	if isNew {
		f.retired = true
		w.forget(f)
	}
}

// kept returns how many bytes of a new file can be resumed, as the server says. All of them means that the file is
// there, or that only the last step is missing, so the client repeats the last byte.
func (w *worker) kept(ctx context.Context, f *file, size int64) int64 {
	n, err := w.c.Size(ctx, f.name)
	switch {
	case err != nil:
		return 0
	case n > size:
		w.k.t.Errorf("SIZE says %d, but only %d bytes were sent\n    %s", n, size, f.story())
		return 0
	case n == size:
		w.k.count("SIZE of a lost upload says that it is whole")
		return 0
	case n > 0:
		f.note("SIZE %d", n)
	}
	return n
}

// add appends to a file. After a lost reply the client asks how much has arrived.
func (w *worker) add(ctx context.Context, f *file) {
	p := somePiece()
	if f.may[0].size > 24<<20 {
		p.size = 5000
	}
	old, whole := f.now, f.now.with(p)
	before := old.size()
	after := whole.state()
	_ = w.k.limit.WaitN(ctx, int(p.size))
	w.k.bytes.Add(p.size)
	at, ask := before, false
	for range maxTries {
		if !w.connect(ctx) {
			break
		}
		if ask {
			n, err := w.c.Size(ctx, f.name)
			f.note("SIZE %d %v", n, short(err))
			if err != nil {
				w.hangUp()
				continue
			}
			if n < before || n > whole.size() {
				w.k.t.Errorf("after an interrupted APPE, SIZE says %d, want %d to %d\n    %s", n, before, whole.size(), f.story())
				break
			}
			if at = n; n == whole.size() {
				w.k.count("SIZE after a lost APPE says that it is whole")
				break // the verification shows whether it is
			}
		}
		src := whole.reader(at)
		_, err := w.c.Append(ctx, f.name, src)
		f.note("APPE %s from %d: %v", after, at, short(err))
		if err == nil {
			w.k.count("ok APPE")
			f.is(after, whole)
			return
		}
		if r, decided := refusedWith(err); decided {
			w.k.count("refused APPE: %s", short(err))
			if r.Code == 552 || r.Code == 450 && !ask {
				return
			}
			time.Sleep(500 * time.Millisecond)
		} else {
			w.k.count("lost APPE, all sent: %v", src.sent())
			if src.sent() {
				f.maybe(after)
			}
			w.hangUp()
			time.Sleep(settleFor)
		}
		ask = true
	}
	w.k.count("given up APPE")
	f.retired = true
}

// rename gives a file a new name, or that of another file.
func (w *worker) rename(ctx context.Context, f *file) {
	to := w.pick()
	if to == f || to == nil || rand.IntN(3) > 0 {
		to = w.fresh()
	}
	if !w.connect(ctx) {
		return
	}
	err := w.c.Rename(ctx, f.name, to.name)
	f.note("RNTO %s: %v", to.name, short(err))
	to.note("RNFR %s (%v): %v", f.name, f.may, short(err))
	if err == nil {
		w.k.count("ok RNTO")
		to.is(f.may[0], f.now)
		f.is(absent, content{})
		w.forget(f)
		return
	}
	if _, decided := refusedWith(err); decided {
		w.k.count("refused RNTO: %s", short(err))
		return
	}
	w.k.count("lost RNTO")
	to.maybe(f.may[0])
	f.maybe(absent)
	f.twin = to
	f.retired, to.retired = true, true
	w.forget(f)
	w.forget(to)
	w.hangUp()
}

func (w *worker) remove(ctx context.Context, f *file) {
	if !w.connect(ctx) {
		return
	}
	err := w.c.Delete(ctx, f.name)
	f.note("DELE: %v", short(err))
	if err == nil {
		w.k.count("ok DELE")
		f.is(absent, content{})
		w.forget(f)
		return
	}
	if _, decided := refusedWith(err); decided {
		w.k.count("refused DELE: %s", short(err))
		return
	}
	w.k.count("lost DELE")
	f.maybe(absent)
	f.retired = true
	w.forget(f)
	w.hangUp()
}

// look downloads a file and returns its state.
func look(ctx context.Context, c *client.Client, name string) (state, error) {
	h := sha256.New()
	n, err := c.Retrieve(ctx, name, h)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, nil
	case err != nil:
		return absent, err
	}
	return state{true, n, [32]byte(h.Sum(nil))}, nil
}

func (w *worker) download(ctx context.Context, f *file) {
	if !w.connect(ctx) {
		return
	}
	got, err := look(ctx, w.c, f.name)
	if err != nil {
		if _, decided := refusedWith(err); decided {
			w.k.count("refused RETR: %s", short(err))
			return
		}
		w.k.count("lost RETR")
		w.hangUp()
		return
	}
	w.k.count("ok RETR")
	if f.known() && !f.allows(got) {
		w.k.t.Errorf("RETR returned %s during the soak\n    %s", got, f.story())
		f.retired = true
	}
}

// list checks that a listing has all files that are there, and none that are not.
func (w *worker) list(ctx context.Context) {
	if !w.connect(ctx) {
		return
	}
	names := map[string]bool{}
	for e, err := range w.c.List(ctx, w.dir) {
		if err != nil {
			w.k.count("failed MLSD: %s", short(err))
			w.hangUp()
			return
		}
		names[e.Name] = true
	}
	w.k.count("ok MLSD")
	for _, f := range w.all {
		if path.Dir(f.name) != w.dir || time.Now().Before(f.unsure) || f.retired || len(f.may) != 1 {
			continue
		}
		if has := names[path.Base(f.name)]; has != f.may[0].exists {
			w.k.t.Errorf("a listing has the file: %v\n    %s", has, f.story())
		}
	}
}

// run3 makes a new file with a stock client that resumes.
func (w *worker) run3(ctx context.Context, f *file, p piece) {
	bin, err := exec.LookPath(w.program)
	if err != nil {
		w.forgetIfNew(f, true)
		return
	}
	f.name = path.Join(w.dir, fmt.Sprintf("%s%d.bin", w.program, w.next))
	c := content{[]piece{p}}
	local := filepath.Join(w.k.t.TempDir(), "source")
	out, err := os.Create(local)
	if err == nil {
		_, err = io.Copy(out, c.reader(0).r)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		w.k.t.Error(err)
		return
	}
	defer os.Remove(local)
	host := "ftp://" + w.k.cluster.addr
	args := []string{"-sS", "-m", "120", "-C", "-", "-T", local, "--user", w.user + ":" + password, host + "/" + f.name}
	if w.program == "lftp" {
		args = []string{"-u", w.user + "," + password, "-e", fmt.Sprintf("set net:max-retries 3; set net:reconnect-interval-base 1; set net:timeout 20; put -c %s -o %s; exit", local, f.name), host}
	}
	for range maxTries {
		said, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
		f.note("%s: %v %s", w.program, err, clip(string(said)))
		if err == nil {
			w.k.count("ok %s", w.program)
			f.is(c.state(), c)
			return
		}
		w.k.count("failed %s: %s", w.program, clip(string(said)))
		f.maybe(c.state())
		time.Sleep(settleFor)
	}
	f.retired = true
}

var digits = regexp.MustCompile(`\d{2,}|/c\d+\S*( ä.bin)?`)

// short returns an error without what differs from one to the next.
func short(err error) string {
	if err == nil {
		return "ok"
	}
	return clip(err.Error())
}

func clip(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\n", " "))
	return s[:min(len(s), 160)]
}

// report logs what was counted.
func (k *soak) report() {
	merged := map[string]int{}
	for what, n := range k.counts {
		kind, text, ok := strings.Cut(what, ": ")
		if ok {
			what = kind + ": " + digits.ReplaceAllString(text, "*")
		}
		merged[what] += n
	}
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(merged)) {
		fmt.Fprintf(&b, "\n  %6d %s", merged[what], what)
	}
	k.t.Logf("%d MiB sent%s", k.bytes.Load()>>20, b.String())
}

// verify downloads every file that was ever named and compares it with the model.
func (k *soak) verify() {
	g, ctx := errgroup.WithContext(k.t.Context())
	g.SetLimit(8)
	for _, w := range k.workers {
		g.Go(func() error { return w.verify(ctx) })
	}
	check(k.t, g.Wait())
	for _, w := range k.workers {
		for _, f := range w.all {
			if f.twin != nil && f.may[0].exists && slices.Equal(f.may, f.twin.may) {
				k.count("finding: a rename that was cut has left both names")
			}
		}
	}
}

func (w *worker) verify(ctx context.Context) error {
	c, err := w.k.cluster.dial(ctx, w.user)
	if err != nil {
		return err
	}
	defer c.Close()
	known := map[string]bool{}
	for _, f := range w.all {
		known[f.name] = true
		got, err := look(ctx, c, f.name)
		if err != nil {
			w.k.t.Errorf("RETR after the soak: %v\n    %s", err, f.story())
			continue
		}
		if !f.allows(got) {
			w.k.t.Errorf("after the soak the file is %s\n    %s", got, f.story())
		}
		if len(f.may) > 1 {
			w.k.count("either, and then: %v", got.exists)
		}
		f.may = []state{got}
	}
	for e, err := range c.Walk(ctx, w.dir) {
		if err != nil {
			return err
		}
		if name := path.Join(w.dir, e.Path); !e.IsDir() && !known[name] && !known[e.Path] {
			w.k.t.Errorf("there is a file that nobody has made: %s", name)
		}
	}
	return nil
}
