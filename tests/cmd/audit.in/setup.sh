# An installation with two snapshots, and what an auditor has of it.
policy='keep_daily = 30'
. "$INSTALL"
exec > /dev/null 2>&1
idswyft-vault init --kit kit
idswyft-vault snapshot
idswyft-vault snapshot
idswyft-vault signer add --role auditor -o auditor.key --kit kit --identity operator.key
idswyft-vault ledger key > vault.key
# No more than the store, its key and its own: what an auditor has.
sed "s:/state:/auditor:" idswyft-vault.toml > auditor.toml
