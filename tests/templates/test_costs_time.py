"""The time that an invocation takes is what the function takes: neither the wait for an event nor the emulator's part."""

import http.server
import json
import subprocess
import sys
import threading
import time

from stack import ROOT

# Asks for an event, works for 200 ms, answers; then ends.
FUNCTION = """#!/usr/bin/env python3
import os, time, urllib.request
runtime = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
for _ in range(2):
    with urllib.request.urlopen(runtime + "next") as answer:
        event, name = answer.read(), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    time.sleep(0.2)
    urllib.request.urlopen(runtime + name + "/response", b"[" + event + b"]").read()
"""


class Runtime(http.server.BaseHTTPRequestHandler):
    """Takes half a second before and after each invocation."""

    protocol_version = "HTTP/1.1"
    answers = []

    def do_GET(self):
        self.reply(b'{"n": 1}')

    def do_POST(self):
        self.answers.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.reply(b"")

    def reply(self, content):
        time.sleep(0.5)
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "r1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_the_function_is_timed_and_nothing_else(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    function, told = tmp_path / "function", tmp_path / "told"
    function.write_text(FUNCTION)
    function.chmod(0o755)
    program = [sys.executable, ROOT / "scripts/timed-bootstrap", told, "webhook", function]
    address = f"127.0.0.1:{server.server_address[1]}"
    subprocess.run(program, env={"AWS_LAMBDA_RUNTIME_API": address, "PATH": "/usr/bin:/bin"}, check=True, timeout=60)
    server.shutdown()
    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["function"], line["cold"]) for line in lines] == [("webhook", True), ("webhook", False)]
    # Of a busy machine too: without the Runtime API's second.
    assert all(200 <= line["ms"] < 700 for line in lines), lines
    assert Runtime.answers == [("/2018-06-01/runtime/invocation/r1/response", b'[{"n": 1}]')] * 2
