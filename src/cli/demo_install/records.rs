//! The made-up verifications: what the database says of each, and which files it names.
//!
//! Everything follows from a verification's number and its state, so the rows of a real server and
//! those of a generated dump are the same.

use std::fmt::Write;

use jiff::Timestamp;

use super::noise::Noise;

/// 2026-03-01T00:00:00Z: when the first verification came.
const FIRST_SECOND: i64 = 1_772_323_200;
/// Seconds between two verifications.
const SECONDS_BETWEEN: i64 = 613;
/// How many developers there are; each has an avatar.
pub const DEVELOPER_COUNT: u64 = 20;
/// How many developers have a logo.
pub const LOGO_COUNT: u64 = 6;

/// Every so many documents, one is the file of the verification before, sent again…
const DUPLICATE_EVERY: u64 = 25;
const DUPLICATE_AT: u64 = 7;
/// … and one is the same picture with another Exif header.
const NEAR_DUPLICATE_AT: u64 = 16;

/// How far a verification got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A person must look at it.
    Review,
    /// Done.
    Verified,
    /// The user asked for erasure, or the retention job did: files and names are gone.
    Erased,
}

/// One verification.
#[derive(Debug, Clone)]
pub struct Verification {
    pub number: u64,
    pub state: State,
    /// How often it was changed, which moves `updated_at`.
    pub change_count: u32,
}

/// The two kinds of file that a verification has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Document,
    Selfie,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Document, Self::Selfie];

    /// Returns the folder of the uploads, which is also the table.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Document => "documents",
            Self::Selfie => "selfies",
        }
    }
}

impl Verification {
    /// Makes one as it is when it comes.
    pub const fn new(number: u64, state: State) -> Self {
        Self { number, state, change_count: 0 }
    }

    /// Returns its id.
    pub fn id(&self) -> String {
        Noise::of("verification", self.number).uuid()
    }

    fn time(&self) -> Timestamp {
        let number = i64::try_from(self.number).unwrap_or(0);
        let second = FIRST_SECOND + number * SECONDS_BETWEEN;
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Returns the name of its file of that kind below the kind's folder.
    pub fn file_name(&self, kind: Kind) -> String {
        let mut noise = Noise::of(kind.folder(), self.number);
        let extension = noise.pick(&[".jpg", ".jpg", ".jpeg", ".JPG"]);
        let ms = self.time().as_millisecond() + i64::try_from(noise.between(0, 999)).unwrap_or(0);
        format!("{}_{ms}_{:016x}{extension}", self.id(), noise.next())
    }

    /// Returns the number of the picture that its file of that kind shows: its own, or that of
    /// the verification before, where a user sent the same document again.
    pub const fn picture(&self, kind: Kind) -> u64 {
        let place = self.number % DUPLICATE_EVERY;
        let again = place == DUPLICATE_AT || place == NEAR_DUPLICATE_AT;
        if matches!(kind, Kind::Document) && again { self.number - 1 } else { self.number }
    }

    /// Returns what tells apart two files of one picture: the number in the Exif header.
    pub const fn exif(&self, kind: Kind) -> u64 {
        let is_copy = self.number % DUPLICATE_EVERY == DUPLICATE_AT;
        if is_copy { self.picture(kind) } else { self.number }
    }

    /// Returns the length of its file of that kind in bytes.
    pub fn file_len(&self, kind: Kind) -> usize {
        let mut noise = Noise::of("length", self.picture(kind));
        let (document, selfie) = (noise.between(30_000, 130_000), noise.between(15_000, 60_000));
        let len = if kind == Kind::Document { document } else { selfie };
        usize::try_from(len).unwrap_or(usize::MAX)
    }

    fn is_erased(&self) -> bool {
        self.state == State::Erased
    }
}

/// Returns the id of a developer, after whom avatar and logo are named.
pub fn developer_id(number: u64) -> String {
    Noise::of("developer", number).uuid()
}

/// Writes a time as PostgreSQL does.
fn sql_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S+00").to_string()
}

const FIRST_NAMES: [&str; 8] =
    ["Ana", "Björn", "Chidi", "Dilnoza", "Eun-ji", "Farah", "Gil", "Hồng"];
const LAST_NAMES: [&str; 8] =
    ["Abara", "Bauer", "Costa", "Dvořák", "Eriksen", "Fujita", "García", "Haddad"];

fn full_name(number: u64) -> String {
    let mut noise = Noise::of("name", number);
    format!("{} {}", noise.pick(&FIRST_NAMES), noise.pick(&LAST_NAMES))
}

/// Writes one `COPY` with its rows.
fn copy(out: &mut String, table: &str, columns: &str, rows: impl Iterator<Item = String>) {
    writeln!(out, "COPY public.{table} ({columns}) FROM stdin;").expect(IN_MEMORY);
    for row in rows {
        writeln!(out, "{row}").expect(IN_MEMORY);
    }
    out.push_str("\\.\n\n");
}

const IN_MEMORY: &str = "writing to a string does not fail";

/// Returns the developers as `COPY` text.
pub fn copy_developers() -> String {
    let mut out = String::new();
    let columns = "id, email, avatar_url, branding_logo_url, created_at";
    let rows = (0..DEVELOPER_COUNT).map(|number| {
        let id = developer_id(number);
        let logo = if number < LOGO_COUNT {
            format!("/api/public/assets/branding/{id}_logo.png")
        } else {
            "\\N".to_owned()
        };
        let avatar = format!("/api/public/assets/avatars/{id}.jpg");
        format!("{id}\tdeveloper{number}@example.org\t{avatar}\t{logo}\t2026-02-01 09:00:00+00")
    });
    copy(&mut out, "developers", columns, rows);
    out
}

/// Returns all that the database says of some verifications as `COPY` text.
pub fn copy_verifications(all: &[Verification]) -> String {
    let mut out = String::new();
    copy(&mut out, "users", "id, email, full_name, created_at", all.iter().map(user_row));
    let columns = "id, user_id, developer_id, document_id, selfie_id, status, \
                   manual_review_reason, confidence_score, created_at, updated_at";
    copy(&mut out, "verification_requests", columns, all.iter().map(request_row));
    let present = || all.iter().filter(|one| !one.is_erased());
    let columns = "id, verification_request_id, file_path, file_size, ocr_data, created_at";
    copy(&mut out, "documents", columns, present().map(document_row));
    let columns = "id, verification_request_id, file_path, file_size, created_at";
    copy(&mut out, "selfies", columns, present().map(selfie_row));
    let columns = "id, verification_request_id, payload, status, attempts, created_at";
    let rows = all.iter().flat_map(|one| [delivery_row(one, 0), delivery_row(one, 1)]);
    copy(&mut out, "webhook_deliveries", columns, rows);
    out
}

fn user_id(number: u64) -> String {
    Noise::of("user", number).uuid()
}

fn file_id(one: &Verification, kind: Kind) -> String {
    Noise::of("file", one.number * 2 + u64::from(kind == Kind::Selfie)).uuid()
}

fn user_row(one: &Verification) -> String {
    let (id, time) = (user_id(one.number), sql_time(one.time()));
    if one.is_erased() {
        return format!("{id}\t\\N\t\\N\t{time}");
    }
    let (name, number) = (full_name(one.number), one.number);
    format!("{id}\tperson{number}@example.net\t{name}\t{time}")
}

fn request_row(one: &Verification) -> String {
    let developer = developer_id(one.number % DEVELOPER_COUNT);
    let updated = one.time() + jiff::SignedDuration::from_hours(i64::from(one.change_count));
    let times = format!("{}\t{}", sql_time(one.time()), sql_time(updated));
    let score = 7000 + Noise::of("score", one.number).between(0, 3000);
    let (user, document, selfie, reason) = if one.is_erased() {
        let none = || "\\N".to_owned();
        (none(), none(), none(), "[GDPR deleted]")
    } else {
        let file = |kind| file_id(one, kind);
        (user_id(one.number), file(Kind::Document), file(Kind::Selfie), "\\N")
    };
    let status = status(one.state);
    let id = one.id();
    format!(
        "{id}\t{user}\t{developer}\t{document}\t{selfie}\t{status}\t{reason}\t0.{score}\t{times}"
    )
}

const fn status(state: State) -> &'static str {
    match state {
        State::Review => "manual_review",
        State::Verified | State::Erased => "verified",
    }
}

fn file_columns(one: &Verification, kind: Kind) -> String {
    let path = format!("uploads/{}/{}", kind.folder(), one.file_name(kind));
    format!("{}\t{}\t{path}\t{}", file_id(one, kind), one.id(), one.file_len(kind))
}

fn document_row(one: &Verification) -> String {
    let mut noise = Noise::of("ocr", one.number);
    let ocr = format!(
        r#"{{"raw": "{:016x}{:016x}{:016x}", "name": "{}", "number": "P{:09}", "confidence": 0.{}}}"#,
        noise.next(),
        noise.next(),
        noise.next(),
        full_name(one.number),
        noise.between(0, 1_000_000_000),
        noise.between(80, 99),
    );
    format!("{}\t{ocr}\t{}", file_columns(one, Kind::Document), sql_time(one.time()))
}

fn selfie_row(one: &Verification) -> String {
    format!("{}\t{}", file_columns(one, Kind::Selfie), sql_time(one.time()))
}

fn delivery_row(one: &Verification, step: u64) -> String {
    let mut noise = Noise::of("delivery", one.number * 2 + step);
    let (id, request) = (noise.uuid(), one.id());
    let event = ["verification.started", "verification.completed"][usize::from(step == 1)];
    let payload = format!(
        r#"{{"data": {{"id": "{request}", "score": 0.{}, "session": "{:016x}{:016x}"}}, "event": "{event}"}}"#,
        noise.between(70, 99),
        noise.next(),
        noise.next(),
    );
    let attempts = 1 + one.change_count;
    format!("{id}\t{request}\t{payload}\tdelivered\t{attempts}\t{}", sql_time(one.time()))
}

/// Returns the statements that bring a server from before a day's changes to after them.
pub fn day_script(new: &[Verification], changed: &[Verification]) -> String {
    let mut out = String::from("BEGIN;\n");
    // The foreign keys of a verification and its files form a circle: no order satisfies them.
    out.push_str("SET LOCAL session_replication_role = replica;\n");
    out.push_str(&copy_verifications(new));
    for one in changed {
        let id = one.id();
        let row = request_row(one);
        let updated = row.rsplit('\t').next().unwrap_or_default();
        let status = status(one.state);
        write!(
            out,
            "UPDATE verification_requests SET status = '{status}', updated_at = '{updated}' \
             WHERE id = '{id}';\n\
             UPDATE webhook_deliveries SET attempts = {} WHERE verification_request_id = '{id}';\n",
            1 + one.change_count
        )
        .expect(IN_MEMORY);
        if one.is_erased() {
            write!(
                out,
                "UPDATE verification_requests SET user_id = NULL, document_id = NULL, \
                 selfie_id = NULL, manual_review_reason = '[GDPR deleted]' WHERE id = '{id}';\n\
                 DELETE FROM documents WHERE verification_request_id = '{id}';\n\
                 DELETE FROM selfies WHERE verification_request_id = '{id}';\n\
                 UPDATE users SET email = NULL, full_name = NULL WHERE id = '{}';\n",
                user_id(one.number)
            )
            .expect(IN_MEMORY);
        }
    }
    out.push_str("COMMIT;\n");
    out
}
