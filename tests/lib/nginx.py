# SPDX-License-Identifier: Apache-2.0
"""A static file server: Debian's nginx on a port of the loopback, as an update server would have it.

    with Nginx(tmp_path / "www") as server:
        ... server.url("channel.json") ...
        server.requests()    # [("GET", "/channel.json", 200, bytes), ...]
"""
import pathlib
import re
import subprocess
import tempfile

from build import ROOT, make
from qemu import free_port

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
	access_log {folder}/access.log;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{port};
		root {root};
		{more}
	}}
}}
"""


class Nginx:
    """root: the folder that it serves. more: lines of its `server` block."""

    def __init__(self, root, more=""):
        make("build/deps/nginx/.ready", check=True)
        self.root, self._more, self.port = pathlib.Path(root), more, free_port()
        self.root.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="pith-nginx-")
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()
        self._folder.cleanup()

    def start(self, more=None):
        folder = pathlib.Path(self._folder.name)
        (folder / "nginx.conf").write_text(CONFIGURATION.format(
            folder=folder, port=self.port, root=self.root,
            more=self._more if more is None else more))
        self._process = subprocess.Popen(
            [ROOT / "build/deps/nginx/usr/sbin/nginx", "-p", folder, "-c", folder / "nginx.conf",
             "-e", folder / "error.log"], stderr=subprocess.DEVNULL)
        while not (folder / "pid").exists():
            assert self._process.poll() is None, (folder / "error.log").read_text()

    def stop(self):
        """At once, in the middle of what it sends."""
        self._process.kill()
        self._process.wait()
        pathlib.Path(self._folder.name, "pid").unlink(missing_ok=True)

    def requests(self):
        log = pathlib.Path(self._folder.name, "access.log")
        text = log.read_text() if log.exists() else ""
        return [(method, path, int(status), int(count)) for method, path, status, count in
                re.findall(r'"(\w+) (\S+) [^"]*" (\d+) (\d+)', text)]

    def url(self, name, host="127.0.0.1"):
        return f"http://{host}:{self.port}/{name}"
