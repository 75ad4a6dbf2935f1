#!/usr/bin/env python3
"""Many nights of one vault: what a snapshot needs after months, against a fresh vault of the same day.

    nights.py --program idswyft-vault --dir DIR [--nights 90] [--scale 0.1] [--pack-len 4MiB]
              [--retire 25,0]

Runs the corpus generator beside this file day by day (1.5 % of files come, 1 % go, rows change) and
takes a snapshot of each day in one vault per value of `retire_below`. Prints a line for every tenth
night: stored bytes that the newest snapshot needs, over those of a fresh vault with only that day;
packs that a restore of it touches; new bytes of the night. The packs are small in proportion to the
corpus, as real ones are to real installations.
"""
import argparse, json, os, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))

CONFIG = """state_dir = "{dir}/state"
recipients = ["{recipient}"]
[[vault]]
name = "n"
pack_len = "{pack_len}"
retire_below = {retire}
[[vault.store]]
name = "local"
url = "file://{dir}/store"
[sources.database]
kind = "command"
argv = ["cat", "{data}/today.sql"]
[sources.uploads]
kind = "path"
path = "{data}/uploads"
"""


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class Vault:
    def __init__(self, a, name, retire, recipient):
        self.program, self.dir = a.program, f"{a.dir}/{name}"
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.config = f"{self.dir}/config.toml"
        with open(self.config, "w") as f:
            f.write(CONFIG.format(dir=self.dir, recipient=recipient, pack_len=a.pack_len, retire=retire, data=f"{a.dir}/data"))
        run(a.program, "--config", self.config, "init", "--kit", f"{self.dir}-kit")

    def snapshot(self):
        report = json.loads(run(self.program, "--json", "--config", self.config, "snapshot"))["snapshots"][0]
        shown = json.loads(run(self.program, "--json", "--config", self.config, "show", report["id"]))
        return dict(stored=report["stored_len"], new=report["new_len"], packs=shown["pack_count"] + shown["tree_count"])

    def remove(self):
        shutil.rmtree(self.dir)
        shutil.rmtree(self.dir + "-kit")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default="idswyft-vault")
    p.add_argument("--dir", required=True)
    p.add_argument("--nights", type=int, default=90)
    p.add_argument("--scale", type=float, default=0.1)
    p.add_argument("--pack-len", default="4MiB")
    p.add_argument("--retire", default="25,0")
    a = p.parse_args()
    a.dir = os.path.abspath(a.dir)
    data = f"{a.dir}/data"
    os.makedirs(data, exist_ok=True)
    key = f"{a.dir}/operator.key"
    if os.path.exists(key):
        os.unlink(key)
    recipient = run(a.program, "keygen", "-o", key, "--no-passphrase").strip()
    corpus = [sys.executable, f"{HERE}/corpus.py", "--out", data, "--scale", str(a.scale)]
    subprocess.run(corpus + ["--days", str(a.nights), "--skip-tree"], check=True, stderr=subprocess.DEVNULL)
    vaults = {r: Vault(a, f"retire-{r}", r, recipient) for r in a.retire.split(",")}
    for night in range(a.nights + 1):
        subprocess.run(corpus + ["--tree-day", str(night), "--skip-sql"], check=True, stderr=subprocess.DEVNULL)
        shutil.copy(f"{data}/dump{night}.sql", f"{data}/today.sql")
        results = {r: vault.snapshot() for r, vault in vaults.items()}
        if night % 10 == 0:
            fresh = Vault(a, "fresh", 25, recipient)
            base = fresh.snapshot()
            fresh.remove()
            for r, x in results.items():
                print(f"night {night:3} retire_below {r:>3}: stored/needed {x['stored'] / base['stored']:.2f} "
                      f"packs {x['packs']} (fresh {base['packs']}) new {x['new'] / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
