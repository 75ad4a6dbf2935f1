//! A Chromium without a window or a network, spoken to through a pipe in the DevTools protocol.
//!
//! ```text
//! let Some(mut browser) = Browser::start() else { return };
//! browser.open(&page);                              // the text of a page, as a file
//! browser.look(View::ALL[0]);                       // a width, light or dark
//! browser.measure("overflow()")                     // a function of measure.js
//! browser.picture("sound-wide-light")               // pixels
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
const PATIENCE: Duration = Duration::from_secs(120);
/// How many pieces of one page are kept.
const KEPT_COUNT_MAX: u32 = 8;
/// What is asked of a page, as one JavaScript object.
const MEASURE: &str = include_str!("measure.js");
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

/// A picture: three bytes a pixel.
pub struct Picture {
    pub width: usize,
    pub pixels: Vec<[u8; 3]>,
}

/// A browser with one page; it ends with the value.
pub struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    /// Events that nobody waited for yet.
    events: VecDeque<Value>,
    seen: Seen,
    session: Option<String>,
    last_id: u64,
    dir: TempDir,
}

impl Browser {
    /// Starts one; none where there is no browser, which fails where `CI` is set.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            assert!(std::env::var_os("CI").is_none(), "chromium is missing");
            eprintln!("skipped: there is no chromium");
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
        let mut browser =
            Self { child, orders, messages, events, seen, session: None, last_id: 0, dir };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let params = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", params);
        self.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Page.setLifecycleEventsEnabled", json!({"enabled": true}));
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
        let expression = format!("({MEASURE}).{call}");
        let params = json!({"expression": expression, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        assert_eq!(result["exceptionDetails"], Value::Null, "{call}");
        result["result"]["value"].clone()
    }

    /// Takes a picture of what the window shows.
    pub fn picture(&mut self, name: &str) -> Picture {
        let shot = self.call("Page.captureScreenshot", json!({"format": "png"}));
        if let Some(dir) = std::env::var_os(PICTURES_VARIABLE) {
            self.keep_whole(name, Path::new(&dir));
        }
        Picture::decode(&decoded(&shot))
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

    /// Asks for something and waits for the answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut order = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let order = [order.to_string().as_bytes(), b"\0"].concat();
        if let Err(error) = self.orders.write_all(&order) {
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
        let order =
            [json!({"id": 0, "method": "Browser.close"}).to_string().as_bytes(), b"\0"].concat();
        let is_asked = self.orders.write_all(&order).and_then(|()| self.orders.flush()).is_ok();
        let until = Instant::now() + Duration::from_secs(10);
        while is_asked {
            let left = until.saturating_duration_since(Instant::now());
            if self.messages.recv_timeout(left).is_err() {
                break;
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Picture {
    fn decode(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut buffer).unwrap();
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        let size = info.color_type.samples();
        assert!(size >= 3, "colours");
        let pixels = buffer[..info.buffer_size()].chunks_exact(size);
        let pixels = pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: usize::try_from(info.width).unwrap(), pixels }
    }

    /// Returns how bright it is, from 0 to 255.
    pub fn brightness(&self) -> f64 {
        let sum: f64 = self.pixels.iter().map(|pixel| luma(*pixel)).sum();
        sum / f64::from(u32::try_from(self.pixels.len()).unwrap())
    }

    /// Returns what part of it has this colour, in thousandths.
    pub fn thousandths_of(&self, is_wanted: impl Fn([u8; 3]) -> bool) -> usize {
        let count = self.pixels.iter().filter(|pixel| is_wanted(**pixel)).count();
        count * 1000 / self.pixels.len()
    }
}

fn luma([red, green, blue]: [u8; 3]) -> f64 {
    0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue)
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
