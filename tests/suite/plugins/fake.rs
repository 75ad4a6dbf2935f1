//! A plugin made of a shell script. Spec: c2sp.org/age-plugin.

use std::fs;
use std::path::PathBuf;

use age_core::primitives::bech32_encode;
use bech32::Hrp;

use crate::support::program::Program;

/// What the plugin's own recipient and identity hold.
const TOKEN: &[u8] = b"a token's serial number";

/// The script: `@name@` and `@labels@` are filled in. The last character of a body carries padding
/// bits and stays as it is.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
name=@name@ labels='@labels@'

swap() {
    head=${1%?}
    printf '%s%s' "$(printf %s "$head" | tr A-Za-z a-zA-Z)" "${1#"$head"}"
}
# Of a recipient or an identity, what both have in common.
token() {
    data=${1##*1}
    printf %s "${data%??????}" | tr A-Z a-z
}
# Says a stanza and waits for the answer.
say() {
    printf '%s\n' "-> $1" "$2"
    IFS= read -r _answer
    IFS= read -r _body
}
finish() {
    printf '%s\n' '-> done' ''
    exit 0
}

recipients= keys= identities= wrapped= wrapped_for=
while IFS= read -r line; do
    body=
    while IFS= read -r part; do
        body=$body$part
        [ ${#part} -eq 64 ] || break
    done
    set -- $line
    case ${2-} in
    add-recipient) recipients="$recipients $3" ;;
    wrap-file-key) keys="$keys $body" ;;
    add-identity) identities="$identities $3" ;;
    recipient-stanza) [ "$4" != "$name" ] || { wrapped=$body wrapped_for=$5; } ;;
    done) break ;;
    esac
done
refusal=$(dirname -- "$0")/refusal
if [ -e "$refusal" ]; then
    say 'error internal' "$(base64 -w 64 <"$refusal" | tr -d =)"
    finish
fi
file=0
for key in $keys; do
    [ -z "$labels" ] || say "labels $labels" ''
    for recipient in $recipients; do
        say "recipient-stanza $file $name $(token "$recipient")" "$(swap "$key")"
    done
    file=$((file + 1))
done
for identity in $identities; do
    if [ -n "$wrapped" ] && [ "$(token "$identity")" = "$wrapped_for" ]; then
        say 'file-key 0' "$(swap "$wrapped")"
        break
    fi
done
finish
"#;

/// A plugin on the PATH of a program, its recipient, and its identity in `<name>.key`.
pub struct FakePlugin {
    name: &'static str,
    path: PathBuf,
    /// The plugin's recipient.
    pub recipient: String,
}

impl FakePlugin {
    /// Installs `age-plugin-<name>`, which wants these labels on a file of its recipients.
    pub fn install(program: &Program, name: &'static str, labels: &[&str]) -> Self {
        let script = SCRIPT.replace("@name@", name).replace("@labels@", &labels.join(" "));
        let path = program.script(&format!("bin/age-plugin-{name}"), &script);
        let recipient = bech32_encode(Hrp::parse(&format!("age1{name}")).unwrap(), TOKEN);
        let plugin = Self { name, path, recipient };
        plugin.write_identity(program, &format!("{name}.key"), TOKEN);
        plugin
    }

    /// Writes an identity file for a token.
    pub fn write_identity(&self, program: &Program, file: &str, token: &[u8]) {
        let hrp = Hrp::parse(&format!("age-plugin-{}-", self.name)).unwrap();
        let text = bech32_encode(hrp, token).to_uppercase();
        fs::write(program.path(file), format!("# a token\n{text}\n")).unwrap();
    }

    /// Takes the plugin off the PATH.
    pub fn uninstall(&self) {
        fs::remove_file(&self.path).unwrap();
    }

    /// Makes the plugin answer nothing but an error.
    pub fn refuse(&self, reason: &str) {
        fs::write(self.path.with_file_name("refusal"), reason).unwrap();
    }
}

/// Returns the secret line of the operator's identity file.
pub fn native_identity(program: &Program) -> String {
    let file = fs::read_to_string(program.path("operator.key")).unwrap();
    file.lines().last().unwrap().to_owned()
}
