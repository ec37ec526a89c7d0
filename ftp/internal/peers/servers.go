package peers

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// kind describes a stock server.
type kind struct {
	name    string
	user    string
	find    func(Options) string         // returns the path of the program, or ""
	prepare func(site) ([]string, error) // writes the configuration and returns the command to run

	implicit, reuse bool // whether it supports Implicit and RequireReuse
	narrow          bool // it supports only IPv4 without TLS, and is not in Names
}

var kinds = []kind{
	{name: "vsftpd", user: "anonymous", find: func(Options) string { return find("vsftpd") }, prepare: vsftpd, implicit: true, reuse: true},
	{name: "proftpd", user: user, find: findProFTPd, prepare: proftpd, implicit: true, reuse: true},
	{name: "pure-ftpd", user: user, find: findPureFTPd, prepare: pureFTPd},
	{name: "pyftpdlib", user: user, find: findPyftpdlib, prepare: pyftpdlib, implicit: true},
	{name: FTPSrv, user: user, find: findFTPSrv, prepare: ftpSrv, narrow: true},
}

// FTPSrv is the server of the npm package ftp-srv. It is not in Names, because it
// lacks too many features of the other servers.
const FTPSrv = "ftp-srv"

func findFTPSrv(Options) string {
	if _, err := os.Stat(modules() + "/ftp-srv"); err != nil {
		return ""
	}
	return find("node")
}

// ftpSrvCode is a server in JavaScript. The command line of the package cannot
// restrict the passive ports.
const ftpSrvCode = `
const [port, root, blacklist, user, password, min, max] = process.argv.slice(1);
const { FtpSrv } = require("ftp-srv");
const server = new FtpSrv({
	url: "ftp://127.0.0.1:" + port, pasv_url: "127.0.0.1", pasv_min: +min, pasv_max: +max,
	blacklist: blacklist ? blacklist.split(",") : [],
	log: require("bunyan").createLogger({ name: "ftp-srv", level: "fatal" }),
});
server.on("login", (login, resolve, reject) =>
	login.username === user && login.password === password ? resolve({ root }) : reject(new Error("no")));
server.listen();
`

func ftpSrv(s site) ([]string, error) {
	blacklist := ""
	if s.opts.ReadOnly {
		blacklist = "STOR,APPE,DELE,RNFR,RNTO,MKD,RMD,SITE"
	}
	first, last, _ := strings.Cut(s.opts.PassivePorts, "-")
	return []string{
		"env", "NODE_PATH=" + modules(), s.binary, "-e", ftpSrvCode,
		strconv.Itoa(s.port), s.root, blacklist, user, password, first, last,
	}, nil
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

// vsftpd prepares vsftpd with the user anonymous, who has the rights of the user that
// runs the test. Other logins require PAM, and with chroot, vsftpd refuses a writable
// directory for anonymous.
func vsftpd(s site) ([]string, error) {
	me, err := osuser.Current()
	if err != nil {
		return nil, err
	}
	lines := []string{
		"listen_port=" + strconv.Itoa(s.port),
		"background=NO", "run_as_launching_user=YES",
		"ftp_username=" + me.Username, "nopriv_user=" + me.Username,
		"anonymous_enable=YES", "local_enable=NO", "anon_root=" + s.root,
		"write_enable=" + yesNo(!s.opts.ReadOnly),
		"anon_upload_enable=YES", "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES",
		"anon_world_readable_only=NO", "anon_umask=022", "ls_recurse_enable=YES",
		"ascii_download_enable=YES", "ascii_upload_enable=YES",
		"seccomp_sandbox=NO", "isolate=NO", "isolate_network=NO",
		"max_clients=10000", "max_per_ip=" + strconv.Itoa(s.perHost()),
	}
	lines = append(lines, "pasv_promiscuous="+yesNo(s.opts.FXP), "port_promiscuous="+yesNo(s.opts.FXP))
	lines = append(lines, vsftpdTLS(s)...)
	if s.opts.IPv6 {
		lines = append(lines, "listen=NO", "listen_ipv6=YES", "listen_address6="+s.host)
	} else {
		lines = append(lines, "listen=YES", "listen_address="+s.host)
	}
	first, last, _ := strings.Cut(s.opts.PassivePorts, "-")
	lines = append(lines, "pasv_min_port="+first, "pasv_max_port="+last)
	if s.opts.PublicIP != "" {
		lines = append(lines, "pasv_address="+s.opts.PublicIP)
	}
	return []string{s.binary, s.path("vsftpd.conf")}, s.write("vsftpd.conf", lines...)
}

// perHost returns the limit for concurrent sessions of one host.
func (s site) perHost() int { return cmp.Or(s.opts.PerHost, 10000) }

// proftpd prepares ProFTPD with one user from a file, who has the rights of the user that runs the
// test.
func proftpd(s site) ([]string, error) {
	me, err := osuser.Current()
	if err != nil {
		return nil, err
	}
	group, err := osuser.LookupGroupId(me.Gid)
	if err != nil {
		return nil, err
	}
	scoreboard := "none"
	if s.opts.PerHost > 0 { // ProFTPD counts sessions in this file
		scoreboard = s.path("scoreboard")
	}
	ipv6 := "off"
	if s.opts.IPv6 {
		ipv6 = "on"
	}
	lines := []string{
		"ServerType standalone", "ServerName peer",
		"ModulePath " + proftpdModules(s.binary),
		"UseIPv6 " + ipv6, "DefaultAddress " + s.host, "SocketBindTight on",
		"Port " + strconv.Itoa(s.port),
		"User " + me.Username, "Group " + group.Name, "RootLogin on",
		"AuthOrder mod_auth_file.c", "AuthUserFile " + s.path("passwd"), "PersistentPasswd off",
		"RequireValidShell off", "UseReverseDNS off", "DelayEngine off",
		"WtmpLog off", "TransferLog none", "SystemLog none",
		"PidFile " + s.path("pid"), "ScoreboardFile " + scoreboard,
		"MaxInstances none", "Umask 022",
		"AllowOverwrite on", "AllowStoreRestart on", "AllowRetrieveRestart on",
	}
	if s.opts.FXP {
		lines = append(lines, "AllowForeignAddress on")
	}
	if s.opts.PerHost > 0 {
		lines = append(lines, "MaxClientsPerHost "+strconv.Itoa(s.opts.PerHost))
	}
	if s.opts.Deflate {
		lines = append(lines, "LoadModule mod_deflate.c", "DeflateEngine on")
	}
	lines = append(lines, proftpdTLS(s)...)
	if me.Uid == "0" {
		lines = append(lines, "DefaultRoot ~")
	}
	lines = append(lines, "PassivePorts "+strings.Replace(s.opts.PassivePorts, "-", " ", 1))
	if s.opts.PublicIP != "" {
		lines = append(lines, "MasqueradeAddress "+s.opts.PublicIP)
	}
	if s.opts.ReadOnly {
		lines = append(lines, "<Limit WRITE>", "DenyAll", "</Limit>")
	}
	if err := s.write("passwd", passwdLine(me.Uid, me.Gid, s.root)); err != nil {
		return nil, err
	}
	return []string{s.binary, "-n", "-c", s.path("proftpd.conf")}, s.write("proftpd.conf", lines...)
}

func passwdLine(uid, gid, home string) string {
	return fmt.Sprintf("%s:%s:%s:%s::%s:/bin/sh", user, secretHash, uid, gid, home)
}

// findPureFTPd returns "" unless the test runs as root, which the stock build requires.
func findPureFTPd(Options) string {
	if os.Getuid() != 0 || find("pure-pw") == "" {
		return ""
	}
	return find("pure-ftpd")
}

// pureFTPd prepares Pure-FTPd with one user from a database, who is nobody on the host.
func pureFTPd(s site) ([]string, error) {
	nobody, err := osuser.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	if !s.opts.ReadOnly {
		if err := giveAway(s.root, nobody); err != nil {
			return nil, err
		}
	}
	line := fmt.Sprintf("%s:%s:%s:%s::%s/./%s", user, secretHash, nobody.Uid, nobody.Gid, s.root,
		strings.Repeat(":", 12)) // twelve limits, all empty
	if err := s.write("passwd", line); err != nil {
		return nil, err
	}
	out, err := exec.Command(find("pure-pw"), "mkdb", s.path("db"), "-f", s.path("passwd")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pure-pw: %w: %s", err, out)
	}
	family := "-4"
	if s.opts.IPv6 {
		family = "-6"
	}
	argv := []string{
		s.binary, family, "-S", s.host + "," + strconv.Itoa(s.port),
		"-l", "puredb:" + s.path("db"), "-E", "-A", "-H", "-u", "1", "-U", "133:022",
		"-c", "10000", "-C", strconv.Itoa(s.perHost()), "-f", "none", "-g", s.path("pid"),
		"-p", strings.Replace(s.opts.PassivePorts, "-", ":", 1),
	}
	if s.opts.PublicIP != "" {
		argv = append(argv, "-P", s.opts.PublicIP)
	}
	if s.opts.FXP {
		argv = append(argv, "-w")
	}
	if s.opts.TLS != Off {
		// -Y 3 also refuses data connections without TLS.
		argv = append(argv, "-Y", "3", "-2", s.certs.CertFile+","+s.certs.KeyFile)
	}
	return argv, nil
}

// giveAway changes the owner of a directory and everything in it.
func giveAway(root string, to *osuser.User) error {
	uid, err := strconv.Atoi(to.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(to.Gid)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
