package server_test

import (
	"os"
	"testing"
)

// ftplibScript uses all of Python's ftplib with the server; it fails with an exception.
const ftplibScript = `
import ftplib, io, sys, hashlib, os
host, port, active = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "active"
content = open("up", "rb").read()
names = [n for n in sys.argv[4:]]

def fetch(f, name, rest=None):
    b = io.BytesIO()
    f.retrbinary("RETR " + name, b.write, rest=rest)
    return b.getvalue()

for user in ("anonymous", "rw"):
    f = ftplib.FTP(timeout=20)
    f.connect(host, port)
    f.login(user, "rw")
    f.set_pasv(not active)
    assert sorted(f.nlst("names")) == sorted("names/" + n for n in names), f.nlst("names")
    assert sorted(n for n, facts in f.mlsd("names") if facts["type"] == "file") == sorted(names)
    lines = []
    f.retrlines("LIST", lines.append)
    assert any(l.endswith(" sub") for l in lines), lines
    for n in names:
        assert fetch(f, "names/" + n) == n.encode("utf-8"), n
    assert fetch(f, "sub/down") == content
    assert fetch(f, "sub/down", 1000) == content[1000:]
    assert fetch(f, "empty") == b""
    assert f.size("sub/down") == len(content)
    assert f.pwd() == "/"
    if user == "anonymous":
        for refused in (lambda: f.storbinary("STOR x", io.BytesIO(b"x")), lambda: f.delete("empty"), lambda: f.mkd("d")):
            try:
                refused()
            except ftplib.error_perm as e:
                assert str(e).startswith("550"), e
            else:
                raise Exception("anonymous may write")
    else:
        f.storbinary("STOR stored", io.BytesIO(content))
        f.storbinary("STOR stored", io.BytesIO(content[500:]), rest=500)
        assert fetch(f, "stored") == content
        f.storlines("STOR text", io.BytesIO(b"one\ntwo\n"))
        lines = []
        f.retrlines("RETR text", lines.append)
        assert lines == ["one", "two"], lines
        assert f.mkd('quo"ted') == '/quo"ted'
        f.cwd('quo"ted')
        assert f.pwd() == '/quo"ted'
        f.cwd("..")
        f.rmd('quo"ted')
        f.rename("stored", "moved")
        c = f.transfercmd("RETR moved")
        c.recv(1)
        try:
            f.abort()
        except ftplib.error_temp as e: # ftplib takes 426 for an answer of its own
            assert str(e).startswith("426"), e
        c.close()
        assert f.getresp().startswith("226")
        f.delete("moved")
        f.delete("text")
        f.voidcmd("NOOP")
    f.quit()
`

func TestInteropFtplib(t *testing.T) {
	parallel(t)
	interop(t, "python3", both46, func(p *peer) {
		check(p.t, os.WriteFile(p.path("script.py"), []byte(ftplibScript), 0o644))
		mode := map[bool]string{false: "passive", true: "active"}[p.active]
		p.run("", append([]string{"script.py", p.host, p.port, mode}, peerNames...)...)
		p.gone("/moved", "/stored", "/text")
	})
}
