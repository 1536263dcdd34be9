//! Too fast, and what becomes of requests when the limits cannot be told.

use authorizer_function::Verdict;
use portcullis_access::{Identities, Rates};
use portcullis_limit::OnStoreFailure;

use crate::support::*;

fn rates(address: &str, principal: &str) -> Rates {
    Rates::parse(&format!("version: 1\naddress: {address}\nprincipal: {principal}\ntiers: {{a: 1/s}}\n"))
        .unwrap()
}

/// The shipped identities, all of them at this rate.
fn identities(rate: &str) -> Identities {
    let shipped = include_str!("../../../../config/access/identities.yml");
    let lines = shipped.lines().map(|line| match line.split_once("rate: ") {
        Some((indent, _)) if indent.trim().is_empty() => format!("{indent}rate: {rate}\n"),
        _ => format!("{line}\n"),
    });
    Identities::parse(&lines.collect::<String>()).unwrap()
}

#[tokio::test]
async fn an_address_is_limited_before_anything_is_looked_at() {
    let world = World::with(|s| s.rates = rates("3/m", "100/s"));
    for i in 0..3 {
        assert_eq!(world.judge(&read_with("forged")).await, Verdict::Unauthorized, "{i}");
    }
    let _ = world.calls.take();
    let refused = world.judge(&read_with(&token_of("svc.memory"))).await;
    assert_eq!(refused, Verdict::TooManyRequests { retry_after: 20 });
    assert!(!world.calls.take().contains(&"jwks"), "the token was not looked at");
    let mut elsewhere = read_with(&token_of("svc.memory"));
    elsewhere.source_address = Some("192.0.2.11".into());
    let _ = allowed(&world.judge(&elsewhere).await);
    world.clock.advance(20_000);
    let _ = allowed(&world.judge(&read_with(&token_of("svc.memory"))).await);
}

#[tokio::test]
async fn one_subscriber_s_ipv6_addresses_are_one() {
    let world = World::with(|s| s.rates = rates("1/m", "100/s"));
    for (address, passes) in [("2001:db8::1", true), ("2001:db8::2", false), ("2001:db8:0:1::1", true)] {
        let mut request = read_with(&token_of("svc.memory"));
        request.source_address = Some(address.into());
        assert_eq!(matches!(world.judge(&request).await, Verdict::Allow(_)), passes, "{address}");
    }
}

#[tokio::test]
async fn a_principal_is_limited_wherever_it_calls_from() {
    let world = World::with(|s| s.identities = identities("2/m"));
    for (i, (id, passes)) in
        [("svc.memory", true), ("svc.memory", true), ("svc.memory", false), ("svc.bff", true)]
            .into_iter()
            .enumerate()
    {
        let mut request = read_with(&token_of(id));
        request.source_address = Some(format!("192.0.2.{i}").into());
        let verdict = world.judge(&request).await;
        assert_eq!(matches!(verdict, Verdict::Allow(_)), passes, "{i}: {verdict:?}");
        if !passes {
            assert_eq!(verdict, Verdict::TooManyRequests { retry_after: 30 });
        }
    }
}

#[tokio::test]
async fn a_flood_is_recorded_once_and_counted_every_time() {
    let world = World::with(|s| s.rates = rates("1/m", "100/s"));
    for _ in 0..50 {
        let _ = world.judge(&read_with(&token_of("svc.memory"))).await;
    }
    assert_eq!(world.codes().iter().filter(|c| *c == "rate-limited").count(), 1);
    assert_eq!(world.metric_lines().matches("\"RateLimited\":1.0").count(), 49);
    let _ = world.calls.take();
    let _ = world.judge(&read_with(&token_of("svc.memory"))).await;
    assert!(world.calls.take().is_empty(), "a remembered refusal calls no store");
}

#[tokio::test]
async fn floods_of_two_viewers_behind_one_edge_are_both_recorded() {
    let world = World::with(|s| {
        s.rates = rates("1/m", "100/s");
        s.settings.viewer_address_header = Some("x-viewer-address".to_owned());
    });
    for viewer in ["198.51.100.1:1000", "198.51.100.1:2000", "198.51.100.2:1000", "198.51.100.2:2000"] {
        let mut request = read_with("forged");
        request.headers.push(("x-viewer-address".into(), viewer.into()));
        let _ = world.judge(&request).await;
    }
    assert_eq!(world.codes().iter().filter(|c| *c == "rate-limited").count(), 2);
}

#[tokio::test]
async fn limits_that_cannot_be_told_refuse_or_allow_a_share_as_set() {
    let closed = World::new();
    closed.limits.fail(true);
    assert_eq!(closed.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Unavailable);
    let open = World::with(|s| {
        s.on_limits_failure = OnStoreFailure::Allow { containers: 10 };
        s.rates = rates("20/m", "100/s");
    });
    open.limits.fail(true);
    let mut passed = 0;
    for _ in 0..20 {
        if matches!(open.judge(&read_with(&token_of("svc.memory"))).await, Verdict::Allow(_)) {
            passed += 1;
        }
    }
    assert_eq!(passed, 2, "a tenth of twenty: a container's own share, not everything");
}
