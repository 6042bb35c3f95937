//! Kill -9 at random instants under load.

use std::collections::HashSet;
use std::time::Duration;

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::RECEIVE;

use super::{counted, push_of, spine, wait_for_metric};
use flamegate_tests::backend::Script;

/// `cargo xtask soak queue` asks for more.
const KILLS: usize = 10;
const SENDERS: usize = 8;
/// As many as Flamegate has, each with as many profiles as it sends at a time.
const TWICE_A_KILL: usize = 8 * 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_arrives_whenever_the_process_is_killed() {
    let kills = std::env::var("FLAMEGATE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let spine = spine("", Script::judging()).await;
    let (mut flamegate, mut answered) = (spine.flamegate, HashSet::new());
    for kill in 0..kills {
        let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        let senders: Vec<_> = (0..SENDERS).map(|sender| tokio::spawn(send(url.clone(), kill, sender))).collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..400))).await;
        let folder = flamegate.kill_into_folder().await.unwrap();
        for sender in senders {
            answered.extend(sender.await.unwrap());
        }
        flamegate = Flamegate::start_in(folder, &spine.configuration, &[]).await.unwrap();
    }
    wait_for_metric(&flamegate, "records", 0.0).await;
    let counted = counted(&spine.backend);
    let lost: Vec<_> = answered.iter().filter(|id| !counted.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), answered.len());
    assert!(answered.len() > 10 * kills, "{} are no load", answered.len());
    let twice: usize = counted.values().map(|count| count - 1).sum();
    println!("{} answered, {} arrived, {twice} more than once", answered.len(), counted.len());
    assert!(twice <= kills * TWICE_A_KILL, "{twice} more than once");
}

/// Until the process is gone; the ids of what was answered 200.
async fn send(url: String, kill: usize, sender: usize) -> Vec<String> {
    let mut answered = Vec::new();
    for number in 0..100_000 {
        let id = format!("{kill}-{sender}-{number}");
        match PushClient::CONNECT.push(&url, &push_of(&id)).await {
            Ok(reply) if reply.error.is_none() => answered.push(id),
            Ok(_) | Err(_) => break,
        }
    }
    answered
}
