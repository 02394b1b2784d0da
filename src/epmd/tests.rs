//! EPMD's client and server against each other over loopback. That both speak EPMD's protocol, and not one of their own, is
//! for the tests against real daemons to show.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::client::RegistrationLost;
use super::resolver::{Epmd, FixedPort};
use super::server::Ended;
use super::{Client, ClientError, Keeper, Name, NodeType, Registrant, ResolveError, Resolver as _, Server};

struct Running {
    client: Client,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<Ended>>,
}

fn start_with(change: impl FnOnce(Server) -> Server) -> Running {
    let server = change(Server::bind_to([([127, 0, 0, 1], 0).into()]).unwrap());
    let address = server.addresses()[0];
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.serve(async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    Running {
        client: Client::at(address),
        address,
        stop,
        ended,
    }
}

fn start() -> Running {
    start_with(|server| server)
}

fn node(name: &str, port: u16) -> Registrant {
    Registrant::new(name.parse().unwrap(), port)
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

/// Asks until the name is free: a daemon hears of the end of a connection when it hears of it.
async fn until_free(client: &Client, name: &Name) {
    while client.lookup(name).await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_registered_is_found_until_it_is_dropped() {
    let Running { client, .. } = start();
    let mut alice = node("alice", 4001);
    alice.node_type = NodeType::Hidden;
    alice.extra = Bytes::from_static(b"extra");
    let held = client.register(&alice).await.unwrap();
    assert!(held.creation() >= 4);
    assert_eq!(client.lookup(&name("alice")).await.unwrap(), Some(alice));
    assert_eq!(client.lookup(&name("bob")).await.unwrap(), None);

    let _bob = client.register(&node("bob", 4002)).await.unwrap();
    let answer = client.names().await.unwrap();
    let listed: Vec<_> = answer
        .names
        .iter()
        .map(|entry| (entry.name.as_str(), entry.port))
        .collect();
    assert_eq!(listed, [("bob", 4002), ("alice", 4001)]);

    drop(held);
    until_free(&client, &name("alice")).await;
    assert_eq!(client.names().await.unwrap().names.len(), 1);
}

#[tokio::test]
async fn a_name_is_taken_once_and_comes_back_with_another_creation() {
    let Running { client, .. } = start();
    let first = client.register(&node("alice", 1)).await.unwrap();
    let refused = client.register(&node("alice", 2)).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::NameRefused { result: 1, .. }),
        "{refused}"
    );
    let creation = first.creation();
    drop(first);
    until_free(&client, &name("alice")).await;
    let second = client.register(&node("alice", 2)).await.unwrap();
    assert_eq!(second.creation(), creation + 1);
}

#[tokio::test]
async fn old_nodes_get_small_creations() {
    let Running { client, .. } = start();
    let mut old = node("old", 1);
    old.highest_version = 5;
    let held = client.register(&old).await.unwrap();
    assert!((1..=3).contains(&held.creation()), "{}", held.creation());
}

#[tokio::test]
async fn the_holder_of_a_registration_learns_that_epmd_has_gone() {
    let Running {
        client, stop, ended, ..
    } = start();
    let mut held = client.register(&node("alice", 1)).await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(20), held.lost())
            .await
            .is_err()
    );
    stop.send(()).unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), Ended::Shutdown);
    assert!(matches!(
        held.lost().await,
        RegistrationLost::Closed | RegistrationLost::Broken(_)
    ));
    let error = client.names().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[tokio::test]
async fn kill_and_stop_need_leave_while_nodes_live() {
    let Running { client, ended, .. } = start();
    let held = client.register(&node("alice", 1)).await.unwrap();
    assert!(matches!(client.kill().await, Err(ClientError::LivingNodes)));
    assert!(matches!(
        client.stop(&name("alice")).await,
        Err(ClientError::Closed { .. })
    ));
    drop(held);
    until_free(&client, &name("alice")).await;
    client.kill().await.unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), Ended::Killed);
}

#[tokio::test]
async fn a_relaxed_daemon_stops_names_and_can_be_killed() {
    let Running { client, ended, .. } = start_with(|server| server.relaxed_command_check(true));
    let mut held = client.register(&node("alice", 1)).await.unwrap();
    assert!(client.stop(&name("alice")).await.unwrap());
    held.lost().await;
    assert!(!client.stop(&name("alice")).await.unwrap());
    let _bob = client.register(&node("bob", 1)).await.unwrap();
    client.kill().await.unwrap();
    assert_eq!(ended.await.unwrap().unwrap(), Ended::Killed);
}

#[tokio::test]
async fn a_dump_tells_of_the_living_and_the_gone() {
    let Running { client, .. } = start();
    drop(client.register(&node("alice", 1)).await.unwrap());
    until_free(&client, &name("alice")).await;
    let _bob = client.register(&node("bob", 2)).await.unwrap();
    let (_, dump) = client.dump().await.unwrap();
    let dump = String::from_utf8(dump).unwrap();
    assert!(
        dump.starts_with("active name     <bob> at port 2, fd = "),
        "{dump}"
    );
    assert!(
        dump.contains("\n\0old/unused name <alice>, port = 1, fd = "),
        "{dump}"
    );
    assert!(dump.ends_with(" \n\0"), "{dump}");
}

#[tokio::test]
async fn long_lists_arrive_whole() {
    let Running { client, .. } = start();
    let mut held = Vec::new();
    for index in 0..500 {
        let registrant = node(&format!("{}{index}", "n".repeat(200)), index);
        held.push(client.register(&registrant).await.unwrap());
    }
    let names = client.names().await.unwrap().names;
    let ports: Vec<u16> = names.iter().map(|entry| entry.port).collect();
    assert_eq!(ports, (0..500).rev().collect::<Vec<u16>>());
}

#[tokio::test]
async fn silent_connections_cost_neither_names_nor_answers() {
    let Running { client, address, .. } = start_with(|server| server.silent_limit(8));
    let held = client.register(&node("alice", 1)).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"\0").await.unwrap();
        silent.push(stream);
    }
    assert_eq!(
        client.lookup(&name("alice")).await.unwrap().map(|node| node.port),
        Some(1)
    );
    // The oldest has been closed, the newest has not.
    assert!(matches!(silent[0].read(&mut [0; 1]).await, Ok(0) | Err(_)));
    let newest = silent.last_mut().unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(20), newest.read(&mut [0; 1]))
            .await
            .is_err()
    );
    drop(held);
}

#[tokio::test]
async fn a_daemon_that_is_full_still_answers_and_registers_again_when_there_is_room() {
    let Running { client, .. } = start_with(|server| server.held_limit(2));
    let first = client.register(&node("first", 1)).await.unwrap();
    let _second = client.register(&node("second", 2)).await.unwrap();
    assert!(matches!(
        client.register(&node("third", 3)).await,
        Err(ClientError::Closed { .. })
    ));
    assert_eq!(client.names().await.unwrap().names.len(), 2);
    drop(first);
    until_free(&client, &name("first")).await;
    client.register(&node("third", 3)).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_silent_too_long_is_closed() {
    let Running { address, client, .. } =
        start_with(|server| server.packet_timeout(Duration::from_millis(50)));
    let mut held = client.register(&node("alice", 1)).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    // A registration may be silent as long as it likes.
    assert!(
        tokio::time::timeout(Duration::from_millis(150), held.lost())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let Running { address, client, .. } = start();
    let _held = client.register(&node("alice", 258)).await.unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for &byte in b"\0\x06zalice" {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"w\0\x01\x02M\0\0\x06\0\x05\0\x05alice\0\0");
}

#[tokio::test]
async fn what_does_not_speak_epmds_protocol_is_told_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::at(listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in [
            &b""[..],
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\0\0\x11\x11nonsense\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 64]).await;
            stream.write_all(answer).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    assert!(matches!(
        client.lookup(&name("a")).await,
        Err(ClientError::Closed { .. })
    ));
    assert!(matches!(
        client.lookup(&name("a")).await,
        Err(ClientError::Malformed { .. })
    ));
    assert!(matches!(client.names().await, Err(ClientError::Malformed { .. })));
    let hasty = client.timeout(Duration::from_millis(20));
    assert!(matches!(hasty.names().await, Err(ClientError::TimedOut { .. })));
}

#[tokio::test]
async fn a_node_is_registered_again_when_epmd_is_back_and_keeps_its_creation() {
    let Running {
        client,
        address,
        stop,
        ended,
    } = start();
    let mut keeper = Keeper::start(client.clone(), node("alice", 4001)).await.unwrap();
    let creation = keeper.creation();
    stop.send(()).unwrap();
    ended.await.unwrap().unwrap();
    keeper.until_registered(false).await;
    assert!(!keeper.is_registered());

    let again = Server::bind_to([address]).unwrap();
    tokio::spawn(again.serve(std::future::pending()));
    keeper.until_registered(true).await;
    assert_eq!(
        client.lookup(&name("alice")).await.unwrap(),
        Some(node("alice", 4001))
    );
    assert_eq!(keeper.creation(), creation);
    drop(keeper);
    until_free(&client, &name("alice")).await;
}

#[tokio::test]
async fn a_node_without_an_epmd_serves_as_one_and_the_next_finds_it() {
    // A port that was free a moment ago.
    let port = Server::bind_to([([127, 0, 0, 1], 0).into()]).unwrap().addresses()[0].port();
    let client = Client::local().port(port);
    assert!(matches!(
        Keeper::start(client.clone(), node("alice", 1)).await,
        Err(ClientError::NotRunning { .. })
    ));
    let alice = Keeper::start_or_serve(client.clone(), node("alice", 1))
        .await
        .unwrap();
    let bob = Keeper::start_or_serve(client.clone(), node("bob", 2))
        .await
        .unwrap();
    assert!(alice.serves() && !bob.serves());
    assert_eq!(client.names().await.unwrap().names.len(), 2);
    let carol = Keeper::start_or_serve(client.clone(), node("bob", 3))
        .await
        .unwrap_err();
    assert!(carol.to_string().contains("bob"), "{carol}");
}

#[tokio::test]
async fn epmd_and_a_fixed_port_resolve() {
    let Running { client, address, .. } = start();
    let _held = client.register(&node("alice", 4001)).await.unwrap();
    let epmd = Epmd::new().port(address.port());
    let found = epmd.resolve(&name("alice"), "localhost").await.unwrap();
    assert_eq!(found.addresses[0], SocketAddr::from(([127, 0, 0, 1], 4001)));
    assert_eq!((found.highest_version, found.lowest_version), (6, 5));
    let missing = epmd.resolve(&name("bob"), "127.0.0.1").await.unwrap_err();
    assert!(matches!(missing, ResolveError::NotRegistered { .. }), "{missing}");
    assert!(epmd.registers() && epmd.listen_port().is_none());

    let fixed = FixedPort::new(4002);
    let found = fixed.resolve(&name("anybody"), "localhost").await.unwrap();
    assert_eq!(found.addresses[0], SocketAddr::from(([127, 0, 0, 1], 4002)));
    assert_eq!((fixed.registers(), fixed.listen_port()), (false, Some(4002)));
}
