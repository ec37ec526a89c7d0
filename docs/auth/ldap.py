#!/usr/bin/python3 -I
"""Asks an LDAP directory about a login.

For miniftp serve --auth file --auth exec:/usr/local/lib/miniftp/ldap.py. Needs ldapsearch and ldapcompare (Debian: ldap-utils).
Its settings are in ldap.ini, beside this file:

    [ldap]
    uri = ldaps://ldap.example.org
    base = ou=people,dc=example,dc=org
    # Who may search. Without bind-dn, the search is anonymous. The file has the password without a newline.
    bind-dn = cn=miniftp,dc=example,dc=org
    bind-password-file = /etc/miniftp/ldap-password
    # Instead of a search: the entry of a user, {} being the name. Then an unknown name can't be told from a wrong password.
    # user-dn = uid={},ou=people,dc=example,dc=org
    # Optional: StartTLS, for ldap:// URIs; the attribute that has the name of the user; and which entries are users.
    start-tls = no
    attribute = uid
    filter = (objectClass=person)

    # Optional: the groups of miniftp, [groups.NAME], for the members of groups in the directory (member or uniqueMember). The
    # first one counts. Members of none may only read, in the root of the server. Without this section, all users may write there.
    # If it can't be found out whether a user is a member, because a group was renamed, for example, the login is refused.
    [groups]
    staff = cn=ftp-staff,ou=groups,dc=example,dc=org

docs/auth.md says more about it.
"""

import base64
import configparser
import json
import os
import subprocess
import sys

INVALID_CREDENTIALS = 49
# What directories answer about accounts that are locked, or whose password has expired.
REFUSED = {19, 50, 53, INVALID_CREDENTIALS}
NO_SUCH_OBJECT = 32
COMPARE_FALSE, COMPARE_TRUE = 5, 6
# The entry has no such attribute, or the directory knows none: those of a group may be either.
NO_ATTRIBUTE = {16, 17}


def escape_filter(value):
    """Returns a value for a search filter (RFC 4515): all but letters and digits as \\XX."""
    return "".join(chr(b) if chr(b).isalnum() and b < 128 else "\\%02x" % b for b in value.encode())


def escape_dn(value):
    """Returns a value for a distinguished name (RFC 4514): all but letters and digits as \\XX."""
    return escape_filter(value)  # the two have this way of escaping in common


class LDAP:
    def __init__(self, settings):
        self.settings = settings

    def run(self, program, bind_dn, password, *args):
        """Runs ldapsearch or ldapcompare, and returns what subprocess.run does.

        Nothing that a client has sent is an argument of its own: a name is escaped inside of a filter or of the name of
        an entry, and the password goes through a pipe, because others can see arguments."""
        command = [program, "-x", "-H", self.settings["uri"], "-o", "nettimeout=3"]
        if self.settings.getboolean("start-tls", False):
            command.append("-ZZ")
        read, write = os.pipe()
        try:
            if bind_dn:
                command += ["-D", bind_dn, "-y", "/dev/fd/%d" % read]
                os.write(write, password.encode())
            os.close(write)
            return subprocess.run(
                command + list(args), stdin=subprocess.DEVNULL, capture_output=True, pass_fds=[read], timeout=4, check=False)
        finally:
            os.close(read)

    def search(self, bind_dn, password, base, scope, filter, *attributes):
        """Returns the result code, and the entries that were found, each a dict of lists."""
        done = self.run(
            "ldapsearch", bind_dn, password, "-LLL", "-o", "ldif-wrap=no", "-l", "3", "-b", base, "-s", scope, filter, *attributes)
        if done.returncode not in REFUSED | {0, NO_SUCH_OBJECT}:
            sys.exit("ldapsearch ended with %d: %s" % (done.returncode, done.stderr.decode(errors="replace").strip()))
        return done.returncode, parse(done.stdout.decode())

    def service(self):
        """Returns the name and the password for searches."""
        if "bind-dn" not in self.settings:
            return "", ""
        with open(self.settings["bind-password-file"]) as f:
            return self.settings["bind-dn"], f.read()

    def find(self, user):
        """Returns the distinguished name of a user, or None."""
        if "user-dn" in self.settings:
            return self.settings["user-dn"].replace("{}", escape_dn(user))
        attribute = self.settings.get("attribute", "uid")
        filter = "(&%s(%s=%s))" % (self.settings.get("filter", "(objectClass=person)"), attribute, escape_filter(user))
        code, found = self.search(*self.service(), self.settings["base"], "sub", filter, attribute)
        if code != 0:
            sys.exit("the search ended with LDAP result %d" % code)
        found = [e for e in found if self.is_named(e, user)]
        if len(found) > 1:
            sys.exit("%d entries have this name" % len(found))
        return found[0]["dn"][0] if found else None

    def is_named(self, entry, user):
        """Reports whether an entry has exactly this name.

        A directory ignores case and some blanks in names. miniftp does not: Alice and alice would be two users of one
        account, with a directory and a quota each."""
        return user in entry.get(self.settings.get("attribute", "uid").lower(), [])

    def accepts(self, user, password, dn):
        """Reports whether the password is right."""
        code, found = self.search(dn, password, dn, "base", "(objectClass=*)", self.settings.get("attribute", "uid"))
        if "user-dn" in self.settings:
            return code == 0 and len(found) == 1 and self.is_named(found[0], user)
        return code not in REFUSED  # an entry may be hidden from its user

    def is_member(self, dn, group):
        """Reports whether an entry is a member of a group.

        A search would find nothing also if the group may not be seen. A comparison says whether it was made."""
        value = base64.b64encode(dn.encode()).decode()
        for attribute in "member", "uniqueMember":
            done = self.run("ldapcompare", *self.service(), "-z", group, attribute + "::" + value)
            if done.returncode == COMPARE_TRUE:
                return True
            if done.returncode not in NO_ATTRIBUTE | {COMPARE_FALSE}:
                sys.exit("the group %s: ldapcompare ended with %d: %s" % (group, done.returncode, done.stderr.decode(errors="replace").strip()))
        return False


def parse(ldif):
    """Parses what ldapsearch prints, with lines that are not wrapped."""
    entries = []
    for block in ldif.strip().split("\n\n"):
        entry = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            if value.startswith(":"):
                value = base64.b64decode(value[1:]).decode(errors="replace")
            else:
                value = value.removeprefix(" ")
            entry.setdefault(name.lower(), []).append(value)
        if "dn" in entry:
            entries.append(entry)
    return entries


def answer(question, config):
    ldap = LDAP(config["ldap"])
    user, password = question["user"], question["password"]
    if not user or "\0" in user + password or question["certified"] and "user-dn" in config["ldap"]:
        return {"result": "unknown"}
    dn = ldap.find(user)
    if dn is None:
        return {"result": "unknown"}
    if not question["certified"]:
        if not password:  # it would be a bind without a name, which succeeds
            return {"result": "wrong"}
        if not ldap.accepts(user, password, dn):
            return {"result": "wrong"}
    account = {"perm": "rw"}
    if config.has_section("groups"):
        account = {}
        for name, group in config["groups"].items():
            if ldap.is_member(dn, group):
                account = {"group": name}
                break
    return {"result": "ok", "account": account}


def main():
    config = configparser.ConfigParser(delimiters=["="], interpolation=None)
    config.optionxform = str  # the names of groups keep their case
    file = os.path.join(os.path.dirname(os.path.realpath(__file__)), "ldap.ini")
    if not config.read(file):
        sys.exit("can't read " + file)
    print(json.dumps(answer(json.load(sys.stdin), config)))


if __name__ == "__main__":
    main()
