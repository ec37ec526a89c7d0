#!/usr/bin/python3 -I
"""A web service that answers miniftp about logins, as a pattern for one of your own.

For miniftp serve --auth file --auth http://127.0.0.1:8025/login --auth-secret-file /etc/miniftp/auth-secret

    service.py PORT SECRET-FILE

On another host than miniftp, a web server in front of it has to add TLS: miniftp accepts http:// on its own host only.
docs/auth.md says more about it.
"""

import base64
import hashlib
import hmac
import http.server
import json
import sys
import time

USERS = {  # in place of a database: the salt, the hash, and the account
    "bob": (b"salt", hashlib.scrypt(b"bob's password", salt=b"salt", n=2**14, r=8, p=1), {"perm": "rw"}),
}


def read_secret(file):
    """Returns the secret as miniftp reads it: without white space around it, and after whsec_ in base64."""
    with open(file, "rb") as f:
        secret = f.read().strip()
    if secret.startswith(b"whsec_"):
        return base64.b64decode(secret[len(b"whsec_"):])
    return secret


def is_signed(headers, body, secret):
    """Reports whether miniftp has sent the request, not more than five minutes ago."""
    at = headers.get("Webhook-Timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > 300:
        return False
    signed = b"%s.%s.%s" % (headers.get("Webhook-Id", "").encode(), at.encode(), body)
    want = "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
    return hmac.compare_digest(want.encode(), headers.get("Webhook-Signature", "").encode())


def answer(question):
    salt, stored, account = USERS.get(question["user"], (b"", b"", None))
    matches = hmac.compare_digest(hashlib.scrypt(question["password"].encode(), salt=salt, n=2**14, r=8, p=1), stored)
    if account is None:
        return {"result": "unknown"}
    if not matches and not question["certified"]:
        return {"result": "wrong"}
    return {"result": "ok", "account": account}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # miniftp uses a connection again
    timeout = 60

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > 65536:
            self.close_connection = True
            return self.send_error(411)
        body = self.rfile.read(int(length))
        if not is_signed(self.headers, body, self.server.secret):
            return self.send_error(403)
        text = json.dumps(answer(json.loads(body))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.secret = read_secret(sys.argv[2])
    print("listening on port", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
