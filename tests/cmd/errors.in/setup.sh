# An installation, and the identity of somebody else.
policy='keep_daily = 30'
. "$INSTALL"
idswyft-vault keygen --no-passphrase --quiet -o other.key > /dev/null
