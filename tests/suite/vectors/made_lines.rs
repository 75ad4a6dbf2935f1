//! Tree lines of every kind (§7.2), bodies, lists, policies and padded lengths, and what is wrong
//! with others.

use idswyft_vault::base::Code;

use super::file::Vector;
use super::made_packs::VAULT;
use super::made_signed::snapshot;

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = kinds();
    all.extend(bad_lines());
    all.extend(bad_lists());
    all.extend(policies());
    all.push(padded());
    all
}

const META: &str = r#""mode":420,"uid":0,"gid":0,"mtime":[1700000000,5]"#;

fn line(name: &str, covers: &str, says: &str, text: &str) -> Vector {
    let text = format!("{text}\n").into_bytes();
    Vector::new(&format!("tree-{name}"), covers, says, text).in_text()
}

fn entry(path: &str, kind: &str, rest: &str) -> String {
    format!(r#"{{"path":"{path}","kind":"{kind}",{META}{rest}}}"#)
}

fn file(rest: &str) -> String {
    let b3 = blake3::hash(b"").to_hex();
    entry("a", "file", &format!(r#","size":0,"b3":"{b3}"{rest}"#))
}

fn kinds() -> Vec<Vector> {
    let sound = |name: &str, says, text: String| {
        line(name, "V-74, V-75", says, &text).releases(format!("{text}\n").as_bytes())
    };
    let xattrs = r#","xattrs":{"user.a":"AA=="},"xattrs_base64":{"/2E=":"AQ=="}"#;
    vec![
        sound("dir", "A directory.", entry("a", "dir", "")),
        sound("root", "The root.", entry("", "dir", "")),
        sound("symlink", "A symbolic link.", entry("a", "symlink", r#","target":"../b""#)),
        sound(
            "symlink-base64",
            "A target that is not UTF-8.",
            entry("a", "symlink", r#","target_base64":"/2E=""#),
        ),
        sound("hardlink", "A hard link.", entry("b", "hardlink", r#","link":"a""#)),
        sound("fifo", "A named pipe.", entry("a", "fifo", "")),
        sound("socket", "A socket.", entry("a", "socket", "")),
        sound("char", "A character device.", entry("a", "char", r#","rdev":[1,3]"#)),
        sound("block", "A block device.", entry("a", "block", r#","rdev":[8,0]"#)),
        sound("empty", "An empty file.", file(r#","extents":[]"#)),
        sound("sparse", "A file with holes.", file(r#","sparse":true,"extents":[]"#)),
        sound("xattrs", "Extended attributes.", entry("a", "dir", xattrs)),
        sound("before-1970", "A time before 1970.", entry("a", "dir", "").replace("[17", "[-17")),
    ]
}

fn bad_lines() -> Vec<Vector> {
    let dir = entry("a", "dir", "");
    let change = |from: &str, to: &str| dir.replacen(from, to, 1);
    let path = |path: &str| entry(path, "dir", "");
    vec![
        line("absolute", "V-70", "An absolute path.", &path("/a")),
        line("dot", "V-71", "A component that is a dot.", &path("a/./b")),
        line("dots", "V-71", "A component that is two dots.", &path("../a")),
        line("empty-component", "V-71", "An empty component.", &path("a//b")),
        line("trailing-slash", "V-71", "A slash at the end.", &path("a/")),
        line("nul", "V-70", "NUL in a path.", &path(r"a\u0000")),
        line("mode", "V-75", "More than permission bits.", &change("420", "4096")),
        line(
            "owner",
            "V-75",
            "An owner that is none.",
            &change(r#""uid":0"#, r#""uid":4294967295"#),
        ),
        line("nanoseconds", "V-75", "A whole second of them.", &change(",5]", ",1000000000]")),
        line("kind", "V-75", "A kind that there is not.", &change("dir", "door")),
        line("no-mode", "V-75", "The mode is missing.", &change(r#""mode":420,"#, "")),
        line("twice", "V-10", "A field twice.", &change(r#""uid":0"#, r#""uid":0,"uid":0"#)),
        line(
            "foreign-field",
            "V-75",
            "A directory with a target.",
            &entry("a", "dir", r#","target":"b""#),
        ),
        line("no-target", "V-75", "A symbolic link to nowhere.", &entry("a", "symlink", "")),
        line(
            "two-targets",
            "V-73",
            "A target in both spellings.",
            &entry("a", "symlink", r#","target":"b","target_base64":"/2E=""#),
        ),
        line(
            "link-after",
            "V-78",
            "A link to what comes later.",
            &entry("a", "hardlink", r#","link":"b""#),
        ),
        line("link-self", "V-78", "A link to itself.", &entry("a", "hardlink", r#","link":"a""#)),
        line(
            "not-sparse",
            "V-75",
            "Holes, and then not.",
            &file(r#","sparse":false,"extents":[]"#),
        ),
        line("no-extents", "V-75", "A file without extents.", &file("")),
        line("pack-id", "V-1", "A short pack id.", &file(r#","extents":[["08",0,0]]"#)),
        line(
            "both-paths",
            "V-73",
            "Both spellings of a path.",
            &change(r#","kind""#, r#","path_base64":"/2E=","kind""#),
        ),
        line("no-path", "V-73", "Neither spelling of a path.", &change(r#""path":"a","#, "")),
        line(
            "not-utf8",
            "V-72",
            "An extended attribute of both spellings.",
            &entry("a", "dir", r#","xattrs_base64":{"YQ==":"AA=="}"#),
        ),
    ]
}

fn bad_lists() -> Vec<Vector> {
    let (digest, place) = ("08".repeat(32), format!("packs/08/{}", "08".repeat(32)));
    let head = format!("# idswyft-vault/v1 list {VAULT} {}\n", snapshot());
    let vector = |name: &str, covers, says, text: String| {
        Vector::new(&format!("list-{name}"), covers, says, text.into_bytes())
            .with("vault", VAULT)
            .with("snapshot", snapshot())
            .in_text()
    };
    let one = |len: &str| format!("{head}# {len}\n{digest}  {place}\n");
    let sound = one("1073741824");
    let twice = format!("{sound}{}", &sound[head.len()..]);
    vec![
        vector("longest", "V-113", "An object of 1 GiB.", sound.clone()).releases(sound.as_bytes()),
        vector("nothing", "V-114", "No object at all.", head.clone()).releases(head.as_bytes()),
        vector("too-long", "V-113", "A byte more than 1 GiB.", one("1073741825")),
        vector("zero", "V-113", "A length of 0.", one("0")),
        vector("leading-zero", "V-113", "A leading zero.", one("01")),
        vector("sign", "V-113", "A sign.", one("+1")),
        vector("twice", "V-111", "An object twice.", twice),
        vector("cut", "V-114", "Without the last LF.", sound.trim_end().to_owned()),
        vector(
            "crlf",
            "V-114",
            "Lines end with CR LF.",
            format!("{head}{}", sound[head.len()..].replace('\n', "\r\n")),
        ),
        vector("one-space", "V-114", "One space between.", sound.replace("  ", " ")),
        vector("folder", "V-111", "An object of another folder.", sound.replace("packs", "store")),
        vector("fan", "V-14", "In the folder of another.", sound.replace("/08/", "/09/")),
        vector("capitals", "V-1", "A digest in capitals.", sound.replace("08", "AB")),
        vector("foreign", "V-13", "Of another snapshot.", sound.replacen("0002\n", "000f\n", 1))
            .refused(Code::ObjectForeign),
    ]
}

/// Who applies a policy reads these; who only reads carries it as it is.
fn policies() -> Vec<Vector> {
    let policy = |name: &str, covers, says, text: &str| {
        Vector::new(&format!("policy-{name}"), covers, says, text.into()).in_text()
    };
    let sound = concat!(
        r#"{"ceiling":"2y","every":"day","floor":"7d","keep_daily":30,"keep_last":3,"#,
        r#""keep_within":"2d","time_zone":"Europe/Berlin"}"#
    );
    let contradiction = |name: &str, says, text: &str| {
        policy(name, "V-128", says, text).refused(Code::PolicyContradiction)
    };
    vec![
        policy("sound", "V-124", "A policy.", sound).releases(sound.as_bytes()),
        policy("empty", "V-124", "Everything is kept.", r#"{"time_zone":"UTC"}"#)
            .releases(br#"{"time_zone":"UTC"}"#),
        policy(
            "unknown",
            "V-124",
            "A setting of another version.",
            r#"{"keep_moons":1,"time_zone":"UTC"}"#,
        )
        .refused(Code::FormatTooNew),
        contradiction(
            "floor",
            "The floor is above the ceiling.",
            r#"{"floor":"3y","ceiling":"2y","time_zone":"UTC"}"#,
        ),
        contradiction(
            "reach",
            "31 days may be longer than a month.",
            r#"{"keep_daily":32,"ceiling":"1mo","time_zone":"UTC"}"#,
        ),
        contradiction(
            "every",
            "Hours are shorter than days.",
            r#"{"keep_hourly":5,"every":"day","time_zone":"UTC"}"#,
        ),
    ]
}

/// Lengths and what they are padded to: by the formula of §4.2, in floating point.
fn padded() -> Vector {
    let mut lens = vec![0, 1, 65_535, 65_536, 65_537, 69_632, 69_633, 131_072, 131_073];
    lens.extend([1_000_000, 1_048_576, 1_048_577, 33_554_432, 1_073_741_823]);
    let text: String = lens.iter().map(|len| format!("{len}\n")).collect();
    let padded = |len: u64| {
        if len <= 65_536 {
            return 65_536;
        }
        let (mut exponent, mut bits) = (0, 0);
        while len >> (exponent + 1) > 0 {
            exponent += 1;
        }
        while exponent >> bits > 0 {
            bits += 1;
        }
        let unit = 2_u64.pow(exponent - bits);
        len.div_ceil(unit) * unit
    };
    let released: String = lens.iter().map(|len| format!("{}\n", padded(*len))).collect();
    Vector::new("padme", "V-27, V-28", "Lengths, and what they are padded to.", text.into_bytes())
        .in_text()
        .releases(released.as_bytes())
}
