//! Every request over HTTP: past the guard, then the way in or a route. Which these are, the doors say.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use protocol::names;
use tower::Service;

use crate::gate::connections::Watched;
use crate::gate::error::ApiError;
use crate::gate::guard::Guard;
use crate::gate::peer::Peer;

/// An answer in the making. Boxed: thousands of connections may be idle, and each would keep room for it.
type Answer<'a> = Pin<Box<dyn Future<Output = Response> + Send + 'a>>;

/// Answers who sends events. They come by the thousand, and each layer around a route costs its every request.
pub(crate) type WayIn = Box<dyn Fn(Peer, Request<Incoming>) -> Answer<'static> + Send + Sync>;

/// What is behind a listener.
pub(crate) struct Dispatch {
    guard: Guard,
    way_in: WayIn,
    routes: Router,
}

impl Dispatch {
    pub(crate) fn new(guard: Guard, way_in: WayIn, routes: Router) -> Self {
        Self { guard, way_in, routes }
    }

    /// Answers a request that came from this peer over this connection.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Peer,
        connection: &Watched,
    ) -> Response {
        let passed = match self.guard.check(&request, peer, connection) {
            Ok(passed) => passed,
            Err(refusal) => return *refusal,
        };
        if request.method() == Method::POST && request.uri().path() == names::EVENTS {
            return self.guard.answer(passed, (self.way_in)(peer, request)).await;
        }
        if asks_for_websocket(&request) && !connection.may_upgrade() {
            let message =
                "ask for a WebSocket on a connection of its own, or when what came before is answered";
            let refused = async { ApiError::bad_request("early_upgrade", message).into_response() };
            return self.guard.answer(passed, refused).await;
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(passed.proof);
        request.extensions_mut().insert(connection.clone());
        let routed: Answer<'_> = Box::pin(self.route(request));
        self.guard.answer(passed, routed).await
    }

    async fn route(&self, request: Request<Body>) -> Response {
        let Ok(response) = self.routes.clone().call(request).await;
        response
    }
}

fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
