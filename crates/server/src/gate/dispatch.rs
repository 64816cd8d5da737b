//! Every request over HTTP: past the guard, then the way in or a route.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use protocol::names;
use socketioxide::layer::SocketIoLayer;
use tower::Service;

use crate::doors::http::ApiError;
use crate::doors::{http, socketio};
use crate::gate::connections::Watched;
use crate::gate::guard::Guard;
use crate::gate::peer::Peer;
use crate::state::AppState;

/// What is behind a listener.
pub(crate) struct Doors {
    app: AppState,
    guard: Guard,
    /// With Socket.IO, and the count of its sessions, before them.
    routes: Router,
}

impl Doors {
    pub(crate) fn new(app: AppState, socket_io: SocketIoLayer) -> Self {
        let sessions = socketio::Sessions::new(app.bodies.clone());
        let count = axum::middleware::from_fn_with_state(sessions, socketio::count);
        let routes = http::router(app.clone()).layer(socket_io).layer(count);
        Self { guard: Guard::new(app.clone()), app, routes }
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
        // Boxed, here and below: thousands of connections may be idle, and each would keep room for it.
        // Events come by the thousand, and each layer around a route costs its every request.
        if request.method() == Method::POST && request.uri().path() == names::EVENTS {
            let taken = Box::pin(async { http::take(&self.app, &peer, request).await.into_response() });
            return self.guard.answer(passed, taken).await;
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
        let routed = Box::pin(self.route(request));
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
