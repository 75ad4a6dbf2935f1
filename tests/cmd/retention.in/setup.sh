# A vault in the working directory with three snapshots and a janitor.
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
echo 'cat db.sql' > dump.sh
cat > idswyft-vault.toml <<CONFIG
state_dir = "$PWD/state"
recipients = ["$(idswyft-vault keygen --no-passphrase --quiet -o operator.key)"]

[[vault]]
name = "nightly"
keep_last = 2
[[vault.store]]
name = "local"
url = "file://$PWD/store"

[sources.database]
kind = "command"
argv = ["sh", "dump.sh"]

[sources.uploads]
kind = "path"
path = "$PWD/uploads"
CONFIG
idswyft-vault --quiet init --kit kit
for night in 1 2 3; do idswyft-vault --quiet snapshot; done
export IDSWYFT_VAULT_IDENTITY=operator.key
idswyft-vault --quiet signer add --role janitor -o janitor.key --kit kit
