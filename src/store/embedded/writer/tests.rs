//! The writer: sharing commits, and what happens when something fails.

use super::*;
use crate::domain::channel::ChannelKind;
use crate::domain::timestamp::Timestamp;
use crate::store::embedded::tables::View as _;
use crate::store::embedded::testing::{Client, Lab, START, WIDE};
use crate::store::{
    CounterStore as _, Ingest, IngestOutcome, LimitUse, MAX_MESSAGES, MessageStore as _, Secret, SessionStore as _,
    Since, Store as _, Wake,
};

/// Appends `count` messages at once; gives their instants.
async fn append_at_once(lab: &Lab, client: Client, count: usize) -> Vec<Timestamp> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let store = lab.store.clone();
        tasks.spawn(async move {
            let (channel, record) = ("c".parse().unwrap(), client.record("c", "hello"));
            let ingest = Ingest {
                record: Some(&record),
                ..Ingest::new(client.user, &channel, ChannelKind::Webhook, Secret::Verified, WIDE)
            };
            match store.append_message(&ingest).await.unwrap() {
                IngestOutcome::Accepted(at, _) => at,
                other => panic!("{other:?}"),
            }
        });
    }
    tasks.join_all().await
}

/// Keeps the writer busy until the sender is used or dropped.
async fn occupy(lab: &Lab) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (begun, began) = oneshot::channel();
    let writer = lab.store.writer.clone();
    tokio::spawn(async move {
        let _ = writer
            .run(move |_| {
                begun.send(()).unwrap();
                let _ = released.recv();
                Ok(())
            })
            .await;
    });
    began.await.unwrap();
    release
}

/// Waits until so many jobs are in the queue.
async fn wait_for_queue(lab: &Lab, len: usize) {
    while QUEUE_LEN - lab.store.writer.jobs.capacity() < len {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_moment_get_strictly_increasing_instants_and_wakes_in_that_order() {
    let lab = Lab::new();
    let client = lab.channel("c").await;
    lab.watcher.watch(&client.user).await.unwrap();
    let mut instants = append_at_once(&lab, client, 64).await;
    instants.sort();
    let expected: Vec<_> = (START..START + 64).map(Timestamp::from_millis).collect();
    assert_eq!(instants, expected);
    let mut before_expected = Timestamp::EPOCH;
    for ((_, wake), at) in lab.take_wakes().into_iter().zip(expected) {
        let Wake::Message { before, record } = wake else { panic!("{wake:?}") };
        assert_eq!((before, record.at), (before_expected, at));
        before_expected = at;
    }
    assert_eq!(before_expected, Timestamp::from_millis(START + 63));
    let page = lab.store.read_messages(&client.user, Since::Last(1000), MAX_MESSAGES).await.unwrap();
    assert_eq!(page.records.len(), 64);
}

#[tokio::test]
async fn callers_that_wait_together_share_one_commit() {
    let lab = Lab::new();
    let client = lab.channel("c").await;
    let release = occupy(&lab).await;
    let before = lab.store.shared.commits();
    let appends = append_at_once(&lab, client, 64);
    let released = async {
        wait_for_queue(&lab, 64).await;
        drop(release);
    };
    let (instants, ()) = tokio::join!(appends, released);
    assert_eq!(instants.len(), 64);
    assert_eq!(lab.store.shared.commits(), before + 1);
}

#[tokio::test]
async fn what_writes_nothing_is_not_committed() {
    let lab = Lab::new();
    let client = lab.channel("c").await;
    let before = lab.store.shared.commits();
    lab.store.authorize(&client.gate()).await.unwrap().unwrap();
    assert_eq!(lab.ingest(&client, "other").await, IngestOutcome::NoChannel);
    assert_eq!(lab.sweep(1000).await, lab.rows().await);
    assert_eq!(lab.store.shared.commits(), before);
}

#[tokio::test]
async fn a_job_that_fails_leaves_the_others_of_its_batch_alone() {
    let lab = Lab::new();
    let release = occupy(&lab).await;
    let run = |name: &'static [u8], fault: bool| {
        let writer = lab.store.writer.clone();
        async move { writer.run(move |tx| if fault { Err(Fault::Record("a record")) } else { tx.put(name, b"1") }).await }
    };
    let released = async {
        wait_for_queue(&lab, 3).await;
        drop(release);
    };
    let (first, second, third, ()) = tokio::join!(run(b"y1", false), run(b"y2", true), run(b"y3", false), released);
    assert!(first.is_ok() && third.is_ok());
    assert!(matches!(second, Err(StoreError::Corrupt(what)) if what == "a record"));
    assert!(lab.store.read(|view| Ok(view.get(b"y3")?.is_some())).await.unwrap());
}

#[tokio::test]
async fn a_failed_transaction_is_told_to_all_its_callers_and_the_next_one_succeeds() {
    let lab = Lab::new();
    let release = occupy(&lab).await;
    let writer = lab.store.writer.clone();
    let written = writer.run(|tx| tx.put(b"y1", b"1"));
    let failed = writer.run(|_| Err::<(), _>(Fault::Storage(StorageError::PreviousIo)));
    let released = async {
        wait_for_queue(&lab, 2).await;
        drop(release);
    };
    let (written, failed, ()) = tokio::join!(written, failed, released);
    assert!(matches!((written, failed), (Err(StoreError::Away(_)), Err(StoreError::Away(_)))));
    lab.store.probe().await.unwrap();
    assert!(lab.store.read(|view| Ok(view.get(b"y1")?.is_none())).await.unwrap());
}

#[tokio::test]
async fn a_panic_drops_its_transaction_and_nothing_else() {
    let lab = Lab::new();
    let panicking = lab.store.writer.run(|tx| {
        tx.put(b"y1", b"1")?;
        if tx.get(b"y1")?.is_some() {
            panic!("on purpose");
        }
        Ok(())
    });
    assert!(matches!(panicking.await, Err(StoreError::Away(_))));
    lab.store.probe().await.unwrap();
    assert!(lab.store.read(|view| Ok(view.get(b"y1")?.is_none())).await.unwrap());
}

#[tokio::test]
async fn a_full_queue_and_a_stuck_writer_answer_in_bounded_time() {
    let short = Duration::from_millis(50);
    let lab = Lab::with_timing(Timing { room: short, answer: short, ..Timing::default() });
    let release = occupy(&lab).await;
    let counter = LimitUse { counter: "c".to_owned(), limit: WIDE };
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..QUEUE_LEN {
        let (store, counter) = (lab.store.clone(), counter.clone());
        waiting.spawn(async move { store.count_use(&counter).await });
    }
    wait_for_queue(&lab, QUEUE_LEN).await;
    let refused = lab.store.count_use(&counter).await;
    assert!(matches!(refused, Err(StoreError::Away(why)) if why == "too many writes are waiting"));
    for answer in waiting.join_all().await {
        assert!(matches!(answer, Err(StoreError::Away(why)) if why == "the disk takes too long"));
    }
    drop(release);
}

#[tokio::test]
async fn what_waits_when_the_store_closes_is_still_written() {
    let lab = Lab::new();
    let client = lab.channel("c").await;
    let release = occupy(&lab).await;
    let closing = async {
        wait_for_queue(&lab, 8).await;
        lab.store.writer.stop.notify_one();
        drop(release);
    };
    let (instants, ()) = tokio::join!(append_at_once(&lab, client, 8), closing);
    assert_eq!(instants.len(), 8);
    assert!(matches!(lab.store.touch_session(&client.user).await, Err(StoreError::Away(_))));
    let lab = lab.reopen();
    let page = lab.store.read_messages(&client.user, Since::Last(1000), 100).await.unwrap();
    assert_eq!(page.records.len(), 8);
}
