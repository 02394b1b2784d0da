//! Plain TCP on the same runtime: what the network alone would allow.

use std::time::Instant;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{Result, percentile};

/// How much is read at a time.
const GULP: usize = 256 * 1024;

pub(crate) async fn run() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers = words
            .get(2..)
            .unwrap_or_default()
            .iter()
            .map(|word| word.parse())
            .collect::<std::result::Result<Vec<usize>, _>>()?;
        let mut stream = TcpStream::connect(words.get(1).ok_or("no address")?).await?;
        stream.set_nodelay(true)?;
        let result = match numbers.as_slice() {
            [_, count, size] => {
                stream.write_u64((count * size) as u64).await?;
                let message = vec![7; *size];
                let start = Instant::now();
                for _ in 0..*count {
                    stream.write_all(&message).await?;
                }
                stream.read_u8().await?;
                start.elapsed().as_micros() as u64
            }
            [count] => {
                // What a ping takes between nodes.
                let mut message = [7; 64];
                stream.write_u64(0).await?;
                let mut times = Vec::new();
                for _ in 0..*count {
                    let start = Instant::now();
                    stream.write_all(&message).await?;
                    stream.read_exact(&mut message).await?;
                    times.push(start.elapsed().as_nanos() as u64);
                }
                percentile(times, 50)
            }
            _ => return Err("no such case".into()),
        };
        println!("= {result}");
    }
    Ok(())
}

/// Takes as many bytes as are announced, then says so; or sends back what comes.
async fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut left = stream.read_u64().await? as usize;
    let mut buffer = vec![0; GULP];
    if left > 0 {
        while left > 0 {
            left -= stream.read(&mut buffer).await?;
        }
        stream.write_u8(1).await?;
        return Ok(());
    }
    let mut message = [0; 64];
    loop {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
}
