#!/usr/bin/env python3
"""Serves the page on this machine, for development and tests.

    python3 web/serve.py                        the page as it is, as a static server would
    python3 web/serve.py --nnlayer FILE         the page with the native program in place of WebAssembly

With --nnlayer, worker.js is replaced by one that sends each command line to this server, which runs the program in an empty folder.
Only the page itself is answered, and only on this machine.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent

WORKER = """
self.onmessage = async ({ data: { id, argv, files } }) => {
  try {
    if (!argv) return self.postMessage({ id });
    const answer = await fetch("run", { method: "POST", body: JSON.stringify({ argv, files }) });
    self.postMessage({ id, ...await answer.json() });
  } catch (error) {
    self.postMessage({ id, failure: String(error) });
  }
};
"""


def run(program, argv, files):
    """Runs a command line in an empty folder; returns what it has written."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, text in files.items():
            (folder / pathlib.PurePath(file).name).write_text(text)
        ran = subprocess.run([program, *argv], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        written = {path.name: path.read_text() for path in folder.iterdir() if path.name not in files}
        return {"stdout": ran.stdout.decode(), "stderr": ran.stderr.decode(), "status": ran.returncode, "files": written}


def handler(folder, program):
    class Handler(SimpleHTTPRequestHandler):
        extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".gz": "application/gzip"}

        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def end_headers(self):
            self.send_header("Cache-Control", "no-store")
            super().end_headers()

        def answer(self, kind, text):
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if program and self.path == "/worker.js":
                return self.answer("text/javascript", WORKER)
            return super().do_GET()

        def do_POST(self):
            # Another page that is open in the browser could send requests too.
            own = f"http://127.0.0.1:{self.server.server_port}"
            if not program or self.path != "/run" or self.headers["Origin"] != own:
                return self.send_error(404)
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            return self.answer("application/json", json.dumps(run(program, request["argv"], request["files"] or {})))

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnlayer", help="the native program")
    parser.add_argument("--folder", default=HERE, help="the folder of the page")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free")
    options = parser.parse_args()
    program = options.nnlayer and str(pathlib.Path(options.nnlayer).resolve())
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler(str(options.folder), program))
    print(f"http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
