#!/usr/bin/env python3
"""Runs idswyft-vault and its peers over the same corpus, side by side, and prints ratios.

    benches/peers.py [--tools idswyft-vault,restic,bupstash] [--passes 2] [--dir DIR] [--report]

Everything is under DIR (target/bench): the corpus, made by corpus.py if it is not there yet, the
repositories, and results.jsonl, to which each timed step appends a line. --report prints the table
of the results that are there and runs nothing. Peers are looked up on PATH; one that is not there
is left out, and said so.

Per tool and pass, on fresh repositories: initial uploads and dump (through a pipe), unchanged
uploads, day-1 uploads and dump, restore of both with a byte comparison, and, where the tool has
them, full verify and deletion of the day-0 snapshots with prune. wall = elapsed, cpu = user+system of the tool, rss = its peak,
flush = time of a sync(2) right after (bytes the tool left dirty), other = CPU seconds that other
processes of the machine used meanwhile (the noise), repo = bytes of all files in the repository,
grew = by how much this step changed that. Input is warm in the page cache.
"""
import argparse
import fcntl
import filecmp
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "idswyft-vault"
PASS = "correct horse battery staple"
program = OURS      # where our binary is; set by main


def output(argv):
    """The standard output of a command that must succeed, as text."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


# ------------------------------------------------------------------------------ the tools
# Each function takes a directory of its own and that of the corpus, and returns commands by step.
# They run in the corpus. The repository is in r/repo; caches and keys are beside it.


def vault(r, data):
    """Two vaults, so that tree and dump are timed apart, as with the peers."""
    key = r + "/operator.key"
    subprocess.run([program, "keygen", "--no-passphrase", "-o", key], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    recipient = re.search(r"age1[0-9a-z]+", open(key).read()).group(0)
    sources = {
        "tree": f'[sources.uploads]\nkind = "path"\npath = "{data}/uploads"\n',
        "dump": '[sources.database]\nkind = "stdin"\n',
    }
    for name, source in sources.items():
        with open(f"{r}/{name}.toml", "w") as config:
            config.write(f'state_dir = "{r}/state-{name}"\nrecipients = ["{recipient}"]\n\n'
                         f'[[vault]]\nname = "{name}"\nkeep_daily = 30\n[[vault.store]]\n'
                         f'name = "local"\nurl = "file://{r}/repo/{name}"\n\n{source}')
    os.environ.update(IDSWYFT_VAULT_IDENTITY=key)

    def run(name, *words):
        return [program, "--config", f"{r}/{name}.toml", *words]

    def id_of(name, tag):
        found = json.loads(output(run(name, "snapshots", "--json")))["snapshots"]
        return next(s["id"] for s in found if tag in s["tags"])

    kits = [" ".join(run(name, "init", "--kit", f"{r}/kit-{name}")) for name in sources]
    return dict(
        init=["sh", "-ec", f"mkdir {r}/repo; " + "; ".join(kits)],
        tree=lambda n: run("tree", "snapshot", "--tag", n, "--no-retain"),
        pipe=lambda n: run("dump", "snapshot", "--tag", n, "--no-retain"),
        untree=lambda n, d: run("tree", "restore", id_of("tree", n), "--only", "uploads",
                                "--target", d + "/restored"),
        unpipe=lambda n: run("dump", "restore", id_of("dump", n), "--only", "database",
                             "--target", r + "/undump"),
        unpiped=r + "/undump/db.sql",
        verify=[run(name, "verify", "--level", "contents") for name in sources],
        drop=None)


def restic(r, data):
    def ids(tag):
        return [s["id"] for s in json.loads(output(["restic", "snapshots", "--json", "--tag", tag]))]
    os.environ.update(RESTIC_REPOSITORY=r + "/repo", RESTIC_PASSWORD=PASS,
                      RESTIC_CACHE_DIR=r + "/cache")
    backup = ["restic", "backup", "-q", "--compression", "auto", "--tag"]
    return dict(
        init=["restic", "init"],
        tree=lambda n: backup + [n, "uploads"],
        pipe=lambda n: backup + [n, "--stdin", "--stdin-filename", "dump.sql"],
        untree=lambda n, d: ["restic", "restore", "-q", "latest", "--tag", n, "--target", d],
        unpipe=lambda n: ["restic", "dump", "-q", "--tag", n, "latest", "dump.sql"],
        verify=[["restic", "check", "-q", "--read-data"]],
        drop=lambda names: [["restic", "forget", "-q", "--prune"] + [i for n in names for i in ids(n)]])


def rustic(r, data):
    def ids(tag):
        found = json.loads(output(["rustic", "snapshots", "--json", "--filter-tags", tag]))
        return [s["id"] for g in found
                for s in (g.get("snapshots") or g[1] if not isinstance(g, dict) or "snapshots" in g else [g])]
    os.environ.update(RUSTIC_REPOSITORY=r + "/repo", RUSTIC_PASSWORD=PASS, RUSTIC_CACHE_DIR=r + "/cache",
                      RUSTIC_NO_PROGRESS="true", RUSTIC_LOG_LEVEL="warn")
    return dict(
        init=["rustic", "init"],
        tree=lambda n: ["rustic", "backup", "--tag", n, "uploads"],
        # Without --force, rustic 0.11.4 takes the previous dump of that name for unchanged.
        pipe=lambda n: ["rustic", "backup", "--force", "--tag", n, "--stdin-filename", "dump.sql", "-"],
        untree=lambda n, d: ["rustic", "restore", ids(n)[-1], d],
        unpipe=lambda n: ["rustic", "dump", ids(n)[-1] + ":dump.sql"],
        verify=[["rustic", "check", "--read-data"]],
        drop=lambda names: [["rustic", "forget"] + [i for n in names for i in ids(n)],
                            ["rustic", "prune", "--instant-delete"]])


def borg(r, data):
    os.environ.update(BORG_REPO=r + "/repo", BORG_PASSPHRASE=PASS, BORG_BASE_DIR=r + "/base",
                      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
    return dict(
        init=["borg", "init", "-e", "repokey-blake2"],
        tree=lambda n: ["borg", "create", "-C", "zstd,3", "::" + n, "uploads"],
        pipe=lambda n: ["borg", "create", "-C", "zstd,3", "--stdin-name", "dump.sql", "::" + n, "-"],
        untree=lambda n, d: ["borg", "extract", "::" + n],
        unpipe=lambda n: ["borg", "extract", "--stdout", "::" + n],
        verify=[["borg", "check", "--verify-data"]],
        drop=lambda names: [["borg", "delete", r + "/repo"] + names, ["borg", "compact"]])


def bupstash(r, data):
    os.environ.update(BUPSTASH_REPOSITORY=r + "/repo", BUPSTASH_KEY=r + "/key")
    put = ["bupstash", "put", "-q", "--send-log"]
    return dict(
        init=["sh", "-c", f"bupstash init && bupstash new-key -o {r}/key"],
        tree=lambda n: put + [r + "/tree.log", "name=" + n, "uploads"],
        pipe=lambda n: put + [r + "/pipe.log", "name=" + n, "-"],
        untree=lambda n, d: ["bupstash", "restore", "-q", "--into", d, "name=" + n],
        unpipe=lambda n: ["bupstash", "get", "-q", "name=" + n],
        verify=[],                                          # bupstash has no verify command
        drop=lambda names: [["bupstash", "rm", "-q", "name=" + n] for n in names]
        + [["bupstash", "gc", "-q"]])


def zpaq(r, data):
    a = [r + "/repo/a.zpaq", "-key", PASS, "-t2"]
    return dict(                                            # append-only journal: no stdin, no prune
        init=["mkdir", "-p", r + "/repo"],
        tree=lambda n: ["zpaq", "add", a[0], "uploads"] + a[1:] + ["-m1"],
        pipe=lambda n: ["zpaq", "add", a[0], "dump" + n[1:] + ".sql"] + a[1:] + ["-m1"],
        untree=lambda n, d: ["zpaq", "extract", a[0], "uploads", "-to", "uploads"] + a[1:],
        unpipe=None, verify=[["zpaq", "extract", a[0], "-test", "-all"] + a[1:]], drop=None)


TOOLS = {OURS: vault, "restic": restic, "rustic": rustic, "borg": borg, "bupstash": bupstash, "zpaq": zpaq}


# ------------------------------------------------------------------------------ measuring


def busy():
    """Busy CPU seconds of the machine so far."""
    v = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def wait_quiet(limit):
    """Waits until other processes leave the cores 80% idle for 2 s; gives up after `limit` s."""
    end = time.time() + limit
    while True:
        b = busy()
        time.sleep(2)
        used = (busy() - b) / 2
        if used < 0.2 * os.cpu_count() or time.time() > end:
            return used


def size_of(path):
    total = files = 0
    for d, _, names in os.walk(path):
        for n in names:
            total += os.lstat(os.path.join(d, n)).st_size
            files += 1
    return total, files


def timed(argv, cwd, feed=None, into=None, log=None):
    """Runs one command; (wall, cpu, peak rss, other CPU, flush). `feed`: a file piped in."""
    os.sync()
    source = subprocess.Popen(["cat", feed], stdout=subprocess.PIPE) if feed else None
    out = open(into, "wb") if into else log
    b, t = busy(), time.time()
    stdin = source.stdout if source else subprocess.DEVNULL
    p = subprocess.Popen(argv, cwd=cwd, stdin=stdin, stdout=out, stderr=log)
    if source:
        source.stdout.close()
    _, status, ru = os.wait4(p.pid, 0)
    wall = time.time() - t
    p.returncode = os.waitstatus_to_exitcode(status)
    other = busy() - b - ru.ru_utime - ru.ru_stime
    if source:
        source.wait()
    t = time.time()
    os.sync()
    if p.returncode != 0 and not (p.returncode == 1 and argv[0] == "borg"):
        raise SystemExit(f"{argv} exited {p.returncode}, see the log")
    return wall, ru.ru_utime + ru.ru_stime, ru.ru_maxrss / 1024, other, time.time() - t


def same_tree(a, b):
    names = {}
    for root in (a, b):
        names[root] = sorted(os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs)
    same = (filecmp.cmp(os.path.join(a, n), os.path.join(b, n), shallow=False) for n in names[a])
    return names[a] == names[b] and all(same)


def make_corpus(a, data, *words):
    subprocess.run([sys.executable, HERE + "/corpus.py", "--out", data, "--scale", str(a.scale),
                    "--seed", a.seed, *words], check=True)


def set_day(a, data, day):
    make_corpus(a, data, "--skip-sql", "--tree-day", str(day))


def run_tool(name, run, a):
    data, r = a.dir + "/corpus", a.dir + "/repos/" + name
    shutil.rmtree(r, ignore_errors=True)
    os.makedirs(r)
    set_day(a, data, 0)
    subprocess.run("cat uploads/*/* dump0.sql dump1.sql > /dev/null", shell=True, cwd=data, check=True)
    log = open(r + "/log", "ab")
    tool = TOOLS[name](r, data)
    subprocess.run(tool["init"], check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    before = [size_of(r + "/repo")[0]]

    def step(label, commands, **how):
        noise = wait_quiet(a.wait)
        rows = [timed(c, how.get("cwd", data), how.get("feed"), how.get("into"), log) for c in commands]
        size, files = size_of(r + "/repo")
        rec = dict(tool=name, run=run, step=label, wall=sum(x[0] for x in rows), cpu=sum(x[1] for x in rows),
                   rss=max(x[2] for x in rows), other=sum(x[3] for x in rows), flush=sum(x[4] for x in rows),
                   repo=size, grew=size - before[0], files=files, before=noise, at=time.strftime("%H:%M:%S"))
        before[0] = size
        with open(a.dir + "/results.jsonl", "a") as f:
            rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in rec.items()}
            f.write(json.dumps(rounded) + "\n")
        print("{tool:13} {run} {step:7} wall {wall:7.2f} cpu {cpu:7.2f} rss {rss:5.0f} MB other {other:6.1f} "
              "flush {flush:5.2f} repo {repo:>11} files {files}".format(**rec), flush=True)

    def feed(k):
        return None if name == "zpaq" else f"{data}/dump{k}.sql"

    step("tree0", [tool["tree"]("u0")])
    step("dump0", [tool["pipe"]("d0")], feed=feed(0))
    step("same", [tool["tree"]("u0b")])
    set_day(a, data, 1)
    step("tree1", [tool["tree"]("u1")])
    step("dump1", [tool["pipe"]("d1")], feed=feed(1))
    back = r + "/back"
    os.makedirs(back)
    step("untree", [tool["untree"]("u1", back)], cwd=back)
    at = next(d for d, ds, _ in os.walk(back) if "documents" in ds)
    assert same_tree(data + "/uploads", at), "restored tree differs"
    shutil.rmtree(back)
    if tool["unpipe"]:
        restored = tool.get("unpiped")
        step("undump", [tool["unpipe"]("d1")], into=None if restored else r + "/dump.sql")
        restored = restored or r + "/dump.sql"
        assert filecmp.cmp(restored, data + "/dump1.sql", shallow=False), "restored dump differs"
        os.unlink(restored)
    if tool["verify"]:
        step("verify", tool["verify"])
    if tool["drop"]:
        step("drop", tool["drop"](["u0", "u0b", "d0"]))
    shutil.rmtree(r + "/repo")


# ------------------------------------------------------------------------------ the report

METRICS = (("wall", "s", 1, ("tree0", "dump0", "same", "tree1", "dump1", "untree", "undump", "verify")),
           ("cpu", "s", 1, ("tree0", "dump0", "same", "tree1", "dump1", "untree", "undump", "verify")),
           ("rss", "MB", 1, ("tree0", "dump0", "same", "tree1", "dump1", "untree", "undump", "verify")),
           ("grew", "MB", 1e6, ("tree0", "dump0", "same", "tree1", "dump1")))


def report(path, tools):
    """Prints the median of each step and tool, and ours as a ratio of the best peer's."""
    found = {}
    with open(path) as lines:
        for rec in map(json.loads, lines):
            for metric, *_ in METRICS:
                found.setdefault((metric, rec["step"], rec["tool"]), []).append(rec[metric])
    tools = [t for t in tools if any(key[2] == t for key in found)]
    print("\n" + "".join(f"{c:>15}" for c in ["", *tools, "ours / best"]))
    for metric, unit, divisor, steps in METRICS:
        for step in steps:
            values = {t: statistics.median(found[metric, step, t]) / divisor
                      for t in tools if (metric, step, t) in found}
            peers = [v for t, v in values.items() if t != OURS]
            is_comparable = OURS in values and peers and min(peers) > 0
            ratio = f"{values[OURS] / min(peers):.2f}" if is_comparable else "-"
            cells = [f"{values[t]:.2f} {unit}" if t in values else "-" for t in tools]
            print("".join(f"{c:>15}" for c in [f"{step} {metric}", *cells, ratio]))
        print()


def build():
    """Builds our program and returns where it is."""
    subprocess.run(["cargo", "build", "--release", "--locked"], check=True, cwd=HERE + "/..")
    where = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--manifest-path", HERE + "/../Cargo.toml"]
    return json.loads(output(where))["target_directory"] + "/release/" + OURS


def main():
    global program
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", default=HERE + "/../target/bench", help="corpus, repositories and results")
    p.add_argument("--tools", default="idswyft-vault,restic,bupstash")
    p.add_argument("--passes", type=int, default=2)
    p.add_argument("--first", type=int, default=1, help="number of the first pass")
    p.add_argument("--wait", type=float, default=120, help="seconds to wait for a quiet machine before each step")
    p.add_argument("--scale", type=float, default=1.0, help="1.0 is 1.6 GB of uploads and dumps of 300 MB")
    p.add_argument("--seed", default="1")
    p.add_argument("--program", help="our binary; built from this repository unless given")
    p.add_argument("--report", action="store_true", help="print the results so far and run nothing")
    a = p.parse_args()
    a.dir = os.path.abspath(a.dir)
    results = a.dir + "/results.jsonl"
    wanted = a.tools.split(",")
    if a.report:
        return report(results, wanted)
    unknown = [t for t in wanted if t not in TOOLS]
    if unknown:
        p.error(f"no such tool: {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    missing = [t for t in wanted if t != OURS and not shutil.which(t)]
    for tool in missing:
        print(f"{tool} is not on PATH and is left out", file=sys.stderr)
    present = [t for t in wanted if t not in missing]
    os.makedirs(a.dir, exist_ok=True)
    if OURS in present:
        program = os.path.abspath(a.program) if a.program else build()
    with open(a.dir + "/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(a.dir + "/corpus/dump1.sql"):
            make_corpus(a, a.dir + "/corpus")
        for run in range(a.first, a.first + a.passes):
            for name in present:
                run_tool(name, run, a)
    report(results, present)


if __name__ == "__main__":
    main()
