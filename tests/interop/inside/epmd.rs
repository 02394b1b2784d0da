//! The two questions of EPMD's protocol that a case asks, spelled out here: the bed does not judge our client by itself.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::LIMIT;

/// The port that a node listens on, by EPMD on its host; none when it is not registered there or no EPMD answers.
pub(crate) async fn port(host: &str, alive: &str) -> Option<u16> {
    let mut request = vec![b'z'];
    request.extend_from_slice(alive.as_bytes());
    match *ask(host, &request).await? {
        [119, 0, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// Waits until a node is registered.
pub(crate) async fn await_port(host: &str, alive: &str) -> Option<u16> {
    let registered = async {
        loop {
            if let Some(port) = port(host, alive).await {
                return port;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, registered).await.ok()
}

/// Waits until EPMD has no node of that name at that port any more: it learns of the end of one a little later than who waits for its
/// process. An EPMD that cannot be reached, the network being cut, is not waited for.
pub(crate) async fn await_gone(node: &str, at: u16) {
    let Some((alive, host)) = node.split_once('@') else {
        return;
    };
    let gone = async {
        let asked = || timeout(Duration::from_secs(1), port(host, alive));
        while asked().await == Ok(Some(at)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, gone)
        .await
        .unwrap_or_else(|_| panic!("{node} has ended, and is registered still"));
}

async fn ask(host: &str, request: &[u8]) -> Option<Vec<u8>> {
    let epmd = std::env::var("ERL_EPMD_PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(4369);
    let mut stream = TcpStream::connect((host, epmd)).await.ok()?;
    let length = u16::try_from(request.len()).ok()?;
    let mut packet = length.to_be_bytes().to_vec();
    packet.extend_from_slice(request);
    stream.write_all(&packet).await.ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.ok()?;
    Some(reply)
}
