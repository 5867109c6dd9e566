//! A stand-in for a Sentinel, which names whom it is told to name.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What it says: the master's port and the age of that word, or nothing at all, ever.
#[derive(Clone, Copy)]
enum Word {
    Names { port: u16, epoch: u64 },
    Silence,
}

/// A Sentinel that knows what it is told; ends when it is dropped.
pub struct SentinelStandIn {
    port: u16,
    word: Arc<watch::Sender<Word>>,
    accepting: JoinHandle<()>,
}

impl SentinelStandIn {
    /// One that names the server on this port, as the word of this epoch.
    pub async fn naming(port: u16, epoch: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let word = Arc::new(watch::Sender::new(Word::Names { port, epoch }));
        let words = word.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(client, words.subscribe()));
            }
        });
        Self { port: own_port, word, accepting }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on it names this server, as the word of this epoch.
    pub fn names(&self, port: u16, epoch: u64) {
        self.word.send_replace(Word::Names { port, epoch });
    }

    /// From now on it takes questions and never answers.
    pub fn falls_silent(&self) {
        self.word.send_replace(Word::Silence);
    }
}

impl Drop for SentinelStandIn {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn converse(client: TcpStream, words: watch::Receiver<Word>) {
    let mut client = BufReader::new(client);
    while let Some(command) = read_command(&mut client).await {
        let word = *words.borrow();
        let Word::Names { port, epoch } = word else { continue };
        let command: Vec<_> = command.iter().map(|part| part.to_uppercase()).collect();
        let port = port.to_string();
        let epoch = epoch.to_string();
        let answer = match command.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _] => list(&["127.0.0.1", &port]),
            ["SENTINEL", "MASTER", name] => list(&["name", name, "port", &port, "config-epoch", &epoch]),
            _ => "+OK\r\n".to_owned(),
        };
        if client.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn list(items: &[&str]) -> String {
    let items: String = items.iter().map(|item| format!("${}\r\n{item}\r\n", item.len())).collect();
    format!("*{}\r\n{items}", items.matches('$').count())
}

/// A command as clients send it: a list of texts with their lengths.
async fn read_command(client: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = read_number(client, '*').await?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let length = read_number(client, '$').await?;
        let mut part = vec![0; length + 2];
        client.read_exact(&mut part).await.ok()?;
        part.truncate(length);
        parts.push(String::from_utf8(part).ok()?);
    }
    Some(parts)
}

async fn read_number(client: &mut BufReader<TcpStream>, mark: char) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.strip_prefix(mark)?.trim_end().parse().ok()
}
