use proptest::prelude::*;

use super::*;
use crate::base::PackId;

fn entry(path: &[u8], kind: Kind) -> TreeEntry {
    TreeEntry {
        path: path.to_vec(),
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime: Time { sec: 1_700_000_000, nsec: 123_456_789 },
        xattrs: BTreeMap::new(),
    }
}

fn file(size: u64) -> FileContent {
    FileContent {
        size,
        b3: blake3::hash(b"x"),
        extents: vec![Extent { pack: PackId::from_bytes([0xab; 32]), offset: 12, len: size }],
        sparse: false,
    }
}

/// V-74
#[test]
fn a_file_line_reads_as_the_spec_has_it() {
    let line = entry(b"documents/a.jpg", Kind::File(file(3))).to_line().unwrap();
    let expected = format!(
        "{{\"path\":\"documents/a.jpg\",\"kind\":\"file\",\"mode\":420,\"uid\":1000,\"gid\":100,\
         \"mtime\":[1700000000,123456789],\"size\":3,\"b3\":\"{}\",\
         \"extents\":[[\"{}\",12,3]]}}\n",
        blake3::hash(b"x").to_hex(),
        "ab".repeat(32)
    );
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

/// V-72
#[test]
fn names_that_are_not_utf8_are_base64_and_come_back() {
    let mut odd = entry(b"a\xff/b\n", Kind::Symlink { target: b"/t\xfe".to_vec() });
    odd.xattrs.insert(b"user.\xff".to_vec(), b"\0\xff".to_vec());
    odd.xattrs.insert(b"user.plain".to_vec(), Vec::new());
    let line = odd.to_line().unwrap();
    let text = std::str::from_utf8(&line).unwrap();
    assert!(text.contains("\"path_base64\":") && text.contains("\"target_base64\":"), "{text}");
    assert!(text.contains("\"xattrs_base64\":") && text.contains("\"user.plain\":\"\""), "{text}");
    assert_eq!(text.matches('\n').count(), 1);
    assert_eq!(TreeEntry::parse_line(&line).unwrap(), odd);
}

#[test]
fn a_path_that_looks_like_a_file_head_gets_no_extents() {
    let mut odd = entry(br#"x","kind":"file","y"#, Kind::Dir);
    let file = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, "file").unwrap();
    odd.xattrs.insert(b"a".to_vec(), b"b".to_vec());
    odd.xattrs.insert(b"kind".to_vec(), file);
    odd.xattrs.insert(b"z".to_vec(), b"b".to_vec());
    assert_eq!(TreeEntry::parse_line(&odd.to_line().unwrap()).unwrap(), odd);
}

#[test]
fn a_kept_head_and_new_extents_give_the_line_of_the_whole_entry() {
    let mut changed = file(3);
    let head = entry(b"a", Kind::File(changed.clone())).head().unwrap();
    changed.extents = vec![];
    let whole = entry(b"a", Kind::File(changed)).to_line().unwrap();
    assert_eq!(to_line_with(&head, &[]).unwrap(), whole);
}

#[test]
fn an_unread_file_has_no_line() {
    let unread = entry(b"a", Kind::File(FileContent::unread(3, false)));
    assert!(matches!(unread.to_line(), Err(TreeError::Field { field: "b3", .. })));
}

/// V-70, V-71
#[test]
fn paths_that_leave_the_root_are_refused() {
    for path in ["/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "../x", "a\0b"] {
        assert!(check_path(path.as_bytes()).is_err(), "{path:?}");
        let line = serde_json::json!({"path": path, "kind": "dir", "mode": 493, "uid": 0,
            "gid": 0, "mtime": [0, 0]});
        assert!(TreeEntry::parse_line(line.to_string().as_bytes()).is_err(), "{path:?}");
    }
    for path in ["", "a", "...", "a/..b", "a\nb", "-", &"n".repeat(255)] {
        assert!(check_path(path.as_bytes()).is_ok(), "{path:?}");
    }
}

/// V-73, V-75, V-76, V-78
#[test]
fn lines_with_wrong_missing_or_misplaced_fields_are_refused() {
    let good = entry(b"d", Kind::Dir).to_line().unwrap();
    let good = std::str::from_utf8(&good).unwrap().trim_end();
    assert!(TreeEntry::parse_line(good.as_bytes()).is_ok());
    let with = |more: &str| format!("{},{more}}}", &good[..good.len() - 1]);
    assert!(TreeEntry::parse_line(with("\"unknown\":[{}]").as_bytes()).is_ok());
    let hex = "ab".repeat(32);
    for line in [
        with("\"size\":1"),
        with("\"extents\":[]"),
        with("\"path_base64\":\"/w==\""),
        with("\"mode\":1"),
        with("\"xattrs\":{\"user.x\":\"%\"}"),
        good.replace("\"dir\"", "\"file\""),
        good.replace("\"dir\"", "\"symlink\""),
        good.replace("\"dir\"", "\"char\""),
        good.replace("\"dir\"", "\"door\""),
        good.replace("\"path\":\"d\"", "\"path\":\"\"").replace("\"dir\"", "\"fifo\""),
        good.replace("\"path\":\"d\"", "\"path_base64\":\"ZA==\""),
        good.replace("\"uid\":1000", "\"uid\":4294967295"),
        good.replace("\"mode\":420", "\"mode\":4096"),
        good.replace("\"mode\":420", "\"mode\":-1"),
        good.replace("123456789]", "1000000000]"),
        good.replace("\"dir\"", "\"hardlink\"").replace("\"mode\"", "\"link\":\"d\",\"mode\""),
        good.replace("\"dir\"", "\"hardlink\"").replace("\"mode\"", "\"link\":\"../a\",\"mode\""),
        format!("{good}{good}"),
        format!(
            "{{\"path\":\"a\",\"kind\":\"file\",\"mode\":0,\"uid\":0,\"gid\":0,\
            \"mtime\":[0,0],\"size\":9007199254740993,\"b3\":\"{hex}\",\"extents\":[]}}"
        ),
        format!(
            "{{\"path\":\"a\",\"kind\":\"file\",\"mode\":0,\"uid\":0,\"gid\":0,\
            \"mtime\":[0,0],\"size\":1,\"b3\":\"{}\",\"extents\":[]}}",
            hex.to_uppercase()
        ),
    ] {
        assert!(TreeEntry::parse_line(line.as_bytes()).is_err(), "{line}");
    }
}

/// V-69
#[test]
fn the_order_is_by_components_not_by_text() {
    let mut paths: Vec<&[u8]> = vec![b"a.b", b"a-b", b"a/b", b"a", b"", b"a/b/c", b"b", b"a/c"];
    paths.sort_by(|a, b| compare_paths(a, b));
    let expected: Vec<&[u8]> = vec![b"", b"a", b"a/b", b"a/b/c", b"a/c", b"a-b", b"a.b", b"b"];
    assert_eq!(paths, expected);
}

fn any_path() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_map(|byte| if matches!(byte, 0 | b'/') { b'%' } else { byte });
    let component = prop::collection::vec(byte, 1..12)
        .prop_filter("a name", |name| !matches!(name.as_slice(), b"." | b".."));
    prop::collection::vec(component, 1..5).prop_map(|components| components.join(&b'/'))
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let extent = (any::<[u8; 32]>(), 0..1_u64 << 52, 0..1_u64 << 52)
        .prop_map(|(pack, offset, len)| Extent { pack: PackId::from_bytes(pack), offset, len });
    let file = (0..=1_u64 << 53, any::<[u8; 32]>(), prop::collection::vec(extent, 0..4))
        .prop_flat_map(|(size, b3, extents)| (Just((size, b3, extents)), any::<bool>()))
        .prop_filter("read", |((_, b3, _), _)| *b3 != B3_UNREAD)
        .prop_map(|((size, b3, extents), sparse)| {
            Kind::File(FileContent { size, b3: blake3::Hash::from_bytes(b3), extents, sparse })
        });
    let target = prop::collection::vec(1_u8.., 1..40);
    prop_oneof![
        file,
        Just(Kind::Dir),
        Just(Kind::Fifo),
        Just(Kind::Socket),
        target.prop_map(|target| Kind::Symlink { target }),
        any::<(u32, u32)>().prop_map(|(major, minor)| Kind::Char { major, minor }),
        any::<(u32, u32)>().prop_map(|(major, minor)| Kind::Block { major, minor }),
    ]
}

prop_compose! {
    fn any_entry()(
        path in any_path(),
        kind in any_kind(),
        mode in 0..=MODE_MAX,
        owner in (0..u32::MAX, 0..u32::MAX),
        time in (-(1_i64 << 53)..=1 << 53, 0..1_000_000_000_u32),
        xattrs in prop::collection::btree_map(
            prop::collection::vec(1_u8.., 1..12), prop::collection::vec(any::<u8>(), 0..12), 0..3),
    ) -> TreeEntry {
        let mtime = Time { sec: time.0, nsec: time.1 };
        TreeEntry { path, kind, mode, uid: owner.0, gid: owner.1, mtime, xattrs }
    }
}

proptest! {
    #[test]
    fn any_entry_round_trips(entry in any_entry()) {
        let line = entry.to_line().unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        prop_assert_eq!(&TreeEntry::parse_line(&line).unwrap(), &entry);
        prop_assert_eq!(&TreeEntry::parse_line(&line[..line.len() - 1]).unwrap(), &entry);
    }

    #[test]
    fn a_damaged_line_never_panics(entry in any_entry(), at in any::<usize>(), to in any::<u8>()) {
        let mut line = entry.to_line().unwrap();
        let at = at % line.len();
        line[at] = to;
        let _ = TreeEntry::parse_line(&line);
        let _ = TreeEntry::parse_line(&line[..at]);
    }

    /// V-69
    #[test]
    fn sort_keys_order_as_paths_do(a in any_path(), b in any_path()) {
        prop_assert_eq!(compare_paths(&a, &b), sort_key(&a).cmp(&sort_key(&b)));
    }
}
