#!/usr/bin/python3 -I
"""Asks an SQLite database about a login. Any other database works the same way.

For miniftp serve --auth file --auth exec:/usr/local/lib/miniftp/sqlite.py. It needs nothing but Python.

    sqlite.py add NAME [GROUP]      adds a user, or changes the password; asks for it, or reads it from standard input

docs/auth.md says more about it.
"""

import getpass
import hashlib
import hmac
import json
import os
import sqlite3
import sys

DATABASE = "/var/lib/miniftp/users.db"

TABLE = """CREATE TABLE IF NOT EXISTS users (
    name  TEXT PRIMARY KEY,  -- compared byte by byte: Alice is not alice
    salt  BLOB NOT NULL,
    hash  BLOB NOT NULL,     -- scrypt
    "group" TEXT,            -- of [groups] in the configuration of miniftp
    quota INTEGER            -- bytes
)"""


def scrypt(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def answer(question):
    # Read-only: this program never writes to the database, and does not make one that is missing.
    db = sqlite3.connect("file:%s?mode=ro" % DATABASE.replace("?", "%3f").replace("#", "%23"), uri=True, timeout=3)
    # The name is a parameter. It never becomes a part of the SQL.
    row = db.execute('SELECT salt, hash, "group", quota FROM users WHERE name = ?', [question["user"]]).fetchone()
    if row is None:
        scrypt(question["password"], b"no such user")  # so that it takes as long as a wrong password
        return {"result": "unknown"}
    salt, stored, group, quota = row
    if not question["certified"] and not hmac.compare_digest(scrypt(question["password"], salt), stored):
        return {"result": "wrong"}
    account = {}
    if group is not None:
        account["group"] = group
    if quota is not None:
        account["quota"] = quota
    return {"result": "ok", "account": account}


def add(name, group=None):
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        sys.exit("the password is empty")
    salt = os.urandom(16)
    os.umask(0o027)
    with sqlite3.connect(DATABASE) as db:
        db.execute(TABLE)
        db.execute('INSERT INTO users (name, salt, hash, "group") VALUES (?, ?, ?, ?) '
                   'ON CONFLICT (name) DO UPDATE SET salt = excluded.salt, hash = excluded.hash, "group" = excluded."group"',
                   [name, salt, scrypt(password, salt), group])


def main():
    if sys.argv[1:2] == ["add"] and len(sys.argv) in (3, 4):
        add(*sys.argv[2:])
    elif len(sys.argv) == 1:
        print(json.dumps(answer(json.load(sys.stdin))))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
