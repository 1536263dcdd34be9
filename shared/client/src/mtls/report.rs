//! Who would be kept out by strict mode.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use super::Why;

/// A request that strict mode would not have let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WouldBreak<'a> {
    /// Where it came from.
    pub peer: SocketAddr,
    /// The service that its certificate claims, if it shows one. Nothing says that this is true.
    pub claimed: Option<&'a str>,
    /// The path, without its query, shortened to 256 bytes.
    pub path: &'a str,
    /// Why.
    pub why: Why,
}

/// Somebody who wants to know: called at every such request, so it must be quick.
pub trait BreakReporter: Send + Sync {
    /// Takes note of a request.
    fn would_break(&self, request: &WouldBreak<'_>);
}

/// Requests of one peer, path and reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where they came from.
    pub peer: IpAddr,
    /// The service that their certificate claims. Nothing says that this is true.
    pub claimed: Option<String>,
    /// The path.
    pub path: String,
    /// Why.
    pub why: Why,
    /// How many there were.
    pub requests: u64,
}

type Key = (IpAddr, Option<String>, String, Why);

/// Counts, bounded: paths and claims are what the peers make them.
#[derive(Debug, Default)]
pub(super) struct Summary(Mutex<BTreeMap<Key, u64>>);

impl Summary {
    /// Counts a request. `true` if it is the first of its kind.
    pub(super) fn count(&self, request: &WouldBreak<'_>) -> bool {
        let claimed = request.claimed.map(str::to_owned);
        let key = (request.peer.ip(), claimed, request.path.to_owned(), request.why);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&key) {
            *count += 1;
            return false;
        }
        let room = counts.len() < MAX_FINDINGS;
        if room {
            counts.insert(key, 1);
        }
        room
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let finding = |((peer, claimed, path, why), requests): (&Key, &u64)| Finding {
            peer: *peer,
            claimed: claimed.clone(),
            path: path.clone(),
            why: *why,
            requests: *requests,
        };
        counts.iter().map(finding).collect()
    }
}

/// A path to report: at most 256 bytes of it.
pub(super) fn shortened(path: &str) -> &str {
    path.get(..path.floor_char_boundary(MAX_PATH)).unwrap_or(path)
}

const MAX_FINDINGS: usize = 1000;
const MAX_PATH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_and_their_number_is_bounded() {
        let summary = Summary::default();
        let request = |path| WouldBreak {
            peer: "127.0.0.1:5".parse().unwrap(),
            claimed: None,
            path,
            why: Why::NoCertificate,
        };
        assert!(summary.count(&request("/a")));
        assert!(!summary.count(&request("/a")));
        for number in 0..2 * MAX_FINDINGS {
            let path = number.to_string();
            summary.count(&WouldBreak { path: &path, ..request("") });
        }
        assert_eq!(summary.findings().len(), MAX_FINDINGS);
        let first = summary.findings().into_iter().find(|f| f.path == "/a").unwrap();
        assert_eq!((first.requests, first.why), (2, Why::NoCertificate));
    }

    #[test]
    fn a_path_is_cut_between_characters() {
        let long = "é".repeat(200);
        assert_eq!(shortened(&long).len(), 256);
        assert_eq!(shortened(&format!("a{long}")).len(), 255);
        assert_eq!(shortened("/a"), "/a");
    }
}
