//! Bodies of answers: never larger than asked for, wiped after use.

use reqwest::Response;
use zeroize::Zeroizing;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// The connection broke, or took too long.
    Broken,
    /// Over the bound.
    TooLarge,
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(mut answer: Response, max: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let declared = answer.content_length().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| length > max) {
        return Err(BodyError::TooLarge);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(declared.unwrap_or(INITIAL)));
    while let Some(chunk) = answer.chunk().await.map_err(|_| BodyError::Broken)? {
        if body.len() + chunk.len() > max {
            return Err(BodyError::TooLarge);
        }
        grow(&mut body, chunk.len());
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Makes room for `more` bytes by hand: a vector that grows by itself leaves its old bytes behind unwiped.
fn grow(body: &mut Zeroizing<Vec<u8>>, more: usize) {
    let needed = body.len() + more;
    if needed > body.capacity() {
        let mut bigger = Zeroizing::new(Vec::with_capacity(needed * 2));
        bigger.extend_from_slice(body);
        *body = bigger;
    }
}

const INITIAL: usize = 4 * 1024;
