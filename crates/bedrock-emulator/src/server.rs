//! Accepts connections, reads calls and sends replies, until it is dropped.

use crate::account::Account;
use crate::call::Call;
use crate::fault::Fault;
use crate::reply::{Body, Reply};
use crate::socket::{Fuse, Socket};
use crate::{control, runtime};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves for ever. The connections end with this future.
pub(crate) async fn serve(listener: TcpListener, account: Arc<Account>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(converse_over(stream, Arc::clone(&account)))),
                Err(error) => tracing::warn!(%error, "The emulator could not accept a connection."),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse_over(stream: TcpStream, account: Arc<Account>) {
    let fuse = Fuse::default();
    let Ok((socket, number)) = Socket::new(stream, fuse.clone(), Arc::clone(&account.census))
    else {
        return;
    };
    let service =
        service_fn(|request| exchange(Arc::clone(&account), number, fuse.clone(), request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await
    {
        tracing::debug!(%error, connection = number, "A connection of the emulator broke off.");
    }
}

async fn exchange(
    account: Arc<Account>,
    connection: usize,
    fuse: Fuse,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call = Call::new(parts, body, &account.default_region);
    let exchange = account.journal.open(&call, connection);
    reply(&account, &call).await.unwrap_or_else(Reply::Fault).into_response(exchange, fuse)
}

async fn reply(account: &Account, call: &Call) -> Result<Reply, Fault> {
    let operation = call.operation.ok_or_else(unknown_operation)?;
    account.check(call, SystemTime::now())?;
    if operation.is_runtime() {
        runtime::reply(account, call, operation).await
    } else {
        control::reply(account, call, operation).await
    }
}

fn unknown_operation() -> Fault {
    Fault::of("UnknownOperationException", "There is no such operation.")
}
