# A vault with three snapshots and a janitor.
policy='keep_last = 2'
. "$INSTALL"
idswyft-vault --quiet init --kit kit
for night in 1 2 3; do idswyft-vault --quiet snapshot; done
export IDSWYFT_VAULT_IDENTITY=operator.key
idswyft-vault --quiet signer add --role janitor -o janitor.key --kit kit
