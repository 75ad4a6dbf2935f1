//! Stands between the program and a server: remembers every request, and meddles with some.
//!
//! It passes bytes on as they are, so signatures stay true; the client's `Host` reaches the server.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http::Message;

/// How the names of the headers begin that say how an object is to be kept.
const TERMS: [&str; 4] = [
    "if-none-match",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
    "x-amz-bypass-governance-retention",
];

/// What a request is about, if not an object's bytes, as its query names it.
const NOUNS: [&str; 7] =
    ["retention", "legal-hold", "restore", "versioning", "object-lock", "versions", "policy"];

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is passed on late.
    Delay(Duration),
    /// The connection ends, and the server sees nothing.
    Drop,
    /// The server does it, and the connection ends before the answer.
    DropAnswer,
    /// The server sees nothing; the client gets this.
    Answer(u16, &'static str, String),
    /// The server does it; the client gets this.
    AnswerAfter(u16, &'static str, String),
    /// Half of the answer's body arrives, then the connection ends.
    CutAnswer,
    /// One bit of the answer's body is another.
    FlipAnswer,
    /// It is passed on; what is not there is refused, as whoever may not list is told.
    RefuseMissing,
}

impl Act {
    /// An error as S3 puts it.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Answer(status, "application/xml", error_body(code))
    }

    /// Such an error for something that was done.
    pub fn error_after(status: u16, code: &str) -> Self {
        Self::AnswerAfter(status, "application/xml", error_body(code))
    }
}

/// A request that came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number, from 0.
    pub number: u64,
    /// `PUT`, `GET` …
    pub method: String,
    /// Bucket and key, as they were escaped.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    /// Who signed it, by the access key.
    pub principal: String,
    /// Names of its headers, in lowercase.
    pub headers: Vec<String>,
    /// The headers that say how an object is to be kept, and their values.
    pub terms: BTreeMap<String, String>,
    /// What is said of how long it is to be locked, in XML; empty for every other request.
    pub retention: String,
    /// What the client was answered; 0 if nothing.
    pub status: u16,
    /// Length of its body in bytes.
    pub sent_len: u64,
}

impl Request {
    /// Returns the name of the operation, as policies have it.
    pub fn operation(&self) -> String {
        let has =
            |name: &str| self.query.split('&').any(|part| part.split('=').next() == Some(name));
        let noun = NOUNS.into_iter().find(|name| has(name));
        let is_object = self.path.trim_matches('/').contains('/');
        let level = if is_object { "Object" } else { "Bucket" };
        match (self.method.as_str(), noun) {
            ("POST", Some("restore")) => "RestoreObject".to_owned(),
            ("GET", Some("versions")) => "ListObjectVersions".to_owned(),
            ("GET", None) if !is_object => "ListObjects".to_owned(),
            (method, Some(noun)) => format!("{method} {level} {noun}"),
            ("POST", None) if has("delete") => "DeleteObjects".to_owned(),
            (method, None) => {
                let verb = method[..1].to_owned() + &method[1..].to_lowercase();
                format!("{verb}{level}")
            }
        }
    }

    /// Tells whether it is about an object below a folder, such as `packs`.
    pub fn is_below(&self, folder: &str) -> bool {
        self.path.contains(&format!("/{folder}/"))
    }
}

/// Decides what happens to a request.
pub type Meddle = dyn Fn(&Request) -> Act + Send + Sync;

struct Inner {
    server: String,
    meddle: Mutex<Arc<Meddle>>,
    seen: Mutex<Vec<Request>>,
    count: AtomicU64,
    is_over: AtomicBool,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    port: u16,
    inner: Arc<Inner>,
}

impl Proxy {
    /// Starts one in front of a server, `http://127.0.0.1:port`, that passes everything on.
    pub fn before(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("plain http, to be read").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let meddle: Arc<Meddle> = Arc::new(|_: &Request| Act::Pass);
        let inner = Arc::new(Inner {
            server,
            meddle: Mutex::new(meddle),
            seen: Mutex::default(),
            count: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let proxy = Self { port, inner: Arc::clone(&inner) };
        thread::spawn(move || {
            for client in listener.incoming() {
                if inner.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let inner = Arc::clone(&inner);
                // A connection that breaks off is the client's or the server's affair.
                thread::spawn(move || client.and_then(|client| inner.serve(&client)));
            }
        });
        proxy
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets this decide from now on.
    pub fn meddle(&self, meddle: impl Fn(&Request) -> Act + Send + Sync + 'static) {
        *self.inner.meddle.lock().unwrap() = Arc::new(meddle);
    }

    /// Lets so many of a hundred requests meet a fault, by a seed.
    pub fn fail_some(&self, percent: u64, seed: u64) {
        self.meddle(move |request| fault(request, percent, seed));
    }

    /// Passes everything on from now on.
    pub fn behave(&self) {
        self.meddle(|_| Act::Pass);
    }

    /// Returns the requests so far, in the order in which they were answered.
    pub fn seen(&self) -> Vec<Request> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.inner.seen.lock().unwrap().clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Inner {
    /// Serves a client until it or the server closes the connection.
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut upstream: Option<BufReader<TcpStream>> = None;
        while let Some(mut message) = Message::read_head(&mut from_client)? {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            if message.header("expect").is_some() {
                (&*client).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            message.read_request_body(&mut from_client)?;
            let request = self.describe(&message);
            let meddle = Arc::clone(&self.meddle.lock().unwrap());
            let act = meddle(&request);
            if act == Act::Drop {
                self.note(request, 0);
                break;
            }
            if let Act::Answer(status, kind, body) = act {
                self.note(request, status);
                (&*client).write_all(&answer(status, kind, &body, message.words()[0] == "HEAD"))?;
                continue;
            }
            if let Act::Delay(time) = act {
                thread::sleep(time);
            }
            let server = match &mut upstream {
                Some(server) => server,
                None => upstream.insert(self.connect()?),
            };
            let answered = pass_on(server, &message)?;
            let is_last = answered.is_last() || message.is_last();
            if !self.deliver(client, act, request, answered)? || is_last {
                break;
            }
        }
        client.shutdown(std::net::Shutdown::Both)
    }

    /// Sends what the client gets, and tells whether the connection goes on.
    fn deliver(
        &self,
        mut client: &TcpStream,
        act: Act,
        request: Request,
        mut answered: Message,
    ) -> io::Result<bool> {
        let mut goes_on = true;
        match act {
            Act::DropAnswer => {
                self.note(request, 0);
                return Ok(false);
            }
            Act::AnswerAfter(status, kind, body) => {
                let is_head = request.method == "HEAD";
                self.note(request, status);
                client.write_all(&answer(status, kind, &body, is_head))?;
                return Ok(true);
            }
            Act::RefuseMissing if answered.status() == 404 => {
                let (is_head, body) = (request.method == "HEAD", error_body("AccessDenied"));
                self.note(request, 403);
                client.write_all(&answer(403, "application/xml", &body, is_head))?;
                return Ok(true);
            }
            Act::CutAnswer if !answered.body.is_empty() => {
                answered.body.truncate(answered.body.len() / 2);
                goes_on = false;
            }
            Act::FlipAnswer if answered.status() == 200 && !answered.body.is_empty() => {
                let middle = answered.body.len() / 2;
                answered.body[middle] ^= 1;
            }
            _ => {}
        }
        self.note(request, answered.status());
        client.write_all(&answered.head)?;
        client.write_all(&answered.body)?;
        Ok(goes_on)
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let server = TcpStream::connect(&self.server)?;
        server.set_nodelay(true)?;
        Ok(BufReader::new(server))
    }

    fn describe(&self, message: &Message) -> Request {
        let words = message.words();
        let word = |index: usize| words.get(index).cloned().unwrap_or_default();
        let (target, signed) = (word(1), message.header("authorization").unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let principal = signed.split("Credential=").nth(1).and_then(|rest| rest.split('/').next());
        let text = String::from_utf8_lossy(&message.head).to_lowercase();
        let lines = text.split("\r\n").skip(1);
        let headers: Vec<String> =
            lines.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect();
        let says = |name: &&String| TERMS.iter().any(|term| name.starts_with(term));
        let terms = headers.iter().filter(says);
        let terms = terms.filter_map(|name| Some((name.clone(), message.header(name)?))).collect();
        let is_retention = query.split('&').any(|part| part.split('=').next() == Some("retention"));
        let retention = if is_retention { message.body.as_slice() } else { &[] };
        Request {
            number: self.count.fetch_add(1, Ordering::SeqCst),
            method: word(0),
            path: path.to_owned(),
            query: query.to_owned(),
            principal: principal.unwrap_or_default().to_owned(),
            headers,
            terms,
            retention: String::from_utf8_lossy(retention).into_owned(),
            status: 0,
            sent_len: message.body.len() as u64,
        }
    }

    fn note(&self, request: Request, status: u16) {
        self.seen.lock().unwrap().push(Request { status, ..request });
    }
}

/// Sends a request to the server and returns its answer.
fn pass_on(server: &mut BufReader<TcpStream>, message: &Message) -> io::Result<Message> {
    server.get_mut().write_all(&message.head)?;
    server.get_mut().write_all(&message.body)?;
    loop {
        let head = Message::read_head(server)?;
        let mut answered = head.ok_or(io::ErrorKind::UnexpectedEof)?;
        // It may say that it would like to have the body, which it has.
        if answered.status() >= 200 {
            answered.read_response_body(server, &message.words()[0])?;
            return Ok(answered);
        }
    }
}

/// One of the faults of a network and a server under load, or none.
fn fault(request: &Request, percent: u64, seed: u64) -> Act {
    let drawn = blake3::hash(&[seed.to_le_bytes(), request.number.to_le_bytes()].concat());
    let (first, second) = drawn.as_bytes().split_at(8);
    let draw = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().unwrap());
    if draw(first) % 100 >= percent {
        return Act::Pass;
    }
    match draw(second) % 9 {
        0 => Act::Delay(Duration::from_millis(50)),
        1 => Act::Drop,
        2 => Act::DropAnswer,
        3 => Act::error(500, "InternalError"),
        4 => Act::error(503, "SlowDown"),
        5 => Act::error_after(500, "InternalError"),
        6 => Act::error_after(503, "ServiceUnavailable"),
        7 => Act::CutAnswer,
        _ => Act::FlipAnswer,
    }
}

fn error_body(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{code}</Message><RequestId>0</RequestId></Error>"
    )
}

fn answer(status: u16, kind: &str, body: &str, is_head: bool) -> Vec<u8> {
    let (len, body) = (body.len(), if is_head { "" } else { body });
    let head = format!("HTTP/1.1 {status} Meddled\r\ncontent-type: {kind}\r\n");
    format!("{head}content-length: {len}\r\n\r\n{body}").into_bytes()
}
