//! Configs that are accepted, and every way in which one is refused.

use std::path::Path;

use super::*;
use crate::base::{Code, Coded, Profile};
use crate::crypto::identity::NewIdentity;
use crate::store::LockMode;

fn fresh_recipient() -> String {
    NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH).recipient
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("config.toml"), text.to_owned())
}

/// The errors of a chain, one a line.
fn words(error: &ConfigError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}\n{cause}");
        next = cause.source();
    }
    text
}

/// A config of all that can be in one, and the recipients in it.
fn full() -> String {
    format!(
        r#"state_dir = "/var/lib/idswyft-vault"
recipients = ["{data}"]

[[vault]]
name = "nightly"
keep_daily = 30
pack_len = "16MiB"
retire_below = 40
reuse = "20d"
grace = "2w"
generation_max_age = "never"
[vault.chunks.stream]
avg = "8KiB"
level = 5
[[vault.store]]
name = "local"
url = "file:///var/backups/idswyft"

[[vault]]
name = "kyc"
every = "month"
keep_monthly = 84
floor = "5y"
[[vault.store]]
name = "glacier"
url = "s3://bucket/prefix"
region = "eu-central-1"
path_style = true
credentials_file = "/etc/idswyft-vault/s3"
pack_class = "DEEP_ARCHIVE"
object_lock = "compliance"

[sources.database]
kind = "command"
argv = ["pg_dump", "idswyft"]

[sources.uploads]
kind = "path"
path = "/srv/uploads"

[escrow]
store = "file:///mnt/escrow"
dir = "/opt/idswyft"
recipients = ["{escrow}"]
"#,
        data = fresh_recipient(),
        escrow = fresh_recipient()
    )
}

#[test]
fn everything_that_a_config_can_say_is_understood() {
    let config = parse(&full()).unwrap();
    assert_eq!(config.state_dir, Path::new("/var/lib/idswyft-vault"));
    let [nightly, kyc] = &config.vaults[..] else { panic!("two vaults") };
    let fields = nightly.parameters.fields();
    assert_eq!(fields.pack_len, 16 * 1024 * 1024);
    assert_eq!((fields.retire_below_percent, fields.reuse_days, fields.grace_days), (40, 20, 14));
    assert_eq!(fields.generation_max_age_days, None);
    let stream = nightly.parameters.chunks(Profile::Stream);
    assert_eq!((stream.len_min(), stream.len_avg(), stream.level()), (1024, 8192, 5));
    assert_eq!(kyc.recipients, nightly.recipients);
    assert_eq!(kyc.parameters.fields().generation_max_age_days, Some(365));
    let s3 = kyc.stores[0].s3.as_ref().unwrap();
    assert!(s3.path_style && s3.object_lock == Some(LockMode::Compliance));
    assert!(nightly.stores[0].s3.is_none());
    let Some(DatabaseConfig::Command { argv }) = &config.sources.database else { panic!() };
    assert_eq!(argv.join(" "), "pg_dump idswyft");
    assert!(config.sources.uploads.is_some() && config.escrow.is_some());
    assert_eq!(config.select(Some("kyc")).unwrap()[0].name, "kyc");
    assert_eq!(config.select(None).unwrap().len(), 2);
}

#[test]
fn an_unknown_vault_is_named_beside_those_that_exist() {
    let error = parse(&full()).unwrap().select(Some("weekly")).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    assert!(error.to_string().contains("\"weekly\"") && error.to_string().contains("nightly, kyc"));
}

#[test]
fn a_vault_that_keeps_everything_retires_nothing() {
    let text = full().replace("keep_daily = 30\n", "").replace("retire_below = 40\n", "");
    assert_eq!(parse(&text).unwrap().vaults[0].parameters.fields().retire_below_percent, 0);
    let text = full().replace("retire_below = 40\n", "");
    assert_eq!(parse(&text).unwrap().vaults[0].parameters.fields().retire_below_percent, 25);
}

/// Each generation is one more copy of all that is kept; a lock for all that time is a choice.
#[test]
fn a_vault_that_keeps_everything_closes_no_generation_for_five_years_unless_a_store_locks() {
    let age = |text: &str| {
        let config = parse(&text.replace("generation_max_age = \"never\"\n", "")).unwrap();
        config.vaults[0].parameters.fields().generation_max_age_days
    };
    let everything = full().replace("keep_daily = 30\n", "");
    assert_eq!((age(&full()), age(&everything)), (Some(365), Some(1825)));
    let bounded = full().replace("keep_daily = 30\n", "ceiling = \"2y\"\n");
    assert_eq!(age(&bounded), Some(365));
    let place = "url = \"file:///var/backups/idswyft\"\n";
    let bucket = "url = \"s3://other/nightly\"\nregion = \"eu-central-1\"\n\
                  credentials_file = \"/etc/idswyft-vault/s3\"\nobject_lock = \"governance\"\n";
    assert_eq!(age(&everything.replace(place, bucket)), Some(365));
}

#[test]
fn a_vault_of_months_leans_on_what_it_named_a_long_month_ago() {
    let config = parse(&full()).unwrap();
    let reuse = |name: &str| {
        let vault = config.vaults.iter().find(|vault| vault.name == name).unwrap();
        vault.parameters.fields().reuse_days
    };
    assert_eq!((reuse("nightly"), reuse("kyc")), (20, 45));
}

/// What is replaced by what, text on the line that is blamed (the replacement if it is empty),
/// and what is said.
const WRONG: [(&str, &str, &str, &str); 56] = [
    ("keep_daily = 30", "keep_dayly = 30", "", "unknown field keep_dayly, expected one of"),
    ("[escrow]", "[escrwo]", "", "unknown field escrwo"),
    ("avg = \"8KiB\"", "average = \"8KiB\"", "", "unknown field average"),
    ("region = ", "zone = ", "", "unknown field zone"),
    ("path = \"/srv", "mode = 1\npath = \"/srv", "mode", "unknown field mode"),
    ("name = \"nightly\"\n", "", "[[vault]]", "missing field name"),
    ("keep_daily = 30", "keep_daily = -1", "", "-1"),
    ("keep_daily = 30", "keep_daily = 30 30", "", ""),
    ("keep_daily = 30", "keep_last = 1\nkeep_last = 2", "keep_last = 2", "duplicate key"),
    ("name = \"nightly\"", "name = \"Nightly\"", "", "name = \"Nightly\": a vault's name"),
    ("name = \"kyc\"", "name =  \"nightly\"", "", "\"nightly\" is there twice"),
    ("name = \"glacier\"", "name =  \"local\"", "", "\"local\" is there twice"),
    ("name = \"local\"", "name = \"a b\"", "", "a store's name"),
    ("\"/var/lib/idswyft-vault\"", "\"state\"", "", "state_dir = \"state\": a path must be"),
    ("/var/lib/idswyft-vault", "/var/backups/idswyft/s", "url =", "is inside store local"),
    ("/var/lib/idswyft-vault", "/var/backups", "url =", "store local is inside the state"),
    ("s3://bucket/prefix", "file:///b", "region", "region: only an s3:// store"),
    ("s3://bucket/prefix", "s3://", "", "write s3://bucket/prefix"),
    ("\"compliance\"", "\"forever\"", "", "object_lock = \"forever\": expected compliance"),
    ("s3://bucket/prefix", "s3://bucket/../prefix", "", "its prefix has an empty"),
    ("s3://bucket/prefix", "s3://bucket/prefix?region=a", "", "'?' is not allowed"),
    ("region = ", "endpoint = \"s3.example\"\nregion = ", "endpoint", "endpoint: \"s3.example\""),
    ("region = ", "ca_file = \"ca.pem\"\nregion = ", "ca_file", "a path must be absolute"),
    ("region = ", "sse = \"aes\"\nregion = ", "sse", "expected AES256 or aws:kms"),
    ("region = ", "sse_kms_key = \"k\"\nregion = ", "sse_kms", "only sse = \"aws:kms\" has one"),
    ("region = ", "timeout = \"10\"\nregion = ", "timeout", "expected a span such as 10m"),
    ("region = ", "requests_in_flight = 65\nregion = ", "requests", "expected 1 to 64"),
    ("region = ", "requests_in_flight = 0\nregion = ", "requests", "expected 1 to 64"),
    ("region = ", "upload_limit = \"1\"\nregion = ", "upload", "at least 1024 bytes a second"),
    ("file:///mnt/escrow", "file:///var/backups/idswyft/", "", "the same place"),
    ("file:///mnt/escrow", "s3://bucket/prefix/escrow", "", "the escrow store is inside"),
    ("file:///mnt/escrow", "s3://other/escrow", "", "a bucket is not available in this version"),
    ("file:///mnt/escrow", "/mnt/escrow", "", "url"),
    ("file:///mnt/escrow", "file:///opt/idswyft/x", "", "is inside the install directory"),
    ("file:///mnt/escrow", "file:///srv/uploads/x", "", "is inside the uploads"),
    ("file:///mnt/escrow", "file:///srv", "", "the uploads is inside the escrow store"),
    ("dir = \"/opt/idswyft\"", "", "store = \"file:///mnt/escrow", "dir: name the install"),
    ("\"16MiB\"", "\"16MB\"", "", "pack_len = \"16MB\": expected a length"),
    ("\"16MiB\"", "\"1MiB\"", "[[vault]]", "pack_len = 1048576: need 4194304"),
    ("\"20d\"", "\"soon\"", "", "reuse = \"soon\": expected days"),
    ("\"2w\"", "14", "grace", "invalid type: integer 14"),
    ("retire_below = 40", "retire_below = 101", "[[vault]]", "retire_below_percent = 101"),
    ("\"never\"", "\"0d\"", "", "generation_max_age = \"0d\""),
    ("\"8KiB\"", "\"64KiB\"", "[vault.chunks", "chunks.stream: use chunk lengths"),
    ("\"command\"", "\"compose\"", "argv", "argv: a source of kind compose"),
    (
        "\"command\"\nargv = [\"pg_dump\", \"idswyft\"]",
        "\"compose\"\ndir = \"/o\"\nproject = \"-p\"",
        "project",
        "expected a name",
    ),
    ("argv = [\"pg", "project = \"p\"\nargv = [\"pg", "", "project: a source of kind command"),
    ("path = \"/srv", "read = \"direct\"\npath = \"/srv", "", "read: a source of kind path"),
    ("\"path\"\npath = \"/srv/uploads\"", "\"volume\"", "", "\"volume\" needs dir"),
    ("\"command\"", "\"stdin\"", "argv", "argv: a source of kind stdin"),
    ("\"command\"", "\"local\"", "argv", "argv: a source of kind local"),
    ("argv = [\"pg_dump\", \"idswyft\"]", "", "kind =", "kind = \"command\" needs argv"),
    ("[\"pg_dump\", \"idswyft\"]", "[]", "argv", "argv: it names no program"),
    ("\"command\"", "\"mysql\"", "", "expected compose, command, local or stdin"),
    ("kind = \"path\"", "kind = \"volume\"", "path = \"/srv", "path: a source of kind volume"),
    ("\"/srv/uploads\"", "\"uploads\"", "", "path = \"uploads\": a path must be absolute"),
];

#[test]
fn whatever_is_wrong_is_refused_with_its_line_and_key() {
    for (from, to, at, said) in WRONG {
        let text = full();
        let wrong = text.replacen(from, to, 1);
        assert_ne!(wrong, text, "{from}");
        let at = wrong.find(if at.is_empty() { to } else { at }).unwrap();
        let line = wrong[..at].lines().count() + usize::from(wrong[..at].ends_with('\n'));
        let error = parse(&wrong).err().unwrap_or_else(|| panic!("accepts {to}"));
        let words = words(&error);
        assert_eq!((error.code(), error.code().exit()), (Code::ConfigInvalid, 2), "{words}");
        assert!(words.contains(&format!("config.toml: line {line}: ")), "{line} {to}: {words}");
        assert!(words.contains(said) && !words.contains('`'), "{to}: {words}");
    }
}

/// B-3
#[test]
fn what_only_a_bucket_has_is_refused_elsewhere_and_understood_there() {
    let keys = [
        "region = \"a\"",
        "endpoint = \"https://host\"",
        "path_style = true",
        "ca_file = \"/ca.pem\"",
        "credentials_file = \"/keys\"",
        "profile = \"cold\"",
        "pack_class = \"GLACIER\"",
        "sse = \"aws:kms\"",
        "object_lock = \"governance\"",
        "legal_hold = true",
        "put_only = true",
        "requests_in_flight = 64",
        "timeout = \"10m\"",
        "upload_limit = \"10MiB\"",
    ];
    let place = "url = \"file:///var/backups/idswyft\"\n";
    for key in keys {
        let error = parse(&full().replace(place, &format!("{place}{key}\n"))).unwrap_err();
        assert!(error.to_string().contains("only an s3:// store has it"), "{key}: {error}");
    }
    let text = full().replace("keep_daily = 30\n", "keep_daily = 30\nfloor = \"1d\"\n");
    let bucket = "url = \"s3://other/nightly\"\nsse_kms_key = \"k\"\n";
    let text = text.replace(place, &format!("{bucket}{}\n", keys.join("\n")));
    let config = parse(&text.replace("generation_max_age = \"never\"\n", "")).unwrap();
    let s3 = config.vaults[0].stores[0].s3.as_ref().unwrap();
    assert!(s3.path_style && s3.legal_hold && s3.put_only);
    assert_eq!(s3.timeout, Some(std::time::Duration::from_secs(600)));
    assert_eq!((s3.upload_limit, s3.in_flight()), (Some(10 << 20), 64));
    assert_eq!((s3.sse.as_deref(), s3.sse_kms_key.as_deref()), (Some("aws:kms"), Some("k")));
    let slow = config.vaults[0].stores[0].clone().sending_at(Some(5 << 20));
    assert_eq!(slow.s3.unwrap().upload_limit, Some(5 << 20));
    let fast = config.vaults[0].stores[0].clone().sending_at(Some(50 << 20));
    assert_eq!(fast.s3.unwrap().upload_limit, Some(10 << 20));
}

#[test]
fn a_policy_that_contradicts_itself_names_both_keys() {
    for (from, to, first, second) in [
        ("keep_daily = 30", "floor = \"2y\"\nceiling = \"1y\"", "floor = 2y", "ceiling = 1y"),
        ("keep_daily = 30", "every = \"month\"\nkeep_daily = 3", "every = month", "keep_daily = 3"),
        ("floor = \"5y\"", "ceiling = \"1y\"", "keep_monthly = 84", "ceiling = 1y"),
        (
            "keep_monthly = 84\nfloor = \"5y\"",
            "floor = \"5y\"\nceiling = \"5y\"",
            "max_age",
            "ceiling",
        ),
    ] {
        let error = parse(&full().replacen(from, to, 1)).unwrap_err();
        assert_eq!((error.code(), error.code().exit()), (Code::PolicyContradiction, 2));
        let words = words(&error);
        assert!(words.contains(first) && words.contains(second), "{words}");
        assert!(words.contains("line 4: vault nightly") || words.contains("line 19: vault kyc"));
    }
    let error = parse(&full().replace("\"5y\"", "\"five years\"")).unwrap_err();
    assert_eq!(error.code(), Code::ConfigInvalid);
    assert!(words(&error).contains("floor = \"five years\""));
}

#[test]
fn a_recipient_that_does_not_parse_is_refused_on_its_line() {
    let text = full().replacen("recipients = [\"age1", "recipients = [\n\"age2", 1);
    let error = parse(&text).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::RecipientInvalid, 2));
    let words = words(&error);
    assert!(words.contains("line 3: recipients") && words.contains("\"age2"), "{words}");

    let text = full();
    let first = text.split('"').nth(3).unwrap();
    let twice = text.replacen(&format!("[\"{first}\"]"), &format!("[\"{first}\", \"{first}\"]"), 1);
    assert!(parse(&twice).unwrap_err().to_string().contains("line 2: recipients: age1"));
}

/// E-3
#[test]
fn a_recipient_of_the_archive_may_not_open_the_escrow() {
    let text = full();
    let data = text.lines().nth(1).unwrap().to_owned();
    let escrow = text.lines().last().unwrap().to_owned();
    let error = parse(&text.replace(&escrow, &data)).unwrap_err();
    let line = format!("line {}: ", text.lines().count());
    assert!(error.to_string().contains(&line) && error.to_string().contains("opens the"));
}

/// E-3
#[test]
fn nobody_has_both_the_files_and_the_keys_of_two_persons() {
    let text = full();
    let recipients = text.lines().last().unwrap().to_owned();
    let one_person = format!("{text}key_{recipients}\n");
    let error = parse(&one_person).unwrap_err();
    assert!(error.to_string().contains("one person would have both"), "{error}");
    let data = text.lines().nth(1).unwrap();
    let error = parse(&format!("{text}key_{data}\n")).unwrap_err();
    assert!(error.to_string().contains("opens the archive"), "{error}");
    let other = format!("{text}key_recipients = [\"{}\"]\n", fresh_recipient());
    assert_eq!(parse(&other).unwrap().escrow.unwrap().key_recipients.len(), 1);
}

#[test]
fn a_config_without_a_vault_a_store_or_a_recipient_is_refused() {
    let without_vault = "state_dir = \"/s\"\n";
    assert!(parse(without_vault).unwrap_err().to_string().contains("no [[vault]]"));
    let without_recipient = "state_dir = \"/s\"\n[[vault]]\nname = \"a\"\n";
    assert!(parse(without_recipient).unwrap_err().to_string().contains("line 2: recipients"));
    let without_store = format!(
        "state_dir = \"/s\"\nrecipients = [\"{}\"]\n[[vault]]\nname = \"a\"\n",
        fresh_recipient()
    );
    assert!(parse(&without_store).unwrap_err().to_string().contains("line 3: store: vault a"));
}

#[test]
fn a_config_that_is_not_there_says_where_it_was_looked_for() {
    let error = Config::find(Some(Path::new("/nowhere/config.toml"))).unwrap_err();
    assert_eq!((error.code(), error.code().exit()), (Code::ConfigMissing, 2));
    assert!(error.to_string().contains("/nowhere/config.toml"));
    let looked_for = CONFIG_PLACES.map(str::to_owned).to_vec();
    let error = ConfigError::Missing { looked_for };
    assert_eq!(error.code(), Code::ConfigMissing);
    assert!(error.to_string().contains("./idswyft-vault.toml, /etc/idswyft-vault/config.toml"));
}

#[test]
fn what_a_composed_config_says_is_what_was_asked_for() {
    let flags = ConfigFlags {
        state_dir: "/var/lib/idswyft \"vault\"".into(),
        recipients: vec![fresh_recipient(), fresh_recipient()],
        vault: "nightly".into(),
        store: "file:///var/backups/idswyft".into(),
        keep_daily: Some(30),
        dump_argv: vec!["sh".into(), "-c".into(), "pg_dump 'a\\b' \"c\"\n".into()],
        database_url: None,
        uploads: Some("/srv/uploads".into()),
        stack: None,
        escrow: None,
    };
    let config = parse(&compose_config(&flags)).unwrap();
    assert_eq!(config.state_dir, flags.state_dir);
    assert_eq!(config.vaults[0].recipients, flags.recipients);
    assert_eq!(config.vaults[0].policy.keep_rules().len(), 1);
    let Some(DatabaseConfig::Command { argv }) = config.sources.database else { panic!() };
    assert_eq!(argv, flags.dump_argv);
    let flags = ConfigFlags {
        keep_daily: None,
        dump_argv: Vec::new(),
        database_url: Some("postgresql:///idswyft".into()),
        uploads: None,
        ..flags
    };
    let config = parse(&compose_config(&flags)).unwrap();
    assert!(matches!(config.sources.database, Some(DatabaseConfig::Local { .. })));
    assert!(config.vaults[0].policy.keeps_everything() && config.sources.uploads.is_none());
}
