//! `grant_type=refresh_token`: rotation, theft, the grace window (RFC 6749 section 6, RFC 9700 section 4.14).

use portcullis_token::{
    Algorithm, KeyStatus, Revocation, RevocationList, RevocationStore as _, SealedKeyStore, Stage,
};

use crate::support::{Answer, Call, Sts, sts};

async fn begin(sts: &Sts) -> Answer {
    let answer = sts.send(&Call::client_credentials().basic("svc.bff")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn refresh(token: &str) -> Call {
    Call::token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).basic("svc.bff")
}

/// What an authorizer makes of an access token: it follows the revocations.
async fn is_revoked(sts: &Sts, token: &str) -> bool {
    let mut list = RevocationList::default();
    let page = sts.tokens.since(None).await.unwrap();
    page.items.into_iter().for_each(|item: Revocation| list.add(item).unwrap());
    list.check(&sts.claims(token).await).is_err()
}

fn count(sts: &Sts, code: &str) -> usize {
    sts.codes().iter().filter(|c| *c == code).count()
}

#[tokio::test]
async fn each_refresh_gives_a_new_pair_of_the_same_grant() {
    let sts = sts().await;
    let first = begin(&sts).await;
    let mut token = first.text("refresh_token");
    let session = sts.claims(&first.text("access_token")).await.sid;
    assert!(session.is_some());
    for _ in 0..5 {
        sts.clock.advance(60_000);
        let next = sts.send(&refresh(&token)).await;
        assert_eq!(next.status, 200, "{next:?}");
        let claims = sts.claims(&next.text("access_token")).await;
        assert_eq!((claims.sub.as_str(), &claims.sid), ("svc.bff", &session));
        assert_eq!(next.body["scope"], first.body["scope"]);
        assert_ne!(next.text("refresh_token"), token);
        token = next.text("refresh_token");
    }
    assert_eq!(count(&sts, "token-refreshed"), 5);
}

#[tokio::test]
async fn only_configured_identities_get_refresh_tokens() {
    let sts = sts().await;
    for client in ["svc.actuator", "svc.memory", "ops.admin"] {
        let answer = sts.send(&Call::client_credentials().basic(client)).await;
        assert_eq!((answer.status, answer.body.get("refresh_token")), (200, None), "{client}");
    }
    assert_eq!(sts.tokens.family_count(), 0);
}

/// Somebody copied the token. Whoever of the two comes second shows it.
#[tokio::test]
async fn a_stolen_refresh_token_kills_the_family_and_leaves_an_event() {
    for thief_comes_first in [true, false] {
        let sts = sts().await;
        let first = begin(&sts).await;
        let stolen = first.text("refresh_token");
        // One of them, then (after the grace window) the other, from elsewhere.
        let winner = sts.send(&refresh(&stolen)).await;
        assert_eq!(winner.status, 200);
        sts.clock.advance(11_000);
        let address = if thief_comes_first { "192.0.2.1" } else { "203.0.113.66" };
        let loser = sts.send(&refresh(&stolen).from(address)).await;
        assert_eq!(loser.error(), (400, "invalid_grant"), "{loser:?}");
        // The family is dead: neither has anything left, and every access token of it is revoked.
        let next = sts.send(&refresh(&winner.text("refresh_token"))).await;
        assert_eq!(next.error(), (400, "invalid_grant"));
        assert!(is_revoked(&sts, &first.text("access_token")).await);
        assert!(is_revoked(&sts, &winner.text("access_token")).await);
        assert_eq!(count(&sts, "refresh-reused"), 1, "{:?}", sts.codes());
        let event =
            sts.audit.events().into_iter().find(|e| e["metadata"]["event_code"] == "refresh-reused").unwrap();
        assert!(event.to_string().contains(address), "{event}");
        assert!(event.to_string().contains("svc.bff"));
        // A session of its own is not touched.
        let other = begin(&sts).await;
        assert_eq!(sts.send(&refresh(&other.text("refresh_token"))).await.status, 200);
    }
}

#[tokio::test]
async fn a_client_that_lost_the_answer_may_ask_again_within_the_grace_window() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    let lost = sts.send(&refresh(&token)).await;
    assert_eq!(lost.status, 200);
    sts.clock.advance(9_999);
    let again = sts.send(&refresh(&token)).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(count(&sts, "refresh-reused"), 0);
    assert!(!is_revoked(&sts, &again.text("access_token")).await);
    let next = sts.send(&refresh(&again.text("refresh_token"))).await;
    assert_eq!(next.status, 200, "the token of the second answer is good");
}

#[tokio::test]
async fn many_at_once_with_one_token_are_one_client_that_retries() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    let call = refresh(&token);
    let answers = futures_util::future::join_all((0..3).map(|_| sts.send(&call))).await;
    assert!(answers.iter().all(|a| a.status == 200), "{answers:?}");
    for answer in &answers {
        assert!(!is_revoked(&sts, &answer.text("access_token")).await);
    }
}

#[tokio::test]
async fn a_grace_window_farms_no_tokens() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    let mut given = Vec::new();
    for i in 0..10 {
        let answer = sts.send(&refresh(&token)).await;
        match answer.status {
            200 => given.push(answer.text("refresh_token")),
            _ => assert_eq!(answer.error(), (400, "invalid_grant"), "{i}"),
        }
    }
    assert_eq!(given.len(), 4, "the first and three retries");
    assert_eq!(count(&sts, "refresh-reused"), 0, "a client in a loop does not lose its session");
    assert_eq!(sts.send(&refresh(&given[3])).await.status, 200, "the family lives");
    sts.clock.advance(10_000);
    assert_eq!(sts.send(&refresh(&token)).await.error(), (400, "invalid_grant"));
    assert_eq!(count(&sts, "refresh-reused"), 1, "after the window it is a theft");
}

/// Longer than the grace window: only a token that was not used up is good after it.
#[tokio::test]
async fn an_outage_of_keys_or_audit_costs_nobody_the_refresh_token() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    sts.audit.fail_with(Some(portcullis_audit::AuditError::Unavailable));
    assert_eq!(sts.send(&refresh(&token)).await.status, 503, "nothing can be recorded");
    sts.audit.fail_with(None);
    sts.clock.advance(60_000);
    let next = sts.send(&refresh(&token)).await;
    assert_eq!(next.status, 200, "after an outage of the audit trail: {next:?}");
    let token = next.text("refresh_token");

    // Another key signs now, which was not opened yet and cannot be.
    let keeper = &sts.function.parts().keeper;
    let signing = |keys: Vec<KeyStatus>| {
        let mut keys =
            keys.into_iter().filter(|k| k.algorithm == Algorithm::Es256 && k.stage == Stage::Active);
        keys.next().unwrap().kid
    };
    keeper.compromise(&signing(keeper.list().await.unwrap())).await.unwrap();
    let kid = signing(keeper.list().await.unwrap());
    let sealed = SealedKeyStore::load(&sts.tokens, &kid).await.unwrap().unwrap();
    SealedKeyStore::remove(&sts.tokens, &kid).await.unwrap();
    assert_eq!(sts.send(&refresh(&token)).await.error(), (503, "temporarily_unavailable"), "no key");
    SealedKeyStore::add(&sts.tokens, &kid, &sealed).await.unwrap();
    sts.clock.advance(60_000);
    let next = sts.send(&refresh(&token)).await;
    assert_eq!(next.status, 200, "after an outage of the keys: {next:?}");
    assert_eq!(count(&sts, "refresh-reused"), 0);
}

#[tokio::test]
async fn refresh_tokens_that_are_not_the_clients_or_not_ours_are_refused() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    let flipped = {
        let mut bytes = token.clone().into_bytes();
        bytes[10] = if bytes[10] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let cases = [
        ("none", String::new(), (400, "invalid_request")),
        ("made up", "abc".to_owned(), (400, "invalid_grant")),
        ("one bit off", flipped, (400, "invalid_grant")),
        ("cut short", token.split_at(token.len() - 2).0.to_owned(), (400, "invalid_grant")),
        ("an access token", sts.token_of("svc.bff").await, (400, "invalid_grant")),
    ];
    for (label, text, error) in cases {
        assert_eq!(sts.send(&refresh(&text)).await.error(), error, "{label}");
    }
    let wrong_secret =
        refresh(&token).without("Authorization").basic_with("svc.bff", "x").from("198.51.100.9");
    assert_eq!(sts.send(&wrong_secret).await.error(), (401, "invalid_client"));
    let of_another = refresh(&token).without("Authorization").basic("svc.actuator");
    assert_eq!(
        sts.send(&of_another).await.error(),
        (400, "unauthorized_client"),
        "it may not refresh at all"
    );
    assert_eq!(sts.send(&refresh(&token)).await.status, 200, "none of that used the token up");
}

#[tokio::test]
async fn a_refresh_narrows_its_access_token_and_not_the_family() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    let with_scope = |token: &str, scope: &str| {
        Call::token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)])
            .basic("svc.bff")
    };
    let wider = sts.send(&with_scope(&token, "read:conversations rotate:keys")).await;
    assert_eq!(wider.error(), (400, "invalid_scope"));
    let narrow = sts.send(&with_scope(&token, "read:conversations")).await;
    assert_eq!((narrow.status, &narrow.body["scope"]), (200, &"read:conversations".into()), "{narrow:?}");
    let next = sts.send(&refresh(&narrow.text("refresh_token"))).await;
    assert_eq!(next.body["scope"], "read:conversations relay:requests", "the grant is what it was");
}

#[tokio::test]
async fn families_end_unused_after_a_week_and_in_any_case_after_thirty_days() {
    const DAY: i64 = 24 * 3600 * 1000;
    let sts = sts().await;
    let idle = begin(&sts).await.text("refresh_token");
    sts.clock.advance(7 * DAY);
    assert_eq!(sts.send(&refresh(&idle)).await.error(), (400, "invalid_grant"));
    let mut token = begin(&sts).await.text("refresh_token");
    for day in (0..).step_by(6) {
        sts.clock.advance(6 * DAY);
        let answer = sts.send(&refresh(&token)).await;
        if answer.status != 200 {
            assert_eq!((answer.error(), day), ((400, "invalid_grant"), 24), "on day 30");
            break;
        }
        token = answer.text("refresh_token");
    }
}

#[tokio::test]
async fn a_store_that_fails_says_nothing_about_the_token() {
    let sts = sts().await;
    let token = begin(&sts).await.text("refresh_token");
    sts.tokens.fail_next(1, portcullis_token::StoreError::Unavailable);
    assert_eq!(sts.send(&refresh(&token)).await.error(), (503, "temporarily_unavailable"));
    assert_eq!(sts.send(&refresh(&token)).await.status, 200);
}
