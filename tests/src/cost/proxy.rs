//! A proxy between the server and its database, which counts round trips and records prepared statements.

use secrecy::ExposeSecret;
use server::wire::Parts;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering::SeqCst},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

#[derive(Clone, Default)]
pub struct Proxy(Arc<Inner>);

#[derive(Default)]
struct Inner {
    trips: AtomicU32,
    prepared: Mutex<Vec<String>>,
}

impl Proxy {
    /// Puts the proxy in front of the database of `parts`, for the logins of both roles.
    pub fn before(parts: &mut Parts) -> Self {
        let proxy = Self::default();
        let url = parts.db.url.expose_secret().to_owned();
        let target = host_and_port(&url).to_owned();
        // Bound here and not in a task, so that the first connection succeeds.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address").to_string();
        for url in [Some(&mut parts.db.url), parts.db.job_url.as_mut()]
            .into_iter()
            .flatten()
        {
            let through = url.expose_secret().replace(&target, &address);
            *url = through.into();
        }
        let listener = TcpListener::from_std(listener).expect("a socket");
        tokio::spawn(proxy.clone().accept(listener, target));
        proxy
    }

    /// The number of times that the driver waited for the server: `Sync` and simple queries.
    pub fn trips(&self) -> u32 {
        self.0.trips.load(SeqCst)
    }

    /// The texts of named statements that were prepared since the last call.
    pub fn take_prepared(&self) -> Vec<String> {
        std::mem::take(&mut self.0.prepared.lock().expect("texts"))
    }

    async fn accept(self, listener: TcpListener, target: String) {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.expect("the database");
            // Otherwise small messages would wait for acknowledgements, 40 ms each time.
            for socket in [&client, &server] {
                socket.set_nodelay(true).expect("a socket");
            }
            let (from_client, mut to_client) = client.into_split();
            let (mut from_server, to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let proxy = self.clone();
            tokio::spawn(async move { proxy.forward(from_client, to_server).await });
        }
    }

    /// Forwards messages until one side closes the connection.
    async fn forward(
        self,
        mut client: OwnedReadHalf,
        mut server: OwnedWriteHalf,
    ) -> std::io::Result<()> {
        // The first messages (TLS request, start-up) have no type byte.
        let mut started = false;
        loop {
            let kind = if started { client.read_u8().await? } else { 0 };
            let length = client.read_u32().await?;
            let mut body = vec![0; length as usize - 4];
            client.read_exact(&mut body).await?;
            self.note(kind, &body);
            if started {
                server.write_all(&[kind]).await?;
            }
            started |= body.len() > 4;
            server.write_all(&length.to_be_bytes()).await?;
            server.write_all(&body).await?;
        }
    }

    fn note(&self, kind: u8, body: &[u8]) {
        // A rollback is sent together with the ping that follows it.
        let is_waited_for = kind == b'S' || (kind == b'Q' && body != b"ROLLBACK\0");
        self.0.trips.fetch_add(u32::from(is_waited_for), SeqCst);
        if kind == b'P' {
            // Name and text; a statement without a name isn't kept.
            let mut parts = body.split(|byte| *byte == 0);
            if let (Some(name), Some(text)) = (parts.next(), parts.next())
                && !name.is_empty()
            {
                let text = String::from_utf8_lossy(text).into_owned();
                self.0.prepared.lock().expect("texts").push(text);
            }
        }
    }
}

fn host_and_port(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("a login");
    rest.split('/').next().expect("a host")
}
