package console_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// chrome is a page in a headless Chromium, driven over the pipe of its DevTools protocol: JSON messages that end in NUL.
type chrome struct {
	t       *testing.T
	to      *os.File
	session string

	mu       sync.Mutex
	id       int
	answers  map[int]chan message
	problems []string // what the page wrote to its console
	ended    bool
}

// message is a command, an answer or an event.
type message struct {
	ID        int             `json:"id,omitempty"`
	SessionID string          `json:"sessionId,omitempty"`
	Method    string          `json:"method,omitempty"`
	Params    any             `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

type params map[string]any

// answerTime is how long Chromium may take for an answer, on a busy machine.
const answerTime = 60 * time.Second

// startChrome starts Chromium with an empty page. It ends with the test.
func startChrome(t *testing.T) *chrome {
	t.Helper()
	verbtest.Long(t)
	program := verbtest.StockProgram(t, "chromium")
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--disable-sync", "--no-proxy-server",
		"--lang=en-GB", "--user-data-dir="+filepath.Join(dir, "profile"), "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir)
	theirIn, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as the protocol wants
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		t.Fatal(err)
	}
	c := &chrome{t: t, to: to, answers: map[int]chan message{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(from)
	}()
	t.Cleanup(func() {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
		_ = json.NewEncoder(to).Encode(message{ID: -1, Method: "Browser.close"})
		_, _ = to.Write([]byte{0})
		_ = to.Close() // the end of the pipe ends Chromium, too
		wait := time.AfterFunc(10*time.Second, cancel)
		_ = cmd.Wait()
		wait.Stop()
		cancel()
		_ = from.Close()
		<-read
	})
	var target struct{ TargetID string }
	c.call("Target.createTarget", params{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", params{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		c.call(domain+".enable", nil, nil)
	}
	return c
}

// read passes answers to the calls, and keeps what the page complains about.
func (c *chrome) read(from *os.File) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, answer := range c.answers {
			close(answer)
		}
		c.answers = nil
	}()
	for r := bufio.NewReader(from); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		c.mu.Lock()
		if answer := c.answers[m.ID]; m.ID != 0 && answer != nil {
			answer <- m
			delete(c.answers, m.ID)
		}
		event, _ := json.Marshal(m.Params)
		switch {
		case m.Method == "Runtime.exceptionThrown",
			m.Method == "Runtime.consoleAPICalled" && (strings.Contains(string(event), `"type":"error"`) || strings.Contains(string(event), `"type":"warning"`)),
			m.Method == "Log.entryAdded" && (strings.Contains(string(event), `"level":"error"`) || strings.Contains(string(event), `"level":"warning"`)):
			c.problems = append(c.problems, m.Method+" "+string(event))
		}
		c.mu.Unlock()
	}
}

// call sends a command and waits for its answer.
func (c *chrome) call(method string, p params, result any) {
	c.t.Helper()
	answer := make(chan message, 1)
	c.mu.Lock()
	if c.answers == nil {
		c.mu.Unlock()
		c.t.Fatalf("%s: Chromium has ended", method)
	}
	c.id++
	id := c.id
	c.answers[id] = answer
	c.mu.Unlock()
	if p == nil {
		p = params{}
	}
	text, err := json.Marshal(message{ID: id, SessionID: c.session, Method: method, Params: p})
	if err == nil {
		_, err = c.to.Write(append(text, 0))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	select {
	case m, ok := <-answer:
		if !ok || m.Error != nil {
			c.t.Fatalf("%s: %+v", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				c.t.Fatal(err)
			}
		}
	case <-time.After(answerTime):
		c.t.Fatalf("%s: no answer", method)
	}
}

// eval returns the value of an expression of JavaScript, as JSON.
func (c *chrome) eval(expression string) string {
	c.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", params{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		c.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	return string(r.Result.Value)
}

// text returns the value of an expression that is a string.
func (c *chrome) text(expression string) (s string) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.eval(expression)), &s); err != nil {
		c.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

// await waits until an expression is true.
func (c *chrome) await(expression string) {
	c.t.Helper()
	for end := time.Now().Add(answerTime); c.eval("Boolean("+expression+")") != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("waited in vain for %s; the page is:\n%s\n%s", expression, c.text("document.body.innerText"), strings.Join(c.complaints(), "\n"))
		}
	}
}

// open loads a page and waits until it is there.
func (c *chrome) open(url string) {
	c.t.Helper()
	c.call("Page.navigate", params{"url": url}, nil)
	c.await(`document.readyState === "complete" && location.href !== "about:blank"`)
}

// press presses a key: Tab, Enter, Escape or Space.
func (c *chrome) press(key string) {
	c.t.Helper()
	code := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27}[key]
	p := params{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
	if key == "Enter" {
		p["text"] = "\r"
	}
	c.call("Input.dispatchKeyEvent", p, nil)
	c.call("Input.dispatchKeyEvent", params{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}, nil)
}

// tabTo presses Tab until an expression about the focused element e is true.
func (c *chrome) tabTo(expression string) {
	c.t.Helper()
	for range 60 {
		c.press("Tab")
		if c.eval("(e => Boolean("+expression+"))(document.activeElement)") == "true" {
			return
		}
	}
	c.t.Fatalf("Tab does not reach %s", expression)
}

// look sets the width of the window and whether it is dark.
func (c *chrome) look(width int, dark bool) {
	c.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	c.call("Emulation.setDeviceMetricsOverride", params{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}, nil)
	c.call("Emulation.setScrollbarsHidden", params{"hidden": true}, nil)
	c.call("Emulation.setEmulatedMedia", params{"features": []params{{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// shoot saves a picture of the whole page in the directory that MINIFTP_PICTURES names. docs/live-page-*.webp are made so.
func (c *chrome) shoot(name string) {
	c.t.Helper()
	dir := os.Getenv("MINIFTP_PICTURES")
	if dir == "" {
		return
	}
	var r struct{ Data string }
	c.call("Page.captureScreenshot", params{"captureBeyondViewport": true, "format": "webp", "quality": 55}, &r)
	image, err := base64.StdEncoding.DecodeString(r.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".webp"), image, 0o644)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// complaints returns the errors and warnings in the console of the page.
func (c *chrome) complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.problems...)
}
