#!/usr/bin/env python3
"""Runs idswyft-vault and restic side by side on one S3 server, and counts their requests.

    benches/s3.py [--program target/release/idswyft-vault] [--dir target/bench-s3] [--files 2000]

Starts SeaweedFS with tests/s3/servers and, before it, a proxy that counts requests and bytes. Each
tool, in turn and on a bucket of its own: a first snapshot of the uploads, one of the same uploads
again, and a restore, compared byte for byte. wall = elapsed, cpu = user+system of the tool; the
proxy and the server take part of the machine as well, alike for both. Prints a table.
"""
import argparse
import collections
import filecmp
import hashlib
import http.client
import http.server
import os
import re
import resource
import shutil
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
KEYS = {"AWS_ACCESS_KEY_ID": "ADMINKEY", "AWS_SECRET_ACCESS_KEY": "ADMINSECRET",
        "AWS_REGION": "us-east-1", "RESTIC_PASSWORD": "correct horse battery staple"}


class Counting(http.server.BaseHTTPRequestHandler):
    """Passes requests on as they are, and counts them by method."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream = None
    counts = collections.Counter()
    lock = threading.Lock()
    upstreams = threading.local()

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else None
        link = getattr(self.upstreams, "link", None)
        if link is None:
            link = self.upstreams.link = http.client.HTTPConnection(self.upstream)
        link.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                link.putheader(name, value)
        link.endheaders(body)
        answer = link.getresponse()
        data = answer.read()
        with self.lock:
            self.counts[self.command] += 1
            self.counts["sent"] += length
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        if not answer.getheader("content-length"):
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    def log_message(self, *_words):
        pass


def make_uploads(path, count):
    """Files of 4 KiB to 400 KiB that do not compress, as photos and scans do not."""
    for index in range(count):
        drawn = hashlib.sha256(b"upload %d" % index).digest()
        size = 4096 + int.from_bytes(drawn[:4], "big") % 396_000
        name = f"{path}/{drawn[:1].hex()}/{index}.jpg"
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(hashlib.shake_128(drawn).digest(size))


def make_bucket(weed, bucket):
    """Makes a bucket with restic's own client: a repository is made in it, and left alone."""
    run(["restic", "-q", "-r", f"s3:{weed}/{bucket}/made", "init"])


def run(argv, may=(0,), **how):
    """Runs a command that may end with one of some exit codes."""
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, **how)
    if done.returncode not in may:
        raise SystemExit(f"{argv}: exit {done.returncode}")


def timed(argv):
    """Runs a command and returns its row: seconds, CPU seconds, requests."""
    Counting.counts.clear()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, dict(Counting.counts)


def ours(program, work, address, uploads, bucket):
    key = f"{work}/operator.key"
    run([program, "keygen", "--no-passphrase", "-o", key], stderr=subprocess.DEVNULL)
    recipient = re.search(r"age1[0-9a-z]+", open(key).read()).group(0)
    with open(f"{work}/credentials", "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write("[default]\naws_access_key_id = ADMINKEY\n"
                   "aws_secret_access_key = ADMINSECRET\n")
    config = f"{work}/config.toml"
    with open(config, "w") as file:
        file.write(f'state_dir = "{work}/state"\nrecipients = ["{recipient}"]\n[[vault]]\n'
                   f'name = "v"\nkeep_daily = 30\n[[vault.store]]\nname = "bucket"\n'
                   f'url = "s3://{bucket}/ours"\nregion = "us-east-1"\npath_style = true\n'
                   f'endpoint = "{address}"\ncredentials_file = "{work}/credentials"\n'
                   f'[sources.uploads]\nkind = "path"\npath = "{uploads}"\n')
    words = [program, "--config", config]
    # A bucket without versions, as it is alike for both: a warning.
    run([*words, "init", "--kit", f"{work}/kit"], may=(0, 4), stderr=subprocess.DEVNULL)
    target = f"{work}/restored"
    return [("first", [*words, "snapshot"]), ("unchanged", [*words, "snapshot"]),
            ("restore", [*words, "restore", "latest", "-i", key, "--target", target])], \
        f"{target}/uploads"


def restic(work, address, uploads, bucket):
    words = ["restic", "-q", "--cache-dir", f"{work}/cache", "-r", f"s3:{address}/{bucket}/restic"]
    run([*words, "init"])
    target = f"{work}/restored"
    return [("first", [*words, "backup", uploads]), ("unchanged", [*words, "backup", uploads]),
            ("restore", [*words, "restore", "latest", "--target", target])], target + uploads


def assert_same(a, b):
    """Compares two trees byte for byte."""
    names = sorted(os.path.relpath(f"{d}/{f}", a) for d, _, fs in os.walk(a) for f in fs)
    found = sorted(os.path.relpath(f"{d}/{f}", b) for d, _, fs in os.walk(b) for f in fs)
    assert names == found, f"{b} has other files than {a}"
    _, other, failed = filecmp.cmpfiles(a, b, names, shallow=False)
    assert not other and not failed, f"{b}: {len(other)} files differ"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=f"{ROOT}/target/release/idswyft-vault")
    parser.add_argument("--dir", default=f"{ROOT}/target/bench-s3")
    parser.add_argument("--files", type=int, default=2000)
    a = parser.parse_args()
    shutil.rmtree(a.dir, ignore_errors=True)
    for name in ("ours", "restic", "uploads"):
        os.makedirs(f"{a.dir}/{name}")
    uploads = f"{a.dir}/uploads"
    make_uploads(uploads, a.files)
    os.environ.update(KEYS)
    servers = f"{ROOT}/tests/s3/servers"
    run([servers, "start", f"{a.dir}/servers", "seaweedfs"])
    try:
        with open(f"{a.dir}/servers/env") as file:
            weed = dict(line.strip().split("=", 1) for line in file)["seaweedfs"]
        Counting.upstream = weed.removeprefix("http://")
        proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{proxy.server_port}"
        make_bucket(weed, "bench")
        tools = {"idswyft-vault": ours(a.program, f"{a.dir}/ours", address, uploads, "bench"),
                 "restic": restic(f"{a.dir}/restic", address, uploads, "bench")}
        print(f"{'tool':14} {'step':10} {'wall s':>8} {'cpu s':>8} {'requests':>9}  by method")
        for step in range(3):
            for tool, (steps, _) in tools.items():
                name, argv = steps[step]
                wall, cpu, counts = timed(argv)
                sent = counts.pop("sent", 0)
                said = " ".join(f"{m} {n}" for m, n in sorted(counts.items()))
                print(f"{tool:14} {name:10} {wall:8.2f} {cpu:8.2f} {sum(counts.values()):9}  "
                      f"{said}, {sent / 1e6:.1f} MB sent", flush=True)
        for _, restored in tools.values():
            assert_same(uploads, restored)
    finally:
        run([servers, "stop", f"{a.dir}/servers"])


if __name__ == "__main__":
    main()
