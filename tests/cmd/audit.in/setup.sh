# An installation with two snapshots in the working directory, and what an auditor has of it.
mkdir uploads
echo 'a picture' > uploads/a.jpg
cat > db.sql <<'DUMP'
--
-- PostgreSQL database dump
--

COPY public.users (id, name) FROM stdin;
1	Ada
\.

--
-- PostgreSQL database dump complete
--

DUMP
cat > idswyft-vault.toml <<CONFIG
state_dir = "$PWD/state"
recipients = ["$(idswyft-vault keygen --no-passphrase --quiet -o operator.key)"]

[[vault]]
name = "nightly"
keep_daily = 30
[[vault.store]]
name = "local"
url = "file://$PWD/store"

[sources.database]
kind = "command"
argv = ["cat", "$PWD/db.sql"]

[sources.uploads]
kind = "path"
path = "$PWD/uploads"
CONFIG
exec > /dev/null 2>&1
idswyft-vault init --kit kit
idswyft-vault snapshot
idswyft-vault snapshot
idswyft-vault signer add --role auditor -o auditor.key --kit kit --identity operator.key
idswyft-vault ledger key > vault.key
# No more than the store, its key and its own: what an auditor has.
sed "s:/state:/auditor:" idswyft-vault.toml > auditor.toml
