//! The paths and their answers.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::answers::Answers;
use super::classic;
use super::lag;
use super::metrics::Program;
use super::page;
use super::site::Site;
use crate::job::Health;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS_KIND: &str = "application/openmetrics-text";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

struct Pages<S> {
    answers: Arc<Answers<S>>,
    health: Health,
}

impl<S> Clone for Pages<S> {
    fn clone(&self) -> Self {
        Pages { answers: self.answers.clone(), health: self.health.clone() }
    }
}

/// The pages of a site. HEAD gets the head of the answer to GET.
pub(super) fn router<S: Site>(answers: Arc<Answers<S>>, health: Health) -> Router {
    Router::new()
        .route("/", get(people::<S>))
        .route("/metrics", get(metrics::<S>))
        .route("/health", get(healthy::<S>))
        .route("/ready", get(ready::<S>))
        .route("/status.json", get(status::<S>))
        .fallback(async || line(StatusCode::NOT_FOUND, "here are /, /metrics, /health, /ready and /status.json"))
        .layer(middleware::from_fn(only_questions))
        .with_state(Pages { answers, health })
}

/// Refuses requests that are not GET or HEAD, or that have a body.
async fn only_questions(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = line(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
        return ([(ALLOW, "GET, HEAD")], refusal).into_response();
    }
    let headers = request.headers();
    let has_length = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_length || headers.contains_key(TRANSFER_ENCODING) {
        return line(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here");
    }
    next.run(request).await
}

async fn metrics<S: Site>(State(pages): State<Pages<S>>, headers: HeaderMap) -> Response {
    let is_open = |accept: &HeaderValue| accept.to_str().is_ok_and(|kinds| kinds.contains(OPEN_METRICS_KIND));
    match pages.answers.metrics().await {
        Ok(samples) if headers.get_all(ACCEPT).iter().any(is_open) => {
            answer(StatusCode::OK, OPEN_METRICS, samples.to_text())
        }
        Ok(samples) => answer(StatusCode::OK, CLASSIC, classic::of(&samples.to_text())),
        Err(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// The page for people is always 200: it says itself what is wrong.
async fn people<S: Site>(State(pages): State<Pages<S>>, uri: Uri) -> Response {
    let span = match page::Span::of(uri.query()) {
        Ok(span) => span,
        Err(why) => return line(StatusCode::BAD_REQUEST, &why),
    };
    let site = pages.answers.site();
    let view = pages.answers.view(S::PROGRAM == Program::Replay).await;
    let nonce = format!("{:032x}", rand::random::<u128>());
    let moment = page::Moment {
        program: S::PROGRAM,
        job: &site.common().job_name,
        has_log: site.common().logfile.is_some(),
        health: pages.health.failure(),
        view: &view,
        history: &pages.answers.history(),
        span,
        now: jiff::Zoned::now(),
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, page::policy(&nonce)),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, answer(StatusCode::OK, HTML, page::render(&moment, &nonce))).into_response()
}

async fn healthy<S: Site>(State(pages): State<Pages<S>>) -> Response {
    match pages.health.failure() {
        None => line(StatusCode::OK, "ok"),
        Some(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

async fn ready<S: Site>(State(pages): State<Pages<S>>, uri: Uri) -> Response {
    let limit = match lag::limit(uri.query()) {
        Ok(limit) => limit,
        Err(why) => return line(StatusCode::BAD_REQUEST, &why),
    };
    if let Some(why) = pages.health.failure() {
        return line(StatusCode::SERVICE_UNAVAILABLE, &why);
    }
    match pages.answers.readiness().await.map(|readiness| readiness.objection(limit)) {
        Ok(None) => line(StatusCode::OK, "ok"),
        Ok(Some(why)) | Err(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

async fn status<S: Site>(State(pages): State<Pages<S>>) -> Response {
    match pages.answers.status().await {
        Ok(document) => answer(StatusCode::OK, JSON, format!("{document:#}\n")),
        Err(why) => line(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

fn line(status: StatusCode, text: &str) -> Response {
    answer(status, TEXT, format!("{text}\n"))
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body).into_response()
}
