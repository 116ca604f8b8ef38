//! `wordstats` as a plain component: a function with types of its own, and no SDK.

use std::cmp::Reverse;
use std::collections::BTreeMap;

wit_bindgen::generate!({ path: "wit" });

use exports::example::wordstats::statistics::{Failure, Frequent, Guest, Stats};

struct Wordstats;

impl Guest for Wordstats {
    fn wordstats(text: String, top: Option<u8>) -> Result<Stats, Failure> {
        // In the order of their bytes, which in UTF-8 is that of code points.
        let mut counts = BTreeMap::<String, u64>::new();
        for word in words(&text) {
            *counts.entry(word).or_default() += 1;
        }
        let longest = counts.keys().min_by_key(|word| Reverse(word.chars().count()));
        let longest = longest.ok_or(Failure::EmptyText)?;
        let mut ranked: Vec<(&String, &u64)> = counts.iter().collect();
        ranked.sort_by_key(|(_, count)| Reverse(**count));
        let frequent = ranked.into_iter().take(top.unwrap_or(10).into());
        Ok(Stats {
            characters: text.chars().count() as u64,
            lines: text.lines().count() as u64,
            words: counts.values().sum(),
            distinct: counts.len() as u64,
            longest: longest.clone(),
            frequent: frequent
                .map(|(word, count)| Frequent { word: word.clone(), count: *count })
                .collect(),
        })
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
        .map(|piece| piece.trim_matches(|c: char| c.is_ascii_punctuation()))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

export!(Wordstats);
