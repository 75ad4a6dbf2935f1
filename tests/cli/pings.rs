//! What a watchdog hears. Spec: `nights.md`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Install, KYC, NIGHTLY, Outcome};

/// The path of the watchdog's URL, which nothing may show.
const SECRET: &str = "0b1c-secret-path";

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Status(&'static str),
    /// Nothing, for as long as the client waits.
    Hang,
}

/// A request as it came.
struct Request {
    line: String,
    body: String,
}

/// A watchdog on this machine; it ends with the test.
struct Watchdog {
    port: u16,
    requests: Receiver<Request>,
}

impl Watchdog {
    fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || serve(&listener, answer, &sender));
        Self { port, requests }
    }

    /// Makes an installation that pings it.
    fn install(&self) -> Install {
        let install = Install::ready();
        self.watch(&install);
        install
    }

    /// Lets an installation ping it.
    fn watch(&self, install: &Install) {
        let config = fs::read_to_string(install.path("config.toml")).unwrap();
        let ping = format!("ping = \"http://127.0.0.1:{}/{SECRET}/\"\n", self.port);
        install.write("config.toml", (ping + &config).as_bytes());
    }

    /// Returns what has come, in order.
    fn heard(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(listener: &TcpListener, answer: Answer, requests: &Sender<Request>) {
    let mut kept = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        // A client that goes away has its reasons.
        let Some(request) = read(&stream) else { continue };
        if requests.send(request).is_err() {
            return;
        }
        match answer {
            Answer::Hang => kept.push(stream),
            Answer::Status(status) => {
                let head = "Content-Length: 0\r\nConnection: close\r\nLocation: /elsewhere";
                let _ = write!(stream, "HTTP/1.1 {status}\r\n{head}\r\n\r\n");
            }
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut len = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            len = value.parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim_end().to_owned(), body: String::from_utf8(body).ok()? })
}

/// Runs the program without whatever proxy this machine has.
fn run(install: &Install, words: &[&str]) -> Outcome {
    let mut command: Command = install.command(words);
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    Outcome::of(command.output().unwrap())
}

fn paths(requests: &[Request]) -> Vec<&str> {
    let path = |request: &'_ Request| request.line.split(' ').nth(1).map(str::len).unwrap_or(0);
    requests.iter().map(|request| &request.line[5..5 + path(request)]).collect()
}

/// N-13
#[test]
fn a_watchdog_hears_the_start_and_the_end_with_the_newest_checkpoint() {
    let watchdog = Watchdog::new(Answer::Status("200 OK"));
    let install = watchdog.install();
    let report = run(&install, &["snapshot", "--json"]).json(0);
    let heard = watchdog.heard();
    assert_eq!(paths(&heard), [format!("/{SECRET}/start"), format!("/{SECRET}")]);
    assert!(heard.iter().all(|request| request.line.starts_with("POST ")));
    let body = &heard[1].body;
    let id = report["snapshots"][0]["id"].as_str().unwrap();
    assert!(body.contains(&format!("snapshot nightly: {id}\n")), "{body}");
    assert!(body.contains("is done, exit 0\n"), "{body}");
    let checkpoints = install.objects("ledger").into_iter().filter(|n| n.ends_with("checkpoint"));
    let newest = install.path("store").join(checkpoints.max().unwrap());
    assert!(body.contains(&fs::read_to_string(newest).unwrap()), "{body}");
}

/// N-13
#[test]
fn a_failure_is_told_as_one_and_warnings_as_a_success_that_says_so() {
    let watchdog = Watchdog::new(Answer::Status("200 OK"));
    let install = watchdog.install();
    install.write_script("echo secret-word >&2\nexit 3\n");
    run(&install, &["snapshot"]).exits(1);
    let heard = watchdog.heard();
    assert_eq!(paths(&heard), [format!("/{SECRET}/start"), format!("/{SECRET}/fail")]);
    let body = &heard[1].body;
    assert!(body.contains("FAILED, exit 1\nerror: source-failed\n"), "{body}");
    assert!(!body.contains("secret-word"), "{body}");
    install.mend_script();
    let ping = fs::read_to_string(install.path("config.toml")).unwrap();
    let ping = format!("{}\n", ping.lines().next().unwrap());
    install.write_config(&NIGHTLY.replace("keep_daily = 30", "keep_daily = 31"));
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    install.write("config.toml", (ping + &config).as_bytes());
    run(&install, &["snapshot"]).exits(4);
    let heard = watchdog.heard();
    assert_eq!(paths(&heard)[1], format!("/{SECRET}"));
    assert!(heard[1].body.contains("with warnings, exit 4\n"), "{}", heard[1].body);
    assert!(heard[1].body.contains("warning: policy-differs, 1\n"), "{}", heard[1].body);
}

/// N-14 N-15
#[test]
fn a_watchdog_that_does_not_take_it_is_a_warning_without_its_secret() {
    for status in ["500 Internal Server Error", "302 Found"] {
        let watchdog = Watchdog::new(Answer::Status(status));
        let install = watchdog.install();
        let outcome = run(&install, &["snapshot", "--json"]);
        outcome.says(&["warning[ping-failed]: ping 127.0.0.1", &status[..3]]);
        assert!(outcome.out.contains("\"ping-failed\""), "{outcome}");
        assert!(!outcome.err.contains(SECRET) && !outcome.out.contains(SECRET), "{outcome}");
        let record = fs::read_to_string(install.path("state/last-run.json")).unwrap();
        assert!(record.contains("ping-failed") && !record.contains(SECRET), "{record}");
        assert!(!paths(&watchdog.heard()).contains(&"/elsewhere"), "a redirect was followed");
        let report = outcome.json(4);
        let id = report["snapshots"][0]["id"].as_str().unwrap();
        install.keep(id);
        install.assert_restores(id);
    }
}

/// N-15
#[test]
fn a_watchdog_that_hangs_or_is_not_there_delays_a_run_by_seconds() {
    let watchdog = Watchdog::new(Answer::Hang);
    let install = watchdog.install();
    let begun = Instant::now();
    let outcome = run(&install, &["snapshot"]).warns("ping-failed", &["did not answer in time"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "{outcome}");
    assert_eq!(outcome.err.matches("warning[ping-failed]").count(), 2, "{outcome}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let config = config.replace(&format!(":{}/", watchdog.port), &format!(":{port}/"));
    install.write("config.toml", config.as_bytes());
    run(&install, &["snapshot"]).warns("ping-failed", &["ping 127.0.0.1"]);
}

/// N-16
#[test]
fn damage_that_verify_finds_is_told_and_soundness_is_not() {
    let watchdog = Watchdog::new(Answer::Status("200 OK"));
    let install = watchdog.install();
    run(&install, &["snapshot"]).exits(0);
    watchdog.heard();
    run(&install, &["verify", "--ping"]).exits(0);
    assert_eq!(watchdog.heard().len(), 0);
    let pack = install.objects("packs").remove(0);
    fs::remove_file(install.path("store").join(pack)).unwrap();
    run(&install, &["verify"]).exits(3);
    assert_eq!(watchdog.heard().len(), 0, "nobody asked for it");
    run(&install, &["verify", "--ping"]).exits(3);
    let heard = watchdog.heard();
    assert_eq!(paths(&heard), [format!("/{SECRET}/fail")]);
    assert!(heard[0].body.contains("verify FAILED, exit 3\nfinding: object-missing, 1\n"));
}

/// N-16 Q-24
#[test]
fn what_is_found_in_one_vault_is_told_though_another_fails() {
    let watchdog = Watchdog::new(Answer::Status("200 OK"));
    let install = Install::with_vaults(&(NIGHTLY.to_owned() + KYC));
    install.run(["init", "--kit", "kit"]).exits(0);
    install.run(["snapshot"]).exits(0);
    for vault in ["nightly", "kyc"] {
        let add = ["signer", "add", "--role", "auditor", "--kit", "kit", "-o"];
        install.unlock([&add[..], &[vault, "--vault", vault]].concat()).exits(0);
    }
    watchdog.watch(&install);
    let packs = fs::read_dir(install.path("archive/packs")).unwrap();
    fs::remove_dir_all(packs.last().unwrap().unwrap().path()).unwrap();
    let report = || -> Value {
        let bytes = fs::read(install.path("r.json")).unwrap();
        fs::remove_file(install.path("r.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    // One that breaks off while it is read, and one that cannot be opened at all.
    let broken = [("store/snapshots", "store-unavailable"), ("store/vault", "object-foreign")];
    for (round, (broken, code)) in (1..).zip(broken) {
        fs::remove_dir_all(install.path(broken)).unwrap();
        install.write(broken, b"no directory");
        let words = ["verify", "--ping", "--quiet", "--report", "r.json", "--attest"];
        let words = [&words[..], &["--signer", "nightly", "--signer", "kyc"]].concat();
        let failed = run(&install, &words).exits(1);
        failed.says(&["DAMAGED: 1 finding: vault ", "object-missing", &format!("error[{code}]")]);
        let written = report();
        let vaults = written["vaults"].as_array().unwrap();
        assert_eq!((vaults.len(), &vaults[0]["store"]), (1, &"archive".into()));
        let gap = Value::from("vault nightly, which could not be verified");
        assert!(vaults[0]["not_covered"].as_array().unwrap().contains(&gap), "{written}");
        let heard = watchdog.heard();
        assert_eq!(paths(&heard), [format!("/{SECRET}/fail")]);
        for code in ["object-missing", code] {
            let line = format!("finding: {code}, 1\n");
            assert!(heard[0].body.contains(&line), "{}", heard[0].body);
        }
        let shown = install.run(["ledger", "show", "--json", "--vault", "kyc"]).json(0);
        let events = shown["events"].as_array().unwrap().iter();
        let verified = events.filter(|event| event["event"] == "verified").count();
        assert_eq!(verified, round, "it is recorded as well");
    }
}
