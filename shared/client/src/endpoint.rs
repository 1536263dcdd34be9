//! Which URLs are talked to at all.

use std::net::IpAddr;

use url::{Origin, Url};

/// A URL is none that credentials or keys may travel over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URL with a host, or one with a user name or password in it.
    #[error("url is not of the form https://host[:port]/path")]
    Form,
    /// Plain HTTP beyond this machine: everybody on the way could read and change what is sent.
    #[error("url must be https, or http on a loopback address")]
    Insecure,
}

/// Parses a URL that is `https`, or `http` on a loopback address.
///
/// # Errors
/// See [`UrlError`].
pub(crate) fn parse(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError::Form)?;
    check(&url)?;
    Ok(url)
}

/// The same for a URL that was parsed already.
pub(crate) fn check(url: &Url) -> Result<(), UrlError> {
    if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Form);
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        "http" => Err(UrlError::Insecure),
        _ => Err(UrlError::Form),
    }
}

/// Parses scheme, host and port, with nothing behind them.
///
/// # Errors
/// See [`UrlError`].
pub(crate) fn parse_origin(text: &str) -> Result<Origin, UrlError> {
    let url = parse(text)?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if bare { Ok(url.origin()) } else { Err(UrlError::Form) }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_stays_on_this_machine() {
        for (text, expected) in [
            ("https://sts.example/sts/token", None),
            ("https://sts.example:8443", None),
            ("http://127.0.0.1:8011/sts/token", None),
            ("http://127.8.8.8", None),
            ("http://[::1]:8011", None),
            ("http://localhost:8011", None),
            ("http://sts.example", Some(UrlError::Insecure)),
            ("http://10.0.0.1", Some(UrlError::Insecure)),
            ("http://localhost.example", Some(UrlError::Insecure)),
            ("http://127.0.0.1.example", Some(UrlError::Insecure)),
            ("http://0.0.0.0", Some(UrlError::Insecure)),
            ("http://127.0.0.1@sts.example", Some(UrlError::Form)),
            ("https://user@sts.example", Some(UrlError::Form)),
            ("https://:pw@sts.example", Some(UrlError::Form)),
            ("ftp://localhost", Some(UrlError::Form)),
            ("file:///etc/passwd", Some(UrlError::Form)),
            ("unix:/run/sts", Some(UrlError::Form)),
            ("sts.example/token", Some(UrlError::Form)),
            ("", Some(UrlError::Form)),
        ] {
            assert_eq!(parse(text).err(), expected, "{text}");
        }
    }

    #[test]
    fn an_origin_has_nothing_behind_it() {
        assert_eq!(parse_origin("https://a.example"), parse_origin("https://A.example:443/"));
        assert_ne!(parse_origin("https://a.example"), parse_origin("https://a.example:8443"));
        for text in ["https://a.example/x", "https://a.example?x", "https://a.example#x"] {
            assert_eq!(parse_origin(text), Err(UrlError::Form), "{text}");
        }
    }
}
