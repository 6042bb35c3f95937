//! Which backend a profile goes to.

use super::*;

#[tokio::test]
async fn round_robin_gives_all_the_same() {
    let backends = start(3).await;
    let write = running(&block(addresses(&backends), ""), None);
    for _ in 0..30 {
        send(&write).await.unwrap();
    }
    assert_eq!(counts(&backends), [10, 10, 10]);
    let asked = backends[1].last();
    assert!(asked.target.starts_with("/base/ingest?"), "{asked:?}");
    assert_eq!(asked.headers["host"], "pyroscope.invalid:4040");
    assert_eq!(backends.iter().map(Backend::connections).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn random_gives_all_some() {
    let backends = start(3).await;
    let write = running(&block(addresses(&backends), "policy = \"random\""), None);
    for _ in 0..300 {
        send(&write).await.unwrap();
    }
    let counts = counts(&backends);
    assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
}

/// Takes connections and says nothing.
async fn silent() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    (address, accepting)
}

#[tokio::test]
async fn least_requests_spares_the_slow() {
    let backends = start(2).await;
    let (slow, _accepting) = silent().await;
    let all = [addresses(&backends), vec![slow]].concat();
    let write = running(&block(all, "policy = \"least_requests\""), None);
    // Each of three gets one, and one of them does not answer.
    let mut first = Box::pin(join_all((0..3).map(|_| send(&write))));
    let busy = || {
        let in_flight = shown(&write, "in_flight");
        let of = |address: SocketAddr| in_flight.get(&address.to_string()) == Some(&Value::from(1_u64));
        of(slow) && !backends.iter().any(|backend| of(backend.address))
    };
    tokio::select! {
        _ = &mut first => panic!("the slow one answered"),
        () = until("only the slow one has a request", busy) => {}
    }
    let rest = async {
        for _ in 0..60 {
            send(&write).await.unwrap();
        }
    };
    tokio::select! {
        _ = &mut first => panic!("the slow one answered"),
        () = rest => {}
    }
    let counts = counts(&backends);
    assert_eq!(counts.iter().sum::<usize>(), 62);
    assert!(counts.iter().all(|count| *count >= 15), "{counts:?}");
}

/// By service, the backend that its profiles go to.
async fn owners(write: &Write, backends: &[Backend], services_sent: usize) -> BTreeMap<String, SocketAddr> {
    backends.iter().for_each(Backend::forget);
    let sending =
        (0..services_sent).map(|service| async move { send_of(write, &format!("s{service}")).await.unwrap() });
    stream::iter(sending).buffer_unordered(16).collect::<Vec<_>>().await;
    let owned = |backend: &Backend| services(backend).into_iter().map(|service| (service, backend.address)).collect();
    backends.iter().flat_map(|backend| -> Vec<_> { owned(backend) }).collect()
}

#[tokio::test]
async fn a_series_stays_with_its_backend() {
    let backends = start(5).await;
    let policy = "policy = \"consistent_hash\"";
    let four = running(&block(addresses(&backends[..4]), policy), None);
    let before = owners(&four, &backends, 400).await;
    assert_eq!(before.len(), 400);
    assert_eq!(owners(&four, &backends, 400).await, before);
    for backend in &backends[..4] {
        let share = before.values().filter(|owner| **owner == backend.address).count();
        assert!((40..=180).contains(&share), "{share} of 400");
    }

    let three = running(&block(addresses(&backends[..3]), policy), Some(&four));
    until("three are left", || shown(&three, "state").len() == 3).await;
    let gone = backends[3].address;
    for (service, owner) in owners(&three, &backends, 400).await {
        assert!(before[&service] == owner || before[&service] == gone, "{service} moved without a reason");
    }

    let five = running(&block(addresses(&backends), policy), Some(&three));
    until("five are there", || shown(&five, "state").len() == 5).await;
    let after = owners(&five, &backends, 400).await;
    let moved: Vec<_> = after.iter().filter(|(service, owner)| before[*service] != **owner).collect();
    assert!(moved.iter().all(|(_, owner)| **owner == backends[4].address));
    assert!((20..=160).contains(&moved.len()), "{} of 400 moved to the fifth", moved.len());
}

#[tokio::test]
async fn hash_labels_are_those_that_count() {
    let backends = start(4).await;
    let policy = "policy = \"consistent_hash\"\nhash_labels = [\"region\"]";
    let write = running(&block(addresses(&backends), policy), None);
    let owners: BTreeSet<_> = owners(&write, &backends, 40).await.into_values().collect();
    assert_eq!(owners.len(), 1, "all lack the label");
}
