package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }

var pageURL = regexp.MustCompile(`http://[^ ]+`)

// slowServer starts a server with a live page, on which transfers take long.
func slowServer(t *testing.T, flags ...string) (p *verbtest.Process, page string) {
	t.Helper()
	root := t.TempDir()
	for name, size := range map[string]int64{"big.iso": 1 << 30, "report.pdf": 12_345} {
		f, err := os.Create(filepath.Join(root, name))
		if err == nil {
			err = f.Truncate(size)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	p = verbtest.StartServer(t, root, append([]string{"--console", "127.0.0.1:0", "--rate", "4M", "--user", "alice:secret", "--user", "bob:secret:ro", "--failure-delay", "0"}, flags...)...)
	return p, pageURL.FindString(p.Await("live page"))
}

// login connects a client. Close ends it abruptly.
func login(t *testing.T, addr, user string, o client.Options) *client.Client {
	t.Helper()
	o.User, o.Password = user, "secret"
	c, err := client.Dial(t.Context(), addr, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// fetch begins a long download in a goroutine that ends with the test; the error is for those who wait for it.
func fetch(t *testing.T, c *client.Client) (err <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := c.Retrieve(ctx, "/big.iso", io.Discard)
		ended <- err
	}()
	t.Cleanup(func() { cancel(); _ = c.Close(); <-done })
	return ended
}

// endless is a reader of an upload that does not end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestPage lets a browser show sessions, a transfer that progresses and the ladder in both modes, and ends a session
// with the keyboard only.
func TestPage(t *testing.T) {
	t.Parallel()
	c := startChrome(t)
	p, page := slowServer(t)
	c.look(1600, false)
	c.open(page)
	c.await(`document.getElementById("status").textContent === "live"`)
	c.await(`document.getElementById("no-sessions").textContent === "Nobody is connected."`)

	passive := login(t, p.Addr, "alice", client.Options{})
	ended := fetch(t, passive)
	c.await(`document.querySelector("#list tbody").innerText.includes("alice")`)
	c.await(`document.querySelector("#transfers tbody").innerText.includes("big.iso")`)
	c.await(`document.querySelector("#transfers tbody").innerText.includes("the client dials")`)
	first := c.eval(`document.querySelector("#transfers progress").value`)
	c.await(`document.querySelector("#transfers progress").value > ` + first)
	c.await(`document.getElementById("n-sent").textContent.includes("MB/s")`)

	// The keyboard: the skip link is first, Enter opens a session, Escape closes it.
	c.press("Tab")
	if got := c.text(`document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop of Tab is %q", got)
	}
	c.tabTo(`e.closest("#list") && e.textContent === "alice"`)
	if got := c.text(`getComputedStyle(document.activeElement).outlineStyle`); got == "none" {
		t.Error("the focus is not visible")
	}
	c.press("Enter")
	c.await(`!document.getElementById("opened").hidden && document.querySelector("#ladder .data")`)
	if got := c.text(`document.querySelector("#ladder .data").innerText`); !regexp.MustCompile(`(?s)data.*dials.*listens.*passive`).MatchString(got) {
		t.Errorf("the data connection in passive mode: %q", got)
	}
	if got := c.text(`document.querySelector("#ladder .data .arrow").className`); got != "arrow server" {
		t.Errorf("the client dials, but the arrow is %q", got)
	}
	c.await(`document.querySelector("#ladder .running .arrow.client")`)
	c.press("Escape")
	c.await(`document.getElementById("opened").hidden && document.activeElement.textContent === "alice"`)

	active := login(t, p.Addr, "bob", client.Options{Mode: ftp.Active})
	c.await(`document.querySelector("#list tbody").innerText.includes("bob")`)
	c.tabTo(`e.closest("#list") && e.textContent === "bob"`)
	c.press("Enter")
	c.await(`!document.getElementById("opened").hidden && document.querySelector("#ladder .control")`)
	if _, err := active.Retrieve(t.Context(), "/report.pdf", io.Discard); err != nil {
		t.Fatal(err)
	}
	c.await(`document.querySelector("#ladder .data") && document.querySelector("#ladder .bytes:not(.running)")`)
	if got := c.text(`document.querySelector("#ladder .data").innerText`); !regexp.MustCompile(`(?s)data.*listens.*dials.*the roles are reversed`).MatchString(got) {
		t.Errorf("the data connection in active mode: %q", got)
	}
	if got := c.text(`document.querySelector("#ladder .data .arrow").className`); got != "arrow client" {
		t.Errorf("the server dials, but the arrow is %q", got)
	}
	for _, said := range []string{"“call me on ", "RETR /report.pdf", "226 ", "12 kB in "} {
		if got := c.text(`document.getElementById("ladder").innerText`); !strings.Contains(got, said) {
			t.Errorf("the ladder does not have %q:\n%s", said, got)
		}
	}
	c.press("Escape")

	// Kick: the question comes first, and its first button changes nothing.
	c.tabTo(`e.closest("#list") && e.textContent === "alice"`)
	c.press("Enter")
	c.await(`!document.getElementById("kick").disabled && document.getElementById("h-opened").textContent.includes("alice")`)
	c.tabTo(`e.id === "kick"`)
	c.press("Enter")
	c.await(`document.getElementById("confirm").open && document.activeElement.id === "no"`)
	c.press("Escape")
	c.await(`!document.getElementById("confirm").open && !document.getElementById("opened").hidden`)
	select {
	case err := <-ended:
		t.Fatalf("nobody confirmed, but the transfer has ended: %v", err)
	default:
	}
	c.press("Enter") // on the button that has opened the dialog
	c.await(`document.getElementById("confirm").open`)
	c.tabTo(`e.id === "yes"`)
	c.shoot("dialog")
	c.press("Enter")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the transfer of the ended session was complete")
		}
	case <-time.After(answerTime):
		t.Fatal("the session was not ended")
	}
	c.await(`document.getElementById("facts").textContent === "The session has ended."`)
	c.await(`!document.querySelector("#list tbody").innerText.includes("alice")`)
	if all := c.complaints(); len(all) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(all, "\n"))
	}
}

// TestPageLooks looks at a page with all that it can show in several widths, light and dark: nothing is wider than the
// window, and texts can be read. With MINIFTP_PICTURES=DIR it saves pictures.
func TestPageLooks(t *testing.T) {
	t.Parallel()
	c := startChrome(t)
	p, page := slowServer(t, "--passive-ports", "20000-29999")
	c.open(page)
	c.await(`document.getElementById("status").textContent === "live"`) // what happened before is not in the ladder
	for range 3 {
		login(t, p.Addr, "bob", client.Options{})
	}
	for range 2 {
		if _, err := client.Dial(t.Context(), p.Addr, &client.Options{User: "alice", Password: "wrong"}); err == nil {
			t.Fatal("a wrong password was accepted")
		}
	}
	reader := login(t, p.Addr, "bob", client.Options{Mode: ftp.Active})
	if _, err := reader.Retrieve(t.Context(), "/report.pdf", io.Discard); err != nil {
		t.Fatal(err)
	}
	_ = reader.Delete(t.Context(), "/report.pdf")
	if _, err := login(t, p.Addr, "alice", client.Options{}).Store(t.Context(), "/"+strings.Repeat("very-long-name-", 12)+".txt", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	fetch(t, reader)
	up := login(t, p.Addr, "alice", client.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	stored := make(chan struct{})
	go func() {
		defer close(stored)
		_, _ = up.Store(ctx, "/camera-2026-11-29.mp4", io.LimitReader(endless{}, 1<<30))
	}()
	defer func() { cancel(); _ = up.Close(); <-stored }()
	c.await(`document.querySelectorAll("#transfers tbody tr").length === 2 && document.querySelectorAll("#refusals li").length > 1 && document.querySelectorAll("#events li").length > 5`)
	c.await(`[...document.querySelectorAll("#list tbody tr")].some(tr => tr.innerText.includes("big.iso") && (tr.click(), true))`)
	c.await(`document.querySelector("#ladder .running") && document.querySelector("#ladder .data")`)
	if os.Getenv("MINIFTP_PICTURES") != "" {
		time.Sleep(15 * time.Second) // for the chart
	}
	for _, width := range []int{400, 800, 1300, 1600} {
		for _, dark := range []bool{false, true} {
			c.look(width, dark)
			c.await(fmt.Sprintf(`innerWidth === %d && matchMedia("(prefers-color-scheme: dark)").matches === %v`, width, dark))
			if c.eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth`) == "true" {
				t.Errorf("%d: the page is wider than the window: %s", width, c.text(tooWide))
			}
			if got := c.text(`[...document.querySelectorAll(".tiles > div, .tiles dd, td, #ladder span")].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1).map(e => e.textContent).join("; ")`); got != "" {
				t.Errorf("%d: texts that do not fit: %s", width, got)
			}
			if got := c.text(unreadable); got != "" {
				t.Errorf("%d, dark %v: texts with little contrast:\n%s", width, dark, got)
			}
			c.shoot(fmt.Sprintf("%d-%v", width, dark))
		}
	}
	if all := c.complaints(); len(all) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(all, "\n"))
	}
}

// tooWide lists the elements that are wider than the window.
const tooWide = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".away, thead")).slice(0, 5).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).join("; ")`

// unreadable lists the texts whose contrast is less than 4.5, the least of WCAG 2.2, level AA.
const unreadable = `(() => {
  const rgba = s => { const n = s.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1]; };
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest("[hidden], dialog:not([open]), noscript, .away, :disabled") || !e.getClientRects().length) continue;
    const a = light(rgba(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e).slice(0, 3));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(e.tagName + "." + e.className + " " + contrast.toFixed(2) + " " + e.textContent.slice(0, 40));
  }
  return bad.join("\n");
})()`

// TestPageNames shows users and files whose names are HTML, and those that change the direction of the text.
func TestPageNames(t *testing.T) {
	t.Parallel()
	c := startChrome(t)
	evil := `<img src=x onerror=alert(1)>&amp;<script>document.title="owned"</script>` + "\u202e"
	p, page := slowServer(t, "--user", evil+":secret:rw")
	c.open(page)
	c.await(`document.getElementById("status").textContent === "live"`) // what happened before is not in the ladder
	s := login(t, p.Addr, evil, client.Options{})
	c.await(`document.querySelector("#list tbody tr")`)
	c.eval(`document.querySelector("#list tbody tr").click()`)
	c.await(`document.querySelector("#ladder li")`)
	if _, err := s.Store(t.Context(), "/"+strings.ReplaceAll(evil, "/", "|"), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	_, _ = client.Dial(t.Context(), p.Addr, &client.Options{User: `<b onclick=x>`, Password: "wrong"})
	c.await(`document.getElementById("events").innerText.includes("<img src=x") && document.getElementById("events").innerText.includes("<b onclick")`)
	c.await(`document.getElementById("h-opened").innerText.includes("<img src=x") && document.getElementById("ladder").innerText.includes("STOR")`)
	if got := c.eval(`document.querySelectorAll("img, main script, [onclick], [onerror]").length`); got != "0" {
		t.Errorf("%s elements were made from names", got)
	}
	if got := c.text(`document.title`); strings.Contains(got, "owned") {
		t.Error("a script in a name was run")
	}
	if all := c.complaints(); len(all) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(all, "\n"))
	}
}

// TestPageToken opens a page that needs a token with the URL of the banner, and then without.
func TestPageToken(t *testing.T) {
	t.Parallel()
	c := startChrome(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, page := slowServer(t, "--console-token-file", file)
	c.open(page)
	c.await(`document.getElementById("token")`)
	c.shoot("token")
	c.eval(`document.getElementById("token").value = "0123456789abcdef"`)
	c.eval(`document.getElementById("token").focus()`)
	c.press("Enter")
	c.await(`document.getElementById("status")?.textContent === "live"`)
	if got := c.text(`location.href`); got != page {
		t.Errorf("the page is at %s, not at %s", got, page)
	}
	if got := c.text(`document.cookie`); got != "" {
		t.Errorf("scripts can read the cookie %q", got)
	}
	res, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s", res.Status)
	}
}
