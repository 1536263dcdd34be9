//! The contract of [`ItemQueue`].

use std::future::Future;

use portcullis_webhook::{ItemQueue, Lane, Outgoing, QueueError};

use super::fresh;

/// The consumer's side of the queue under test.
pub trait QueueConsumer {
    /// Takes and removes everything that is in the lane now, in the order in which it was handed out.
    fn drain(&self, lane: Lane) -> impl Future<Output = Vec<Outgoing>>;
}

/// Runs the whole contract.
///
/// # Panics
/// When the adapter breaks the contract.
pub async fn suite(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    items_arrive_whole_in_their_lane(queue, consumer).await;
    order_holds_within_a_group_across_batches(queue, consumer).await;
    the_same_item_is_queued_once(queue, consumer).await;
    senders_at_once_lose_nothing(queue, consumer).await;
    a_batch_is_at_most_ten(queue, consumer).await;
}

async fn items_arrive_whole_in_their_lane(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    let group = fresh("group");
    for (lane, body) in [
        (Lane::Text, r#"{"text":"olá 👋 \u0000 \"quoted\" \\ / <&>"}"#.to_owned()),
        (Lane::Media, "x".repeat(200_000)),
    ] {
        let sent = Outgoing { group: group.clone(), dedup_id: fresh("id"), body };
        assert_eq!(queue.send_batch(lane, std::slice::from_ref(&sent)).await, Ok(vec![]));
        assert_eq!(of(&group, consumer.drain(lane).await), [sent], "{}", lane.as_str());
    }
    for lane in [Lane::Text, Lane::Media] {
        assert_eq!(of(&group, consumer.drain(lane).await), [], "each item went to its own lane, once");
    }
}

async fn order_holds_within_a_group_across_batches(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    let groups = [fresh("group"), fresh("group"), fresh("group")];
    let mut sent = Vec::new();
    for batch in 0..4 {
        let items: Vec<_> = (0..10)
            .map(|n| Outgoing {
                group: groups.iter().cycle().nth(n).cloned().unwrap_or_default(),
                dedup_id: fresh("id"),
                body: format!("{batch}/{n}"),
            })
            .collect();
        assert_eq!(queue.send_batch(Lane::Text, &items).await, Ok(vec![]), "batch {batch}");
        sent.extend(items);
    }
    let received = consumer.drain(Lane::Text).await;
    for group in groups {
        assert_eq!(of(&group, received.clone()), of(&group, sent.clone()));
    }
}

async fn the_same_item_is_queued_once(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    let sent = Outgoing { group: fresh("group"), dedup_id: fresh("id"), body: "once".to_owned() };
    let twice = [sent.clone(), sent.clone()];
    assert_eq!(queue.send_batch(Lane::Text, &twice).await, Ok(vec![]), "a repeat counts as accepted");
    assert_eq!(of(&sent.group, consumer.drain(Lane::Text).await), std::slice::from_ref(&sent));
    assert_eq!(queue.send_batch(Lane::Text, std::slice::from_ref(&sent)).await, Ok(vec![]));
    assert_eq!(of(&sent.group, consumer.drain(Lane::Text).await), [], "also once it was consumed");
}

async fn senders_at_once_lose_nothing(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    let groups: Vec<_> = (0..4).map(|_| fresh("group")).collect();
    let batch = |group: &String| -> Vec<_> {
        let item = |n: usize| Outgoing { group: group.clone(), dedup_id: fresh("id"), body: n.to_string() };
        (0..5).map(item).collect()
    };
    let batches: Vec<_> = groups.iter().map(batch).collect();
    let [a, b, c, d] = batches.as_slice() else { return assert_eq!(batches.len(), 4) };
    let send = |items| queue.send_batch(Lane::Media, items);
    let (a, b, c, d) = tokio::join!(send(a), send(b), send(c), send(d));
    assert_eq!([a, b, c, d], [const { Ok(Vec::new()) }; 4]);
    let received = consumer.drain(Lane::Media).await;
    for (group, sent) in groups.iter().zip(batches) {
        assert_eq!(of(group, received.clone()), sent);
    }
}

async fn a_batch_is_at_most_ten(queue: &impl ItemQueue, consumer: &impl QueueConsumer) {
    let group = fresh("group");
    let item = |n: usize| Outgoing { group: group.clone(), dedup_id: fresh("id"), body: n.to_string() };
    let eleven: Vec<_> = (0..11).map(item).collect();
    assert_eq!(queue.send_batch(Lane::Text, &eleven).await, Err(QueueError::Refused));
    assert_eq!(of(&group, consumer.drain(Lane::Text).await), [], "a refused call queues nothing");
    assert_eq!(queue.send_batch(Lane::Text, &[]).await, Ok(vec![]), "nothing to send is no failure");
}

fn of(group: &str, items: Vec<Outgoing>) -> Vec<Outgoing> {
    items.into_iter().filter(|item| item.group == group).collect()
}
