//go:build unix

package serve

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/internal/procgroup"
)

// This file runs the recipes of docs/auth.md, which are the files in docs/auth.

// recipe copies a recipe to dir, with some of its text replaced, and returns its path.
func recipe(t *testing.T, dir, name string, oldnew ...string) string {
	t.Helper()
	verbtest.StockProgram(t, "/usr/bin/python3")
	text := readText(t, verbtest.InModule("docs/auth/"+name))
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("%s has no %s", name, oldnew[i])
		}
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(oldnew...).Replace(text)), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// background starts a program that a test needs. It returns its output, and a function that kills it.
func background(t *testing.T, cmd *exec.Cmd) (out *verbtest.Buffer, kill func()) {
	t.Helper()
	out = &verbtest.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	stop, err := procgroup.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	kill = func() {
		if !ended {
			ended = true
			stop()
			_ = cmd.Wait()
		}
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, out.String())
		}
	}
	t.Cleanup(kill)
	return out, kill
}

// wantLogins logs in with curl as each user, given as NAME:PASSWORD, and compares the results: in, or the code of the refusal.
func wantLogins(t *testing.T, p *verbtest.InProcess, want map[string]string, args ...string) {
	t.Helper()
	curl := verbtest.StockProgram(t, "curl")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var all sync.WaitGroup
	for user, want := range want {
		all.Go(func() { // at once, because refusals take a second
			out, err := exec.CommandContext(ctx, curl, append([]string{"-q", "-sSv", "-u", user, "ftp://" + p.Addr + "/"}, args...)...).CombinedOutput()
			if want == "in" && err != nil || want != "in" && (err == nil || !strings.Contains(string(out), "< "+want+" ")) {
				t.Errorf("%q: want %s, got %v:\n%s", user, want, err, out)
			}
		})
	}
	all.Wait()
}

// authLimits are flags with which a test may fail to log in often.
var authLimits = []string{"--max-login-failures", "0", "--failure-delay", "0", "--auth-cache", "0", "--auth-timeout", "1m", "--login-timeout", "2m", "--log-format", "text"}

const people = `dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Bob
userPassword: bob's pw

dn: uid=carol,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: carol
cn: Carol
sn: Carol
userPassword: carol pw

dn: uid=a*(b)\\c\,\22d\+\<e\>,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: a*(b)\c,"d+<e>
cn: Odd
sn: Odd
userPassword: odd pw

dn: uid=jörg,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: jörg
cn: Jörg
sn: Jörg
userPassword: pä"ß

dn: uid=printer,ou=people,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: printer
userPassword: printer pw

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: cn=ftp-staff,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: ftp-staff
member: uid=carol,ou=people,dc=example,dc=org

dn: cn=unique,ou=groups,dc=example,dc=org
objectClass: groupOfUniqueNames
cn: unique
uniqueMember: uid=jörg,ou=people,dc=example,dc=org

dn: cn=hidden,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: hidden
member: uid=bob,ou=people,dc=example,dc=org
`

// startSlapd starts the server of OpenLDAP with people. It returns its URI, and a function that kills it.
func startSlapd(t *testing.T) (uri string, kill func()) {
	t.Helper()
	program := verbtest.StockProgram(t, "slapd")
	verbtest.StockProgram(t, "ldapsearch")
	root := strings.TrimSuffix(program, "/usr/sbin/slapd")
	dir, err := os.MkdirTemp("", "slapd") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf, ldif := filepath.Join(dir, "conf"), filepath.Join(dir, "ldif")
	verbtest.WriteFile(t, ldif, people)
	verbtest.WriteFile(t, conf, strings.NewReplacer("{root}", root, "{dir}", dir).Replace(`
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
database mdb
suffix dc=example,dc=org
rootdn cn=miniftp,dc=example,dc=org
rootpw "service pw"
directory {dir}/db
access to attrs=userPassword by anonymous auth
access to dn.base="cn=hidden,ou=groups,dc=example,dc=org" attrs=member by * none
access to * by dn.base="uid=printer,ou=people,dc=example,dc=org" read by self read by * none
`))
	libraries, err := filepath.Glob(root + "/usr/lib/*-linux-gnu")
	if err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
		return cmd
	}
	if out, err := command("-T", "add", "-f", conf, "-l", ldif).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v: %s", err, out)
	}
	socket := filepath.Join(dir, "s")
	uri = "ldapi://" + strings.ReplaceAll(socket, "/", "%2F")
	_, kill = background(t, command("-f", conf, "-h", uri, "-d", "0"))
	eventually(t, "slapd listens", func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return uri, kill
}

// TestStockLDAP: docs/auth/ldap.py asks the server of OpenLDAP.
func TestStockLDAP(t *testing.T) {
	t.Parallel()
	uri, kill := startSlapd(t)
	dir := t.TempDir()
	program := recipe(t, dir, "ldap.py")
	verbtest.WriteFile(t, filepath.Join(dir, "password"), "service pw")
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"mem://\"\n[auth]\nsources = [\"file\", \"exec:"+program+"\"]\n[groups.staff]\nperm = \"drop\"\n[groups.other]\nperm = \"drop\"\n")
	settings := fmt.Sprintf("[ldap]\nuri = %s\nbase = ou=people,dc=example,dc=org\nbind-dn = cn=miniftp,dc=example,dc=org\nbind-password-file = %s/password\n", uri, dir)
	const groups = "[groups]\nstaff = cn=ftp-staff,ou=groups,dc=example,dc=org\nother = cn=unique,ou=groups,dc=example,dc=org\n"
	ini := verbtest.WriteFile(t, filepath.Join(dir, "ldap.ini"), settings+groups)
	p := verbtest.Serve(t, verbs, append(authLimits, "--config", file)...)
	logins := map[string]string{
		"bob:bob's pw": "in", `a*(b)\c,"d+<e>:odd pw`: "in",
		"carol:carol pw": "550", `jörg:pä"ß`: "550", // members of groups, which may not list
		"bob:carol pw": "530", "bob:": "530", "carol:bob's pw": "530",
		"BOB:bob's pw": "530", "bob :bob's pw": "530", "bo*:bob's pw": "530", "*:bob's pw": "530", "bob)(uid=*:bob's pw": "530", "nobody:x": "530",
		"printer:printer pw": "530", // not a person
	}
	wantLogins(t, p, logins)
	// With groups, members of none may only read; without, all may write.
	wantLogins(t, p, map[string]string{"bob:bob's pw": "550"}, "-Q", "MKD d")
	verbtest.WriteFile(t, ini, settings)
	wantLogins(t, p, map[string]string{"bob:bob's pw": "in"}, "-Q", "MKD d")
	// If a group does not exist or can't be read, logins that depend on it are refused.
	for _, group := range []string{"cn=none", "cn=hidden"} {
		hidden := strings.Replace(settings, "cn=miniftp", "uid=printer,ou=people", 1)
		hidden = strings.Replace(hidden, dir+"/password", verbtest.WriteFile(t, filepath.Join(dir, "printer"), "printer pw"), 1)
		verbtest.WriteFile(t, ini, hidden+groups)
		wantLogins(t, p, map[string]string{"bob:bob's pw": "in", "carol:carol pw": "550"})
		verbtest.WriteFile(t, ini, hidden+groups+"hidden = "+group+",ou=groups,dc=example,dc=org\n")
		wantLogins(t, p, map[string]string{"bob:bob's pw": "421", "carol:carol pw": "550"})
	}
	// Without a search, names go into the name of the entry.
	verbtest.WriteFile(t, ini, "[ldap]\nuri = "+uri+"\nuser-dn = uid={},ou=people,dc=example,dc=org\n")
	logins["carol:carol pw"], logins[`jörg:pä"ß`], logins["printer:printer pw"] = "in", "in", "in"
	logins["printer,ou=people:x"], logins["bob,ou=people,dc=example,dc=org:bob's pw"], logins["bob+cn=Bob:bob's pw"] = "530", "530", "530"
	wantLogins(t, p, logins)
	verbtest.WriteFile(t, ini, strings.ReplaceAll(settings, "cn=miniftp", "cn=other"))
	wantLogins(t, p, map[string]string{"bob:bob's pw": "421"})
	verbtest.WriteFile(t, ini, settings)
	kill()
	wantLogins(t, p, map[string]string{"bob:bob's pw": "421"})
	p.End()
	for _, want := range []string{
		"Can't contact LDAP server", "the search ended with LDAP result 49",
		"the group cn=none,ou=groups,dc=example,dc=org: ldapcompare ended with 32", "the group cn=hidden,ou=groups,dc=example,dc=org: ldapcompare ended with 50",
	} {
		if log := p.Log.String(); !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// TestRecipeSQLite: docs/auth/sqlite.py asks a database that it has made.
func TestRecipeSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := filepath.Join(dir, "us?ers#.db")
	program := recipe(t, dir, "sqlite.py", "/var/lib/miniftp/users.db", db)
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), "root = \"mem://\"\n[auth]\nsources = \"exec:"+program+"\"\n[groups.staff]\nperm = \"drop\"\n")
	p := verbtest.Serve(t, verbs, append(authLimits, "--config", file)...)
	wantLogins(t, p, map[string]string{"bob:pw": "421"})
	if _, err := os.Stat(db); err == nil {
		t.Error("a question has made the database")
	}
	for _, user := range [][]string{{"bob", "old"}, {"bob", "p:w"}, {"o'brien", "pw"}, {"carol", "pw", "staff"}} {
		cmd := exec.CommandContext(t.Context(), program, append([]string{"add", user[0]}, user[2:]...)...)
		cmd.Stdin = strings.NewReader(user[1] + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	wantLogins(t, p, map[string]string{
		"bob:p:w": "in", "o'brien:pw": "in", "carol:pw": "550",
		"bob:old": "530", "BOB:p:w": "530", "x' OR '1'='1:pw": "530", "carol:": "530",
	})
	if text := readText(t, db); strings.Contains(text, "p:w") || !strings.Contains(text, "o'brien") {
		t.Error("the database has passwords in clear text")
	}
}

// TestStockAuthService: docs/auth/service.py answers, behind nginx, which also answers when it is down.
func TestStockAuthService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := recipe(t, dir, "service.py")
	secret := verbtest.WriteFile(t, filepath.Join(dir, "secret"), "whsec_MDEyMzQ1Njc4OWFiY2RlZg==\n")
	out, kill := background(t, exec.CommandContext(t.Context(), program, "0", secret))
	service := ""
	eventually(t, "the service listens", func() bool {
		_, service, _ = strings.Cut(strings.TrimSpace(out.String()), "listening on port ")
		return service != ""
	})
	addr := fmt.Sprintf("127.%d.%d.1:8025", 1+os.Getpid()>>8%250, os.Getpid()%256) // where no other process listens
	conf := verbtest.WriteFile(t, filepath.Join(dir, "conf"), strings.NewReplacer("{dir}", dir, "{listen}", addr, "{service}", service).Replace(`
master_process off; daemon off; pid {dir}/pid; error_log {dir}/log;
events {}
http {
  access_log {dir}/access; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server { listen {listen}; location /login { proxy_pass http://127.0.0.1:{service}; } }
}
`))
	background(t, exec.CommandContext(t.Context(), verbtest.StockProgram(t, "nginx"), "-c", conf, "-e", dir+"/log"))
	eventually(t, "nginx listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	p := verbtest.Serve(t, verbs, append(authLimits, "--auth", "http://"+addr+"/login", "--auth-secret-file", secret, "mem://")...)
	wantLogins(t, p, map[string]string{"bob:bob's password": "in", "bob:x": "530", "carol:x": "530"})
	other := verbtest.WriteFile(t, filepath.Join(dir, "other"), "another secret of 16 bytes")
	p2 := verbtest.Serve(t, verbs, append(authLimits, "--auth", "http://"+addr+"/login", "--auth-secret-file", other, "mem://")...)
	wantLogins(t, p2, map[string]string{"bob:bob's password": "421"})
	kill()
	wantLogins(t, p, map[string]string{"bob:bob's password": "421"})
	p.End()
	p2.End()
	if log := p.Log.String(); !strings.Contains(log, "it answered with status 502") {
		t.Errorf("the log:\n%s", log)
	}
	if log := p2.Log.String(); !strings.Contains(log, "it answered with status 403") {
		t.Errorf("the log:\n%s", log)
	}
}
