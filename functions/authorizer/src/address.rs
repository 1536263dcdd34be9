//! Whose address a request came from.

use std::net::IpAddr;

use portcullis_lambda::caller_address;
use portcullis_limit::LimitKey;

use crate::Request;
use crate::request::Single;

/// The key of the address limit. Requests without an address that can be read share one.
pub(crate) fn limit_key(request: &Request<'_>, viewer_header: Option<&str>) -> LimitKey {
    address(request, viewer_header)
        .map_or_else(|| LimitKey::principal("portcullis:address", "unknown"), LimitKey::address)
}

/// The address: the viewer's where a header of CloudFront's is trusted for it, else the one that connected.
pub(crate) fn address(request: &Request<'_>, viewer_header: Option<&str>) -> Option<IpAddr> {
    let viewer = match viewer_header.map(|name| request.header(name)) {
        Some(Single::One(text)) => Some(text),
        _ => None,
    };
    caller_address(viewer, request.source_address.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_speaks_for_the_viewer_only_where_it_is_trusted() {
        let request = Request {
            headers: vec![("CloudFront-Viewer-Address".into(), "198.51.100.9:1234".into())],
            source_address: Some("203.0.113.7".into()),
            ..Request::default()
        };
        assert_eq!(address(&request, None), "203.0.113.7".parse().ok());
        assert_eq!(address(&request, Some("CloudFront-Viewer-Address")), "198.51.100.9".parse().ok());
        assert_eq!(address(&request, Some("X-Other")), "203.0.113.7".parse().ok());
        let nowhere = Request::default();
        assert_ne!(
            limit_key(&nowhere, None),
            limit_key(&request, None),
            "unknown ones share a limit of their own"
        );
    }
}
