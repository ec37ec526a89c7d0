package server_test

import (
	"encoding/json"
	"testing"
)

// ftplibSteps does the given steps, which are JSON, with Python's ftplib.
const ftplibSteps = `
import calendar, ftplib, json, os, sys, time
host, port, user, active, steps = sys.argv[1:]
f = ftplib.FTP(timeout=50)
f.connect(host, int(port))
f.login(user, user)
f.set_pasv(active != "true")
for do, a, b in json.loads(steps):
    if do in ("get", "reget"):
        with open(b, "ab" if do == "reget" else "wb") as out:
            f.retrbinary("RETR " + a, out.write, rest=out.tell() or None)
    elif do in ("put", "reput"):
        with open(a, "rb") as src:
            rest = None
            if do == "reput":
                f.voidcmd("TYPE I")
                rest = f.size(b)
                src.seek(rest)
            f.storbinary("STOR " + b, src, rest=rest)
    elif do == "stdin":
        f.storbinary("STOR " + b, sys.stdin.buffer)
    elif do == "mtime":
        at = calendar.timegm(time.strptime(f.voidcmd("MDTM " + a)[4:], "%Y%m%d%H%M%S"))
        os.utime(b, (at, at))
    elif do == "ls":
        f.retrlines("LIST " + a)
    elif do == "nlst":
        f.cwd(a)
        print(*f.nlst(), sep="\n")
        f.cwd("/")
    elif do == "mlsd":
        for name, facts in f.mlsd(a):
            print(facts["type"], facts["modify"], name)
    elif do == "mkdir":
        made = f.mkd(a)
        assert made == a, made
    elif do == "mv":
        f.rename(a, b)
    elif do == "rm":
        f.delete(a)
    elif do == "rmdir":
        f.rmd(a)
    else:
        raise Exception(do)
f.quit()
`

func TestStockFtplib(t *testing.T) {
	parallel(t)
	c := &stockClient{program: "python3", ipv6: true, can: "get put reget reput ls nlst mlsd mkdir mv rm rmdir"}
	args := func(d *desk, steps ...step) []string {
		list := make([][3]string, len(steps))
		for i, s := range steps {
			list[i] = [3]string{s.do, s.from, s.to}
		}
		b, err := json.Marshal(list)
		check(d.t, err)
		active := map[bool]string{true: "true"}[d.active]
		return []string{"-c", ftplibSteps, d.host, d.port, d.user, active, string(b)}
	}
	c.run = func(d *desk, steps ...step) string { d.t.Helper(); return d.do(d.program, "", args(d, steps...)...) }
	c.keepTime = func(d *desk, remote, local string) {
		c.run(d, step{"get", remote, local}, step{"mtime", remote, local})
	}
	c.more = func(_ *testing.T, open func() *desk) {
		d := open()
		c.killed(d, d.program, args(d, step{"stdin", "", d.path("killed")})...)
	}
	stockTest(t, c)
}
