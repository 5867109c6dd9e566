//! Bare sockets that are sent a frame when a byte says so.

use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, PoisonError};

use actix_web::{HttpRequest, HttpResponse, rt, web};
use actix_ws::{Message, MessageStream, Session};
use tokio::io::AsyncReadExt as _;

use crate::failure::Outcome;

/// The sockets in the order in which they were opened.
static SOCKETS: LazyLock<Mutex<Vec<Session>>> = LazyLock::new(Mutex::default);

fn sockets() -> Vec<Session> {
    SOCKETS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/idle", web::get().to(open_idle));
    config.route("/ws", web::get().to(open)).route("/push/{size}", web::post().to(take_orders));
}

async fn open(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, frames) = actix_ws::handle(&request, body)?;
    SOCKETS.lock().unwrap_or_else(PoisonError::into_inner).push(session.clone());
    answer_pings(session, frames);
    Ok(response)
}

/// A socket that is sent nothing.
async fn open_idle(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, frames) = actix_ws::handle(&request, body)?;
    answer_pings(session, frames);
    Ok(response)
}

fn answer_pings(mut session: Session, mut frames: MessageStream) {
    rt::spawn(async move {
        while let Some(Ok(frame)) = frames.recv().await {
            if let Message::Ping(payload) = frame
                && session.pong(&payload).await.is_err()
            {
                break;
            }
        }
    });
}

/// Opens a port for orders and answers with its number. Each byte that comes there is the number of a socket that is
/// to be sent a frame of this size.
async fn take_orders(size: web::Path<usize>) -> actix_web::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let frame = bytestring::ByteString::from("x".repeat(*size));
    rt::spawn(async move {
        let done: Outcome<()> = async {
            let (mut orders, _) = listener.accept().await?;
            let (mut sockets, mut bytes) = (sockets(), [0; 4096]);
            loop {
                let count = orders.read(&mut bytes).await?;
                for socket in &bytes[..count] {
                    sockets[usize::from(*socket)].text(frame.clone()).await?;
                }
                if count == 0 {
                    return Ok(());
                }
            }
        }
        .await;
        if let Err(failure) = done {
            eprintln!("a floor broke: {failure}");
        }
    });
    Ok(port.to_string())
}
