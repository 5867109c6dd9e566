//! What stands in for a platform.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A small answer.
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A platform that talks like this on every connection. Gives its address.
pub(super) async fn platform<F, T>(talk: F) -> String
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    format!("http://{address}")
}

/// A platform that answers every request with this.
pub(super) async fn answering(answer: impl Into<String>) -> String {
    let answer = answer.into();
    platform(move |mut stream| {
        let answer = answer.clone();
        async move {
            while read(&mut stream).await.is_some() {
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await
}

/// A platform that never answers; counts its connections.
pub(super) async fn hanging() -> (String, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let url = platform(move |mut stream| {
        let open = Arc::clone(&counted);
        async move {
            open.fetch_add(1, Ordering::SeqCst);
            while read(&mut stream).await.is_some() {}
            open.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    (url, open)
}

/// Reads one request with its body; `None` when the connection ends.
pub(super) async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().parse::<usize>().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// A platform that closes every connection after so many answers; counts its connections.
pub(super) async fn closing_after(answers: usize) -> (String, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let url = platform(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            for _ in 0..answers {
                if read(&mut stream).await.is_none() {
                    return;
                }
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (url, made)
}
