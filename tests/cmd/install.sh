# An installation in the working directory: uploads, a dump, an identity, and a config whose vault has
# the policy in $policy.
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
$policy
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
