//! The page for people: what is, what was in the last day, and what needs somebody.
//!
//! One document without anything from elsewhere. It is made of the document of `/status.json`, of the values of `/metrics` and
//! of their history, and reads nothing by itself. A script of few lines fetches it again every five seconds and replaces the
//! part that changes; without the script the browser loads it again every ten. The policy that goes with it allows this
//! style and this script, by a number that nobody can guess, and nothing else.

mod content;
mod figure;
mod html;
mod plot;
mod replay;
mod ticker;

use jiff::Zoned;

use self::content::Verdict;
pub(super) use self::content::{Moment, Span};
use self::html::Html;
use self::plot::Axis;
use super::metrics::Program;
use crate::job::LastError;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The header `Content-Security-Policy` of a page with this nonce.
pub(super) fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The document.
pub(super) fn render(moment: &Moment<'_>, nonce: &str) -> String {
    let now = moment.history.now();
    let place = moment.span.place(moment.history.begins().map_or(0.0, |begins| now - begins));
    let axis = Axis { now, seconds: content::SPANS[place].2, clock: moment.now.clone() };
    let content = match moment.program {
        Program::Ticker => ticker::content(moment, &axis),
        Program::Replay => replay::content(moment, &axis),
    };
    let program = moment.program.name();
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>");
    html.text(content.verdict.mood.mark().1).raw(" ").text(moment.job).raw(" \u{2013} ").text(program).raw("</title>");
    html.raw("<link rel=\"icon\" href=\"").raw(ICON).raw("\">");
    html.raw("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>");
    html.raw("<style nonce=\"").text(nonce).raw("\">").raw(STYLE).raw("</style></head><body>");
    html.raw("<header><div><p class=\"program\">rlondiste ")
        .text(program)
        .raw("</p><h1>")
        .text(moment.job)
        .raw("</h1></div>");
    html.raw("<div class=\"controls\"><button type=\"button\" id=\"pause\" hidden>Pause</button>");
    html.raw("<nav aria-label=\"Time that the plots show\">");
    for (number, (value, name, _)) in content::SPANS.iter().enumerate() {
        html.raw("<a href=\"/?span=").text(value).raw(if number == place {
            "\" aria-current=\"true\">"
        } else {
            "\">"
        });
        html.text(name).raw("</a>");
    }
    html.raw("</nav></div></header><p id=\"stale\" role=\"status\"></p><main>");
    html.raw("<dl class=\"about\">");
    for (name, value) in &content.about {
        html.raw("<div><dt>").text(name).raw("</dt> <dd>").text(value).raw("</dd></div>");
    }
    html.raw("</dl>");
    write_verdict(&content.verdict, html_now(&moment.now), &mut html);
    html.raw("<section aria-label=\"Now\"><dl class=\"tiles\">");
    for tile in &content.tiles {
        html.raw("<div class=\"card\"><dt>").text(tile.name).raw("</dt><dd>").text(&tile.value);
        html.raw("<span class=\"note\">").text(&tile.note).raw("</span></dd></div>");
    }
    html.raw("</dl></section><section aria-labelledby=\"course\"><h2 id=\"course\">The last ")
        .text(content::SPANS[place].1);
    html.raw("</h2><div class=\"plots\">");
    content.plots.iter().for_each(|plot| plot.write(&axis, &mut html));
    html.raw("</div></section>");
    content.tables.iter().for_each(|table| table.write(&mut html));
    write_errors(&moment.view.errors, moment.has_log, &mut html);
    html.raw("</main><footer><p>rlondiste ").text(env!("CARGO_PKG_VERSION")).raw(" \u{b7} times of the server, UTC");
    html.text(moment.now.strftime("%:z"));
    html.raw("</p><nav aria-label=\"For programs\"><a href=\"/metrics\">/metrics</a> <a href=\"/status.json\">/status.json</a> ");
    html.raw("<a href=\"/health\">/health</a> <a href=\"/ready\">/ready</a></nav></footer>");
    html.raw("<script nonce=\"").text(nonce).raw("\">").raw(SCRIPT).raw("</script></body></html>\n");
    html.into_string()
}

/// Two dots with an arrow between them.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' \
                    rx='7' fill='%231f5fbf'/%3E%3Cpath d='M7 16h16m-6-6 6 6-6 6' fill='none' stroke='white' stroke-width='3.5' \
                    stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E";

fn html_now(now: &Zoned) -> String {
    now.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn write_verdict(verdict: &Verdict, now: String, html: &mut Html) {
    let (class, mark) = verdict.mood.mark();
    html.raw("<section class=\"verdict ")
        .raw(class)
        .raw("\" aria-labelledby=\"verdict\"><span class=\"mark\" aria-hidden=\"true\">");
    html.raw(mark).raw("</span><div><h2 id=\"verdict\">").text(&verdict.sentence).raw("</h2>");
    for detail in &verdict.details {
        html.raw("<p>").text(detail).raw("</p>");
    }
    html.raw("</div><p class=\"when\">as of <time>").text(now).raw("</time></p></section>");
}

fn write_errors(errors: &[LastError], has_log: bool, html: &mut Html) {
    html.raw("<section class=\"card errors\" aria-labelledby=\"errors\"><h2 id=\"errors\">Last errors in the log</h2>");
    if !has_log {
        html.raw("<p class=\"note\">There is no log file (key logfile): errors go to standard error only.</p>");
    } else if errors.is_empty() {
        html.raw("<p class=\"note\">None near the end of the log file.</p>");
    } else {
        html.raw("<ol>");
        for LastError { time, message, .. } in errors {
            html.raw("<li><time>").text(time).raw("</time> ").text(message).raw("</li>");
        }
        html.raw("</ol>");
    }
    html.raw("</section>");
}
