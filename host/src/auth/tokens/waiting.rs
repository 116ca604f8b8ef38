//! Places for calls that wait for an issuer: so many in all, and so many of one source,
//! so that whoever sends texts that look like tokens cannot take them all.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::network;

/// How many calls may wait at once: each holds a connection.
const MOST: usize = 256;

/// How many of them may come from one address.
const MOST_OF_ONE: usize = 64;

/// Who waits.
#[derive(Default)]
pub(super) struct Places(Mutex<Held>);

#[derive(Default)]
struct Held {
    all: usize,
    by_source: HashMap<Option<IpAddr>, usize>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

/// One of them, until it is dropped.
pub(super) struct Place<'p> {
    places: &'p Places,
    source: Option<IpAddr>,
}

impl Places {
    /// A place for a call from `source`; nothing when it has all of its own, or none is
    /// left. Where nobody knows from where calls come, none has too many.
    pub(super) fn take(&self, source: Option<IpAddr>) -> Option<Place<'_>> {
        let source = source.map(network);
        let mut held = self.held();
        let of_source = held.by_source.get(&source).copied().unwrap_or_default();
        if held.all >= MOST || (source.is_some() && of_source >= MOST_OF_ONE) {
            return None;
        }
        held.all += 1;
        held.by_source.insert(source, of_source + 1);
        Some(Place { places: self, source })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut held = self.places.held();
        held.all -= 1;
        match held.by_source.get_mut(&self.source) {
            Some(more) if *more > 1 => *more -= 1,
            Some(_) | None => {
                held.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_gets_its_share_and_all_together_get_all() {
        let places = Places::default();
        let from = |host: usize| Some(IpAddr::from([192, 0, 2, u8::try_from(host).unwrap()]));
        let greedy: Vec<_> = (0..MOST).filter_map(|_| places.take(from(0))).collect();
        assert_eq!(greedy.len(), MOST_OF_ONE);
        let others: Vec<_> = (1..250).filter_map(|host| places.take(from(host))).collect();
        assert_eq!(others.len(), MOST - MOST_OF_ONE);
        assert!(places.take(None).is_none());
        drop(greedy);
        let unknown: Vec<_> = (0..MOST).filter_map(|_| places.take(None)).collect();
        assert_eq!(unknown.len(), MOST_OF_ONE);
        drop(unknown);
        assert!(places.take(from(0)).is_some());
        drop(others);
        let held = places.held();
        assert!(held.all == 0 && held.by_source.is_empty(), "nothing is kept of who has left");
    }
}
