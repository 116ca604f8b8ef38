//! Finds one record in the audit log, in the files of every process that wrote there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chain::{Chain, MAX_LINE_BYTES};
use super::file::{MAX_FILES, numbered};

/// What was looked at, and what was found there.
#[derive(Debug, Default)]
pub struct Search {
    /// The record, if it is there.
    pub found: Option<FoundRecord>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// How many records were looked at.
    pub records: u64,
    /// When the oldest of them was opened, as it is written there.
    pub oldest: Option<String>,
}

/// A record, as it was written.
#[derive(Debug)]
pub struct FoundRecord {
    /// Its fields.
    pub record: Value,
    /// Where it is.
    pub file: PathBuf,
    /// On which line, from one.
    pub line: u64,
    /// What speaks against its being as it was written: its hash is not its own.
    pub altered: Option<&'static str>,
}

/// Looks for the record of a request in the log at `path`, and in the siblings that other
/// processes wrote. Reads each file once, a line at a time.
///
/// # Errors
/// When a file that is there cannot be read.
pub fn find(path: &Path, request_id: &str) -> io::Result<Search> {
    let mut search = Search::default();
    for number in 0..MAX_FILES {
        let file = numbered(path, number);
        match File::open(&file) {
            Ok(open) => search.look(&file, open, request_id)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        if search.found.is_some() {
            break;
        }
    }
    Ok(search)
}

impl Search {
    fn look(&mut self, path: &Path, file: File, request_id: &str) -> io::Result<()> {
        self.files.push(path.to_owned());
        let mut lines = BufReader::with_capacity(MAX_LINE_BYTES, file);
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            lines.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line)?;
            // What has no end is being written right now, or is no record.
            let Some((b'\n', record)) = line.split_last() else { return Ok(()) };
            number += 1;
            self.records += 1;
            let text = std::str::from_utf8(record).unwrap_or_default();
            if number == 1 {
                self.begins(text);
            }
            if !text.contains(request_id) {
                continue;
            }
            // Elsewhere in a line, somebody may have written the same text.
            let Ok(fields) = serde_json::from_str::<Value>(text) else { continue };
            if fields.get("request_id").and_then(Value::as_str) == Some(request_id) {
                let altered = Chain::ending_with(record).err();
                let (record, file) = (fields, path.to_owned());
                self.found = Some(FoundRecord { record, file, line: number, altered });
                return Ok(());
            }
        }
    }

    /// A file's first record is its oldest.
    fn begins(&mut self, first: &str) {
        let fields = serde_json::from_str::<Value>(first).ok();
        let time = fields.as_ref().and_then(|fields| fields.get("time")?.as_str());
        if let Some(time) = time
            && self.oldest.as_deref().is_none_or(|oldest| time < oldest)
        {
            self.oldest = Some(time.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::telemetry::chain::Link;
    use crate::telemetry::file::tests::Folder;

    fn write(path: &Path, ids: &[(&str, &str)]) {
        let (mut chain, mut bytes) = (Chain::default(), Vec::new());
        for (time, id) in ids {
            let line = |to: &mut Vec<u8>, Link { seq, prev }: Link<'_>| {
                write!(
                    to,
                    r#"{{"time":"{time}","seq":{seq},"request_id":"{id}","tool":"id-2","prev":"{prev}"}}"#
                )
                .map_err(serde_json::Error::io)
            };
            chain.append(&mut bytes, line).unwrap();
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_record_is_found_in_whichever_file_it_is() {
        let folder = Folder::new();
        let path = folder.path("audit.jsonl");
        write(&path, &[("2026-02", "id-1"), ("2026-03", "id-2")]);
        // One process ended and its file was moved away; another came after it.
        write(&folder.path("audit.2.jsonl"), &[("2026-01", "id-3")]);
        for (id, file, line) in
            [("id-1", "audit.jsonl", 1), ("id-2", "audit.jsonl", 2), ("id-3", "audit.2.jsonl", 1)]
        {
            let found = find(&path, id).unwrap().found.unwrap();
            assert_eq!((found.file, found.line), (folder.path(file), line));
            assert_eq!((found.record["request_id"].as_str(), found.altered), (Some(id), None));
        }
        let search = find(&path, "id-4").unwrap();
        assert!(search.found.is_none());
        assert_eq!((search.files.len(), search.records), (2, 3));
        assert_eq!(search.oldest.as_deref(), Some("2026-01"));
        assert_eq!(find(&folder.path("none.jsonl"), "id-1").unwrap().files.len(), 0);
    }

    #[test]
    fn what_was_altered_is_told_and_what_is_no_record_passed_over() {
        let folder = Folder::new();
        let path = folder.path("audit.jsonl");
        write(&path, &[("2026-02", "id-1")]);
        let text = std::fs::read_to_string(&path).unwrap().replace("2026-02", "2026-01");
        std::fs::write(&path, format!("no record of id-1\n{text}{{\"request_id\":\"id-9\""))
            .unwrap();
        let found = find(&path, "id-1").unwrap().found.unwrap();
        assert_eq!((found.line, found.altered), (2, Some("its hash is not its own")));
        assert!(find(&path, "id-9").unwrap().found.is_none(), "it is not whole");
    }
}
