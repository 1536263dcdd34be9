//! The consumers and the upkeep: what Lambda's event source mapping and the schedule do in AWS.

use std::sync::Arc;
use std::time::Duration;

use pii_function::{Arrived, PiiFunction};
use portcullis_local::{Received, Store};
use portcullis_webhook::Lane;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::response::Responders;
use super::stack::{LocalPorts, Stack};

/// The running consumers.
pub(crate) struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Waits until each has finished what it had in hand.
    pub(crate) async fn finish(self) {
        for worker in self.0 {
            // Only its own runtime can end it early, and that ends with the process.
            let _ended = worker.await;
        }
    }
}

/// Starts a consumer for each queue, and the upkeep of incidents.
pub(crate) fn start(stack: &Stack, responders: &Arc<Responders>, stopped: &watch::Receiver<bool>) -> Workers {
    let function = Arc::new(stack.pii());
    let consumers = [Lane::Text, Lane::Media]
        .map(|lane| tokio::spawn(keep(lane, stack.store.clone(), Arc::clone(&function), stopped.clone())));
    let upkeep = tokio::spawn(keep_up(Arc::clone(responders), stopped.clone()));
    Workers(consumers.into_iter().chain([upkeep]).collect())
}

/// Runs a consumer, and another when one panics: what it had in hand is handed out again after its visibility timeout.
async fn keep(
    lane: Lane,
    store: Store,
    function: Arc<PiiFunction<LocalPorts>>,
    stopped: watch::Receiver<bool>,
) {
    while tokio::spawn(consume(lane, store.clone(), Arc::clone(&function), stopped.clone())).await.is_err() {
        tracing::error!(lane = lane.as_str(), "a consumer panicked and is started again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for the upkeep of incidents.
async fn keep_up(responders: Arc<Responders>, stopped: watch::Receiver<bool>) {
    while tokio::spawn(Arc::clone(&responders).keep_up(stopped.clone())).await.is_err() {
        tracing::error!("the upkeep of incidents panicked and is started again");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn consume(
    lane: Lane,
    store: Store,
    function: Arc<PiiFunction<LocalPorts>>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = store.wait_for_work(lane) => {}
        }
        if let Err(pause) = round(lane, &store, &function).await {
            tracing::warn!(lane = lane.as_str(), "consumer pauses");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Takes a batch, processes it, and acknowledges what was done. On trouble: how long to wait before the next round.
async fn round(lane: Lane, store: &Store, function: &PiiFunction<LocalPorts>) -> Result<(), Duration> {
    let batch = store.receive(lane, BATCH).map_err(|_| PAUSE)?;
    if batch.is_empty() {
        return Ok(());
    }
    let sequences: Vec<_> = batch.iter().map(|item| item.sequence.to_string()).collect();
    let items: Vec<_> = batch.iter().zip(&sequences).map(|(item, n)| arrived(lane, item, n)).collect();
    let done = function.consume(&items).await;
    let (failed, settled): (Vec<_>, Vec<_>) =
        batch.iter().enumerate().partition(|(i, _)| done.failed.binary_search(i).is_ok());
    let handles =
        |items: Vec<(usize, &Received)>| items.iter().map(|(_, item)| item.handle).collect::<Vec<_>>();
    store.delete(&handles(settled)).await.map_err(|_| PAUSE)?;
    if failed.is_empty() {
        return Ok(());
    }
    store.release(&handles(failed));
    Err(PAUSE)
}

fn arrived<'a>(lane: Lane, item: &'a Received, sequence: &'a str) -> Arrived<'a> {
    Arrived { lane, group: &item.group, dedup_id: &item.dedup_id, sequence, body: &item.body }
}

/// Many messages a commit: the embedded database pays for commits, not for messages.
const BATCH: usize = 512;
/// Something is in trouble: no use in hurrying.
const PAUSE: Duration = Duration::from_millis(500);
