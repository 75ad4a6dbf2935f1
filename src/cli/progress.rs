//! Listens to the library: bars on a terminal, warnings as lines, both on standard error.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::{Report, Warning, say, words};
use crate::base::{Event, Observer};

const BAR: &str = "{msg:10} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
const SPINNER: &str = "{msg:10} {spinner} {bytes} {binary_bytes_per_sec} {elapsed}";
const TICK: Duration = Duration::from_millis(100);

/// Shows progress and keeps the warnings; draws nothing where nobody looks.
pub struct Progress {
    report: Report,
    state: Mutex<State>,
}

struct State {
    bar: ProgressBar,
    warnings: Vec<Warning>,
}

impl Progress {
    /// Makes one that has heard nothing.
    pub fn new(report: Report) -> Self {
        let state = State { bar: ProgressBar::hidden(), warnings: Vec::new() };
        Self { report, state: Mutex::new(state) }
    }

    /// Returns the warnings so far; how many there are decides the exit code.
    pub fn warnings(&self) -> Vec<Warning> {
        self.state().warnings.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while counting left nothing half done that matters here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, phase: &'static str, total_len: Option<u64>) {
        let mut state = self.state();
        state.bar.finish_and_clear();
        if self.report.is_quiet() {
            return;
        }
        let target = ProgressDrawTarget::stderr();
        let (bar, template) = match total_len {
            Some(len) => (ProgressBar::with_draw_target(Some(len), target), BAR),
            None => (ProgressBar::with_draw_target(None, target), SPINNER),
        };
        let style = ProgressStyle::with_template(template).expect("a test reads both templates");
        let bar = bar.with_style(style).with_message(phase);
        // A steady tick is a thread, which only a drawn bar is worth.
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        state.bar = bar;
    }

    fn warn(&self, warning: Warning) {
        let mut lines = self.report.warning_line(&warning);
        let mut state = self.state();
        // What to do is said once: a thousand files may vanish in one night.
        if state.warnings.iter().all(|earlier| earlier.code != warning.code) {
            lines.push_str(&self.report.hint_line(warning.code));
        }
        state.bar.suspend(|| say(&lines));
        state.warnings.push(warning);
    }
}

impl Observer for Progress {
    fn observe(&self, event: Event) {
        match event {
            Event::PhaseStarted { phase, total_len } => self.start(phase, total_len),
            Event::Advanced { len } => self.state().bar.inc(len),
            Event::PhaseFinished { .. } => self.state().bar.finish_and_clear(),
            Event::PackStored { .. } => {}
            Event::GenerationOpened { generation } => {
                self.state().bar.suspend(|| {
                    self.report.note(&format!("opened generation {generation}"));
                });
            }
            Event::SnapshotCompleted { snapshot, store } => {
                let text = format!("completed snapshot {snapshot} in store {store}");
                self.state().bar.suspend(|| self.report.note(&text));
            }
            Event::Thawing { ready_count, pack_count, expected } => {
                let until = expected.map(|time| format!(", the others by {}", words::time(time)));
                let text = format!(
                    "thawing: {} of {} ready{}",
                    words::number(ready_count),
                    words::count(pack_count, "pack"),
                    until.unwrap_or_default()
                );
                self.state().bar.suspend(|| self.report.note(&text));
            }
            Event::Warning { code, detail } => self.warn(Warning { code, detail }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Code;

    #[test]
    fn warnings_are_kept_in_the_order_in_which_they_came() {
        let progress = Progress::new(Report::of(false, true));
        progress.observe(Event::PhaseStarted { phase: "uploads", total_len: Some(10) });
        for detail in ["a", "b"] {
            let detail = detail.to_owned();
            progress.observe(Event::Warning { code: Code::FileVanished, detail });
            progress.observe(Event::Advanced { len: 5 });
        }
        progress.observe(Event::PhaseFinished { phase: "uploads" });
        let details: Vec<String> = progress.warnings().into_iter().map(|w| w.detail).collect();
        assert_eq!(details, ["a", "b"]);
    }

    #[test]
    fn both_templates_are_readable() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
        assert!(ProgressStyle::with_template(SPINNER).is_ok());
    }
}
