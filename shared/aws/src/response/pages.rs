//! Lists that come in pages.

use std::future::Future;

use portcullis_response::{PortError, PortResult};

/// A page: what it holds, and where the next begins.
pub(super) type Page<T> = (Vec<T>, Option<String>);

/// Everything of a list, page by page; `page` asks for the one that begins there. Half a list is none: an access key
/// that was not seen would stay active.
pub(super) async fn all<T, F>(page: impl Fn(Option<String>) -> F + Send) -> PortResult<Vec<T>>
where
    T: Send,
    F: Future<Output = PortResult<Page<T>>> + Send,
{
    let mut all = Vec::new();
    let mut next = None;
    for _ in 0..MAX_PAGES {
        let (some, then) = page(next).await?;
        all.extend(some);
        if then.is_none() {
            return Ok(all);
        }
        next = then;
    }
    Err(PortError::Refused(format!("more than {MAX_PAGES} pages")))
}

/// Where the next page of an IAM list begins.
pub(super) fn marker(is_truncated: bool, marker: Option<String>) -> PortResult<Option<String>> {
    match (is_truncated, marker) {
        (true, None) => Err(unreadable()),
        (true, marker) => Ok(marker),
        (false, _) => Ok(None),
    }
}

/// An answer that does not say what it should: it proves nothing.
pub(super) const fn unreadable() -> PortError {
    PortError::Timeout
}

/// IAM's own limits (two keys, fifty tags) stay far below this.
const MAX_PAGES: u32 = 100;
