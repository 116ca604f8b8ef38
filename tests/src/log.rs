//! What a process says on standard error, line by line, and waiting for a line.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use crate::wait::patiently;

/// The lines that a process has written so far.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Log {
    /// Reads `stderr` to its end in a task of its own.
    pub(crate) fn of(stderr: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (tell, count) = watch::channel(0);
        let kept = Arc::clone(&lines);
        tokio::task::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push(line);
                tell.send_replace(kept.len());
            }
        });
        Self { lines, count }
    }

    /// Everything that was said.
    pub fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// How many lines there are: where to look from for what comes next.
    pub fn mark(&self) -> usize {
        *self.count.borrow()
    }

    /// The first line that contains `text`, waited for.
    pub async fn line(&self, text: &str) -> String {
        self.line_after(0, text).await
    }

    /// The first line after `mark` that contains `text`, waited for.
    pub async fn line_after(&self, mark: usize, text: &str) -> String {
        let mut count = self.count.clone();
        let found = async {
            loop {
                count.borrow_and_update();
                let found = self.find(mark, text);
                if let Some(line) = found {
                    return line;
                }
                if count.changed().await.is_err() {
                    // The process has ended; what it wrote last is there by now.
                    let last = self.find(mark, text);
                    return last.unwrap_or_else(|| panic!("the log ended without {text:?}"));
                }
            }
        };
        patiently(&format!("a line with {text:?} in the log"), found).await
    }

    fn find(&self, mark: usize, text: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(mark).find(|line| line.contains(text)).cloned()
    }
}
