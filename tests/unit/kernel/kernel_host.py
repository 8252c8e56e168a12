"""A fake host with a fake kernel: a directory of files."""

from __future__ import annotations

from ansible.module_utils.hamesh.kernel.keys import Kernel
from ansible.module_utils.hamesh.kernel.profile import Request, apply_profile

LIVE = {
    "net/core/somaxconn": "4096",
    "net/core/dev_weight": "64",
    "net/ipv4/ip_local_port_range": "32768\t60999",
    "net/ipv4/tcp_rmem": "4096\t131072\t33554432",
}
PROFILE = {
    "net.core.somaxconn": 65535,
    "net.ipv4.ip_local_port_range": "1024 65023",
    "net.ipv4.tcp_rmem": "4096  87380\t16777216",
}


PATH = "/etc/sysctl.d/60-kernel-network.conf"


class Host:
    """A directory as the root of a host, and its Kernel, which a test may replace."""

    def __init__(self, directory, live=LIVE):
        self.directory = directory
        self.root = directory / "proc/sys"
        for name, value in live.items():
            self.set(name, value)
        self.file = directory / PATH.lstrip("/")
        self.file.parent.mkdir(parents=True)
        self.kernel = Kernel(directory, release="6.1.0-28-cloud-amd64")

    def set(self, path, value):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(f"{value}\n")

    def get(self, path):
        return (self.root / path).read_text().strip()

    def apply(self, keys=PROFILE, check=False, **options):
        request = Request.from_params({"keys": keys, "path": PATH, **options})
        return apply_profile(request, self.kernel, dry_run=check)

    def write(self, path, text):
        """Write a file on the host."""
        file = self.directory / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def snapshot(self):
        """Return content, inode and time of every file."""
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        return {path: (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
