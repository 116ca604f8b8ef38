//! What probes and scrapers ask: is it alive, is it ready, what does it count?

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::pipeline::Host;
use crate::telemetry::CONTENT_TYPE as METRICS;

/// The routes of the health listener.
pub(super) fn router(host: Arc<Host>) -> Router {
    Router::new()
        .route("/healthz", get(async || answer(StatusCode::OK, "text/plain", "alive\n".to_owned())))
        .route("/readyz", get(async |State(host): State<Arc<Host>>| readiness(&host.readiness())))
        .route(
            "/metrics",
            get(async |State(host): State<Arc<Host>>| {
                answer(StatusCode::OK, METRICS, host.metrics_text())
            }),
        )
        .with_state(host)
}

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    reasons: &'a [String],
}

/// Ready when nothing speaks against it.
fn readiness(reasons: &[String]) -> Response {
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(&Readiness { ready, reasons }).unwrap_or_default();
    answer(status, "application/json", body)
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn readiness_names_its_reasons() {
        for (reasons, status, body) in [
            (vec![], 200, r#"{"ready":true,"reasons":[]}"#),
            (vec!["a \"b\"".to_owned()], 503, r#"{"ready":false,"reasons":["a \"b\""]}"#),
        ] {
            let response = readiness(&reasons);
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            let found = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(found, body);
        }
    }
}
