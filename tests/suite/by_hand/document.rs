//! A page of `spec/` that is followed to the letter: its blocks of shell, in their order.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Every program that the pages may use: those with a package of their own, then coreutils.
const TOOLS: &str = "age b3sum bash jq openssl python3 setfattr zstd \
    base64 basename cat chmod chown comm cut dd head id ln ls mkdir mkfifo mknod mv od printf rm \
    seq sha256sum sort tac tail touch tr wc";

/// What to do where a step is not right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// End there.
    Stop,
    /// Go on with the next step, as a person may.
    GoOn,
}

/// What came of following a page.
pub struct Followed {
    /// The steps that said that they are right, in the order in which they said so.
    pub right: Vec<u32>,
    /// Everything that was printed.
    pub said: String,
}

/// A page with blocks of shell.
pub struct Document {
    blocks: Vec<(String, String)>,
}

impl Document {
    /// Reads a page of `spec/`.
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec").join(name);
        let text = fs::read_to_string(path).unwrap();
        let mut blocks = Vec::new();
        let mut rest = text.as_str();
        while let Some((_, block)) = rest.split_once("\n```") {
            let (language, block) = block.split_once('\n').unwrap();
            let (code, after) = block.split_once("\n```\n").unwrap();
            blocks.push((language.to_owned(), format!("{code}\n")));
            rest = after;
        }
        assert!(blocks.iter().any(|(language, _)| language == "sh"), "{name} has no shell");
        Self { blocks }
    }

    /// Returns all shell blocks as one script, with the first block's values replaced and the page
    /// of Python saved where the text says, after the first step.
    fn script(&self, answers: &[(&str, String)]) -> String {
        let mut shell = self.blocks.iter().filter(|(language, _)| language == "sh");
        let settings = &shell.next().unwrap().1;
        let mut script = String::new();
        for line in settings.lines() {
            let (name, _) = line.split_once('=').unwrap();
            let answer = answers.iter().find(|(of, _)| *of == name);
            let (_, answer) = answer.unwrap_or_else(|| panic!("no answer for {name}"));
            script += &format!("{name}={answer}\n");
        }
        assert_eq!(script.lines().count(), answers.len(), "each answer is asked for");
        for (index, (_, block)) in shell.enumerate() {
            script += block;
            let python = self.blocks.iter().find(|(language, _)| language == "python");
            if let (0, Some((_, page))) = (index, python) {
                assert!(page.lines().count() <= 60, "the page of Python is one page");
                script += &format!("cat >ledger.py <<'END OF PAGE'\n{page}END OF PAGE\n");
            }
        }
        script
    }

    /// Does what the page says.
    pub fn follow(&self, answers: &[(&str, String)], wrong: Wrong) -> Followed {
        let path = tools();
        let script = path.path().join("script");
        fs::write(&script, format!("exec 2>&1\n{}", self.script(answers))).unwrap();
        let output = Command::new(path.path().join("bash"))
            .args([if wrong == Wrong::Stop { "-euo" } else { "-uo" }, "pipefail"])
            .arg(&script)
            .env_clear()
            .env("PATH", path.path())
            .current_dir(path.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("command not found"), "{said}");
        let right = said.lines().filter_map(step_that_is_right).collect();
        Followed { right, said }
    }
}

/// Returns the number of a step that says, with nothing left open, that it is right.
fn step_that_is_right(line: &str) -> Option<u32> {
    let (number, rest) = line.strip_prefix("step ")?.split_once(" is right")?;
    (!rest.contains("so far")).then(|| number.parse().unwrap())
}

/// Makes a directory with the tools and nothing else.
fn tools() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tool in TOOLS.split_whitespace() {
        let found = if tool == "python3" { python() } else { find(tool) };
        let found = found.unwrap_or_else(|| panic!("{tool} is needed by the tests"));
        symlink(found, dir.path().join(tool)).unwrap();
    }
    dir
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join(tool)).find(|file| file.is_file())
}

/// Finds the interpreter itself, behind whatever stands for it on `PATH`.
fn python() -> Option<PathBuf> {
    let asked = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(asked).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()))
}
