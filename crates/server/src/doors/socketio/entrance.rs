//! The moment in which a client is let in. The library tells it so shortly before it is true, and what is sent to it in
//! between is lost: what a client asks as early as that waits until it can be answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::SocketRef;
use socketioxide::handler::{MessageHandler, Value};
use socketioxide::socket::Socket;

/// What was asked too early, in its order; `None` when the client is in.
#[derive(Clone)]
struct Entrance(Arc<Mutex<Option<Vec<Question>>>>);

/// Starts the handler of what was asked.
type Question = Box<dyn FnOnce() + Send>;

impl Entrance {
    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Question>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Before the client is told that it is let in.
pub(super) fn join(socket: &SocketRef) {
    socket.extensions.insert(Entrance(Arc::new(Mutex::new(Some(Vec::new())))));
}

/// The client is in: what waits is handled now, before what it asks from now on.
pub(super) fn open(socket: &SocketRef) {
    let Some(entrance) = socket.extensions.get::<Entrance>() else { return };
    let mut waiting = entrance.waiting();
    waiting.take().into_iter().flatten().for_each(|question| question());
}

/// What a client can emit, and who handles it.
pub(super) fn on<H, T>(socket: &SocketRef, event: &'static str, handler: H)
where
    H: MessageHandler<LocalAdapter, T> + Clone,
    T: Send + Sync + 'static,
{
    socket.on(event, OnceIn(handler));
}

/// Who handles everything else that a client emits.
pub(super) fn on_fallback<H, T>(socket: &SocketRef, handler: H)
where
    H: MessageHandler<LocalAdapter, T> + Clone,
    T: Send + Sync + 'static,
{
    socket.on_fallback(OnceIn(handler));
}

/// Called when the client is in.
struct OnceIn<H>(H);

impl<H, T> MessageHandler<LocalAdapter, T> for OnceIn<H>
where
    H: MessageHandler<LocalAdapter, T> + Clone,
{
    fn call(&self, socket: Arc<Socket<LocalAdapter>>, message: Value, ack: Option<i64>) {
        let entrance = socket.extensions.get::<Entrance>();
        let mut waiting = entrance.as_ref().map(Entrance::waiting);
        let Some(waiting) = waiting.as_deref_mut().and_then(Option::as_mut) else {
            return self.0.call(socket, message, ack);
        };
        // A socket that is never let in must not keep itself.
        let (socket, handler) = (Arc::downgrade(&socket), self.0.clone());
        waiting.push(Box::new(move || {
            if let Some(socket) = socket.upgrade() {
                handler.call(socket, message, ack);
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::time::Duration;

    use futures_util::{SinkExt, StreamExt};
    use socketioxide::SocketIo;
    use socketioxide::handler::{ConnectHandler, FromConnectParts};
    use tokio_tungstenite::tungstenite::Message;

    use super::super::reply::Ack;

    struct Shared(Arc<Socket<LocalAdapter>>);

    impl FromConnectParts<LocalAdapter> for Shared {
        type Error = Infallible;

        fn from_connect_parts(
            socket: &Arc<Socket<LocalAdapter>>,
            _: &Option<Value>,
        ) -> Result<Self, Infallible> {
            Ok(Self(socket.clone()))
        }
    }

    #[tokio::test]
    async fn what_a_client_asks_before_it_is_in_is_answered_when_it_is() {
        let (layer, io) = SocketIo::new_layer();
        // As if its first message had come already.
        let too_early = async |socket: SocketRef, Shared(shared): Shared| {
            join(&socket);
            let answer = async |socket: SocketRef, ack: Ack| {
                socket.emit("answer", "as an event").unwrap();
                assert!(ack.send(&"as an acknowledgement"));
            };
            for ack in [7, 8] {
                OnceIn(answer).call(shared.clone(), Value::Str("[\"question\"]".into(), None), Some(ack));
            }
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(())
        };
        io.ns("/", (async |socket: SocketRef| open(&socket)).with(too_early));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, axum::Router::new().layer(layer)).await });

        let mut client = tokio_tungstenite::connect_async(url).await.unwrap().0;
        client.send(Message::text("40")).await.unwrap();
        let mut told = Vec::new();
        while told.len() < 5 {
            let message = tokio::time::timeout(Duration::from_secs(60), client.next()).await;
            let text = message.expect("there is more").unwrap().unwrap().into_text().unwrap();
            if text.starts_with('4') {
                told.push(text);
            }
        }
        assert!(told[0].starts_with("40"), "{told:?}");
        let event = r#"42["answer","as an event"]"#;
        let acknowledgement = |id| format!(r#"43{id}["as an acknowledgement"]"#);
        assert_eq!(told[1..], [event, &acknowledgement(7), event, &acknowledgement(8)]);
    }
}
