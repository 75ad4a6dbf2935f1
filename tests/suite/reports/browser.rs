//! A Chromium without a window or a network, spoken to through a pipe in the DevTools protocol.
//!
//! ```text
//! let Some(mut browser) = Browser::start() else { return };
//! browser.open(&page);                              // the text of a page, as a file
//! browser.look(View::ALL[0]);                       // a width, light or dark
//! browser.measure("overflow()")                     // a function of measure.js
//! browser.picture("sound-1280-light", &[0; 3])      // what is drawn, in figures
//! browser.seen()                                    // what it requested and what it said
//! ```
//!
//! It is the one of `IDSWYFT_VAULT_TEST_CHROMIUM`, else `chromium` on the path. With
//! `IDSWYFT_VAULT_TEST_PICTURES=DIR` pictures and prints are kept there, to be looked at.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The name of the variable with the browser.
const BROWSER_VARIABLE: &str = "IDSWYFT_VAULT_TEST_CHROMIUM";
/// The name of the variable with the directory in which pictures are kept.
const PICTURES_VARIABLE: &str = "IDSWYFT_VAULT_TEST_PICTURES";
/// How long one answer may take; it is there within a second unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many pieces of one page are kept.
const KEPT_COUNT_MAX: u32 = 8;
/// What is asked of a page, as one JavaScript object.
const MEASURE: &str = include_str!("measure.js");
/// What a picture shows, as a JavaScript function.
const PIXELS: &str = include_str!("pixels.js");
/// It reads from 3 and writes to 4, which a child cannot be given otherwise without `unsafe`.
const SCRIPT: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null"#;
const OPTIONS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
];

/// A window: how wide and high it is, and whether its user likes it dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub width: u32,
    pub height: u32,
    pub is_dark: bool,
}

impl View {
    const WIDE: Self = Self { width: 1280, height: 900, is_dark: false };
    const NARROW: Self = Self { width: 390, height: 844, is_dark: false };
    /// A desk and a telephone, each in light and dark.
    pub const ALL: [Self; 4] = [Self::WIDE, Self::WIDE.dark(), Self::NARROW, Self::NARROW.dark()];

    const fn dark(self) -> Self {
        Self { is_dark: true, ..self }
    }

    /// Returns what it is called in the name of a picture.
    pub fn name(self) -> String {
        format!("{}-{}", self.width, if self.is_dark { "dark" } else { "light" })
    }
}

/// What a page made the browser do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was asked for, its own file included.
    pub requests: Vec<String>,
    /// How much of it the policy of the page refused.
    pub refused_count: usize,
    /// Messages of the console, errors, refusals of the policy, dialogs.
    pub said: Vec<String>,
}

/// A browser with a page to look at, and an empty one to look at pictures; it ends with the value.
pub struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    /// Events that nobody waited for yet.
    events: VecDeque<Value>,
    seen: Seen,
    page: String,
    desk: String,
    last_id: u64,
    dir: TempDir,
}

impl Browser {
    /// Starts one; none where there is no browser, which fails where `CI` is set.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(std::env::var_os("CI").is_none(), "chromium is missing");
            eprintln!("left out: there is no chromium");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("chromium").tempdir().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .env("HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        // It ends with the browser, or with who would have read.
        std::thread::spawn(move || {
            for message in answers.split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("the browser says JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (events, seen) = (VecDeque::new(), Seen::default());
        let (page, desk) = (String::new(), String::new());
        let mut browser =
            Self { child, orders, messages, events, seen, page, desk, last_id: 0, dir };
        browser.desk = browser.attach();
        browser.page = browser.attach();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Page.setLifecycleEventsEnabled", json!({"enabled": true}));
        Some(browser)
    }

    /// Makes an empty page, and returns by what name it is spoken to.
    fn attach(&mut self) -> String {
        let target = self.order(None, "Target.createTarget", json!({"url": "about:blank"}));
        let params = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.order(None, "Target.attachToTarget", params);
        session["sessionId"].as_str().unwrap().to_owned()
    }

    /// Opens a page from a file, waits until it is loaded, and returns the file's address.
    pub fn open(&mut self, page: &str) -> String {
        let path = self.dir.path().join("report.html");
        fs::write(&path, page).unwrap();
        let url = format!("file://{}", path.display());
        self.seen = Seen::default();
        let loader = self.call("Page.navigate", json!({"url": url}));
        assert_eq!(loader["errorText"], Value::Null, "{url}");
        self.wait_for("Page.lifecycleEvent", |event| {
            event["name"] == "load" && event["loaderId"] == loader["loaderId"]
        });
        url
    }

    /// Looks at the page through a window, or as on paper if there is none.
    pub fn look(&mut self, view: View) {
        let View { width, height, is_dark } = view;
        let is_mobile = view.width < 600;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_mobile
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"media": "screen", "features": scheme}));
    }

    /// Lays the page out as on a sheet whose text is so wide, for somebody who likes it dark.
    pub fn look_as_printed(&mut self, width: u32) {
        self.look(View { width, height: 1000, is_dark: true });
        let dark = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        self.call("Emulation.setEmulatedMedia", json!({"media": "print", "features": dark}));
    }

    /// Evaluates a call of a function of `measure.js`.
    pub fn measure(&mut self, call: &str) -> Value {
        let page = self.page.clone();
        self.evaluate(&page, &format!("({MEASURE}).{call}"))
    }

    fn evaluate(&mut self, session: &str, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.order(Some(session), "Runtime.evaluate", params);
        assert_eq!(result["exceptionDetails"], Value::Null);
        result["result"]["value"].clone()
    }

    /// Takes a picture of what the window shows, and returns what `pixels.js` makes of it.
    pub fn picture(&mut self, name: &str, colour: &Value) -> Value {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        if let Some(dir) = std::env::var_os(PICTURES_VARIABLE) {
            self.keep_whole(name, Path::new(&dir));
        }
        let expression = format!("({PIXELS})({}, {colour})", shot["data"]);
        let desk = self.desk.clone();
        self.evaluate(&desk, &expression)
    }

    /// Keeps pictures of the whole page, from top to bottom, to be looked at.
    fn keep_whole(&mut self, name: &str, dir: &Path) {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let height =
            |from: u32| f64::min(size["height"].as_f64().unwrap() - f64::from(from), 1500.0);
        for number in 0..KEPT_COUNT_MAX {
            let from = number * 1500;
            if height(from) <= 0.0 {
                break;
            }
            let clip = json!({
                "x": 0, "y": from, "width": size["width"], "height": height(from), "scale": 1
            });
            let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
            let shot = self.call("Page.captureScreenshot", params);
            keep(dir, &format!("{name}-{number}.png"), &decoded(&shot));
        }
    }

    /// Prints the page, on the paper that the page asks for.
    pub fn print(&mut self, name: &str) -> Vec<u8> {
        let params = json!({"preferCSSPageSize": true, "printBackground": true});
        let print = self.call("Page.printToPDF", params);
        let bytes = decoded(&print);
        if let Some(dir) = std::env::var_os(PICTURES_VARIABLE) {
            keep(Path::new(&dir), &format!("{name}.pdf"), &bytes);
        }
        bytes
    }

    /// Returns what the page made the browser do since it was opened.
    pub fn seen(&mut self) -> &Seen {
        // An answer comes after all events before it.
        self.call("Runtime.evaluate", json!({"expression": "0"}));
        &self.seen
    }

    /// Asks for something of the page and waits for the answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let page = self.page.clone();
        self.order(Some(&page), method, params)
    }

    fn order(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut order = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            order["sessionId"] = json!(session);
        }
        let order = order.to_string() + "\0";
        if let Err(error) = self.orders.write_all(order.as_bytes()) {
            panic!("the browser does not listen to {method}: {error}\n{}", self.log());
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.next(method, until);
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
            self.take(message);
        }
    }

    /// Waits for an event that has come or will come.
    fn wait_for(&mut self, method: &str, is_wanted: impl Fn(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["method"] == method && is_wanted(&event["params"]) {
                    return;
                }
            }
            let message = self.next(method, until);
            self.take(message);
        }
    }

    fn next(&self, what: &str, until: Instant) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("no {what} in time\n{}", self.log()),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the browser ended before {what}\n{}", self.log())
            }
        }
    }

    /// Remembers an event.
    fn take(&mut self, event: Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.seen.requests.push(params["request"]["url"].as_str().unwrap().to_owned());
            }
            "Network.loadingFailed" if params["blockedReason"] == "csp" => {
                self.seen.refused_count += 1;
            }
            "Runtime.consoleAPICalled"
            | "Runtime.exceptionThrown"
            | "Log.entryAdded"
            | "Page.javascriptDialogOpening" => self.seen.said.push(params.to_string()),
            _ => {}
        }
        self.events.push_back(event);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to, it ends its helpers first, which write to the directory that goes next.
        let close = json!({"id": 0, "method": "Browser.close"}).to_string() + "\0";
        if self.orders.write_all(close.as_bytes()).is_ok() {
            let until = Instant::now() + Duration::from_secs(10);
            let left = || until.saturating_duration_since(Instant::now());
            while self.messages.recv_timeout(left()).is_ok() {}
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os(BROWSER_VARIABLE) {
        return Some(given.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("chromium")).find(|path| path.is_file())
}

/// Returns the bytes of an answer.
fn decoded(answer: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}

fn keep(dir: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join(name), bytes).unwrap();
}
