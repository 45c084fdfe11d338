//! The page for people.

use std::path::Path;

use pretty_assertions::assert_eq;

use super::browser::{Browser, Window};
use super::{Client, Ticking, wait_for_metrics};
use crate::support::{Cluster, Replication, Shutdown, wait_until};

/// Waits until the page has this text; returns the page.
#[track_caller]
fn wait_for_page(http: &Client, text: &str) -> String {
    wait_for_page_with(http, &[text])
}

/// Waits until the page has all of these texts. The program reads its parts one after the other, and keeps each for a moment: what is
/// asserted of two of them is waited for together.
#[track_caller]
fn wait_for_page_with(http: &Client, texts: &[&str]) -> String {
    wait_until(&format!("the page has {texts:?}"), || {
        let page = http.get("/").ok();
        if texts.iter().all(|text| page.contains(text)) { Ok(page) } else { Err(page) }
    })
}

/// What is between the first of these marks and the next of those.
#[track_caller]
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to:?} in {rest}")).0
}

/// The words that stand for a plot.
#[track_caller]
fn plot_in_words<'a>(page: &'a str, id: &str) -> &'a str {
    between(page, &format!("<desc id=\"{id}-desc\">"), "</desc>")
}

/// Opens the page in all sizes and colours, saves pictures, and asserts that it fits, has its plots, and that the browser
/// complains of nothing.
#[track_caller]
fn look_at(browser: &mut Browser, http: &Client, moment: &str, plots: usize) {
    let url = format!("http://127.0.0.1:{}/", http.port());
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        browser.open(&url, Window { width, scheme, has_script: true });
        let what = format!("{moment} {width} {scheme}");
        assert_eq!(browser.value("document.documentElement.scrollWidth"), width, "{what}");
        // Nor does anything but the boxes of tables scroll by itself.
        let wide = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg') && \
                    e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.outerHTML.slice(0, 200))";
        assert_eq!(browser.value(wide), serde_json::json!([]), "{what}");
        let shown = "[...document.querySelectorAll('svg.chart')].filter(e => e.getBoundingClientRect().height > 100 && \
                     e.querySelector('polyline, .none')).length";
        assert_eq!(browser.value(shown), plots, "{what}");
        // The text is as big on a phone.
        assert_eq!(
            browser.value("getComputedStyle(document.querySelector('.chart text')).fontSize"),
            "11.5px",
            "{what}"
        );
        let background = browser.value("getComputedStyle(document.body).backgroundColor");
        assert_eq!(background == "rgb(244, 245, 247)", scheme == "light", "{what}: {background}");
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/page/{moment}-{width}-{scheme}.png"));
        browser.take_picture(&picture);
        assert_eq!(browser.complaints(), [] as [serde_json::Value; 0], "{what}");
    }
}

#[test]
fn page_of_replay_at_three_moments() {
    let cluster = Cluster::builder().name("subscriber").start();
    let http = Client::new();
    let mut r = Replication::between(Cluster::provider(), &cluster)
        .with_table("big", "id int primary key, v text")
        .with_table("small", "id int primary key, v text");
    r.londiste.configure("http_listen", &http.port_text());
    r.londiste.configure("copy_rate_limit", "100kB");
    r.provider.sql("insert into big select i, repeat('x', 1000) from generate_series(1, 5000) i; analyze big");
    r.install();
    r.start();
    r.add("small");
    r.wait_until_ok();
    r.add("big");
    let mut browser = Browser::start();

    // Copying
    let page = wait_for_page_with(&http, &["1 of 2 tables still to be copied", "in-copy<"]);
    let page = if r.subscriber.major() >= 14 { wait_for_page(&http, "<progress ") } else { page };
    let tables = between(&page, "Tables: 1 of 2 ok", "</table>");
    assert!(tables.find("public.big") < tables.find("public.small"), "{tables}");
    assert!(tables.contains(">in-copy<") || tables.contains("</span> in-copy</span>"), "{tables}");
    if r.subscriber.major() >= 14 {
        assert!(between(tables, "<progress ", "</td>").ends_with(" rows"), "{tables}");
    }
    let consumers = between(&page, "Consumers of queue db1-londiste-queue", "</table>");
    assert!(consumers.contains("db1-londiste (this one)") && consumers.contains("db1-londiste_copy"), "{consumers}");
    if let Some(browser) = &mut browser {
        look_at(browser, &http, "copying", 4);
    }

    // Up to date
    r.londiste.configure("copy_rate_limit", "0");
    r.londiste.reload();
    r.wait_until_ok();
    r.provider.sql("insert into small select i, 'x' from generate_series(1, 1000) i");
    r.replay_until_in_sync();
    let texts = ["<h2 id=\"verdict\">Up to date</h2>", "Tables: 2 of 2 ok", "<dd>2 of 2<"];
    let page = wait_for_page_with(&http, &texts);
    assert!(!page.contains("<progress ") && !page.contains("What needs somebody"), "{page}");
    wait_until("the rows are in the plot", || {
        let page = http.get("/").ok();
        let words = plot_in_words(&page, "rows").to_owned();
        if words.contains("inserts: 0 rows/s at ") || !words.contains(" rows/s at ") { Err(words) } else { Ok(()) }
    });
    if let Some(browser) = &mut browser {
        look_at(browser, &http, "up-to-date", 4);
    }

    // The subscriber's server is stopped.
    cluster.stop(Shutdown::Immediate);
    r.provider.sql("insert into small values (0, 'x')");
    let page = wait_for_page(&http, "<h2 id=\"verdict\">Not everything can be read</h2>");
    let why = between(&page, "<h2 id=\"verdict\">", "</section>");
    assert!(why.contains(" subscriber ("), "{why}");
    // The provider's side goes on.
    wait_for_page(&http, "<dt>Waiting events</dt><dd>1<");
    wait_for_page(&http, "<ol><li><time>");
    if let Some(browser) = &mut browser {
        look_at(browser, &http, "stopped", 4);
    }
    cluster.start();
    wait_for_page(&http, "<h2 id=\"verdict\">Up to date</h2>");
}

#[test]
fn page_of_the_ticker_shows_queues_consumers_and_what_blocks() {
    let cluster = Cluster::builder().name("alone").start();
    let ticking = Ticking::on(&cluster);
    let db = &ticking.database;
    db.sql("update pgq.queue set queue_rotation_period = '500 ms'; select pgq.create_queue('other')");
    db.sql("select pgq.register_consumer('other', 'reader'); select pgq.register_consumer('other', 'second')");
    let writer = db.session();
    writer.sql("set application_name = 'sleeper'; begin; select pgq.insert_event('q', 'kind', 'data')");
    ticking.job.start();
    // Between two looks, other sessions may be in the way.
    let page = wait_for_page(&ticking.http, &format!("<td class=\"number\">{}</td>", writer.backend_pid()));
    let blockers = between(&page, "What blocks the rotation", "</table>");
    assert!(blockers.contains("</span> session</span>") && blockers.contains(">sleeper<"), "{blockers}");
    assert!(page.contains("<h2 id=\"verdict\">Rotation of 1 queue is blocked</h2>"), "{page}");
    let queues = between(&page, "<caption id=\"queues-caption\">", "</table>");
    assert_eq!(queues.matches("<th scope=\"row\"").count(), 2, "{queues}");
    let consumers = between(&page, "<caption id=\"consumers-caption\">", "</table>");
    assert!(consumers.contains(">reader<") && consumers.contains(">second<"), "{consumers}");
    assert!(!page.contains("<th scope=\"col\">Database</th>"), "{page}");
    if let Some(mut browser) = Browser::start() {
        look_at(&mut browser, &ticking.http, "ticker", 3);
    }
    writer.sql("commit");
    wait_for_page(&ticking.http, "2 queues, nothing is blocked");
}

#[test]
fn page_says_what_is_waited_for_and_what_came() {
    let http = Client::new();
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.londiste.configure("http_listen", &http.port_text());
    let r = r.up();
    let other = r.subscriber.session();
    other.sql("set application_name = 'reports'; begin; lock table t in share mode");
    r.provider.sql("insert into t values (1, 'x'), (2, 'x'), (3, 'x'); update t set v = 'y' where id < 3");
    let page = wait_for_page(&http, "Why it is behind");
    let behind = between(&page, "Why it is behind", "</table>");
    let holder = format!("held by pid {} (reports, ", other.backend_pid());
    assert!(behind.contains(">lock, 100 % of the time<") && behind.contains(&holder), "{behind}");
    assert!(!http.get("/status.json").body.contains("lock table") && !page.contains("lock table"), "{page}");
    if let Some(mut browser) = Browser::start() {
        look_at(&mut browser, &http, "lock", 4);
    }
    other.sql("commit");
    r.assert_in_sync();
    let numbers = ["3", "2", "0"].map(|number| format!("<td class=\"number\">{number}</td>")).concat();
    let page = wait_for_page_with(&http, &["<h2 id=\"verdict\">Up to date</h2>", &numbers]);
    assert!(between(&page, "with their events since the copy", "</table>").contains(&numbers), "{page}");
    wait_until("nothing is behind", || {
        let page = http.get("/").ok();
        if page.contains("Why it is behind") { Err(page) } else { Ok(()) }
    });
}

/// Names as anybody may choose them.
const HOSTILE: &str = "<script>alert(1)</script>\"' onload=x & \u{202e}";

#[test]
fn names_stay_text() {
    let http = Client::new();
    let quoted = format!("\"{}\"", HOSTILE.replace('"', "\"\""));
    let mut r = Replication::new().with_table(&quoted, "id int primary key, v text");
    r.londiste.configure("http_listen", &http.port_text());
    let r = r.up();
    r.subscriber.sql(&format!("alter table {quoted} drop column v"));
    r.provider.sql(&format!("insert into {quoted} values (1, 'x')"));
    let page = wait_for_page_with(&http, &["1 table is parked and waits for somebody", "What needs somebody"]);
    let escaped = "public.&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x &amp; \\u{202e}";
    let attention = between(&page, "What needs somebody", "</table>");
    assert!(attention.contains(escaped) && attention.contains(">parked: "), "{attention}");
    assert!(attention.contains("add column"), "{attention}");
    assert!(!page.contains("<script>") && !page.contains('\u{202e}'), "{page}");
    if let Some(mut browser) = Browser::start() {
        look_at(&mut browser, &http, "parked", 4);
        assert_eq!(browser.value("document.scripts.length"), 1);
    }
}

#[test]
fn page_allows_its_own_style_and_script_only() {
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    let (one, other) = (ticking.http.get("/"), ticking.http.get("/"));
    let nonce = |answer: &super::client::Answer| {
        let policy = answer.header("content-security-policy").unwrap();
        let nonce = between(policy, "'nonce-", "'").to_owned();
        let expected = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!((policy, nonce.len()), (expected.as_str(), 32));
        assert_eq!(answer.body.matches(&format!(" nonce=\"{nonce}\">")).count(), 2);
        nonce
    };
    assert_ne!(nonce(&one), nonce(&other));
    assert_eq!(one.header("x-content-type-options"), Some("nosniff"));
    for forbidden in [" style=", " onclick=", "http://", "https://", "src="] {
        let page = one.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn page_renews_itself_with_and_without_script() {
    let Some(mut browser) = Browser::start() else { return };
    let ticking = Ticking::on(Cluster::provider());
    ticking.job.start();
    let url = format!("http://127.0.0.1:{}/?span=1h", ticking.http.port());
    browser.open(&url, Window { width: 1280, scheme: "light", has_script: true });
    assert_eq!(browser.value("document.querySelector('nav a[aria-current]').textContent"), "1 h");
    browser.value("document.querySelector('main').id = 'old'; document.getElementById('queues').focus()");
    ticking.database.sql("select pgq.create_queue('later')");
    wait_until("the new queue is shown", || {
        let shown = browser.value("document.querySelector('#queues').textContent.includes('later')");
        if shown == true { Ok(()) } else { Err("it is not") }
    });
    assert_eq!(browser.value("document.getElementById('old')"), serde_json::Value::Null);
    assert_eq!(browser.value("document.activeElement.id"), "queues");
    ticking.job.stop();
    wait_until("the page says that nobody answers", || {
        let stale = browser.value("document.getElementById('stale').textContent");
        if stale == "The program does not answer. This is how it was before." { Ok(()) } else { Err(stale.to_string()) }
    });
    ticking.job.start();
    browser.open(&url, Window { width: 1280, scheme: "light", has_script: false });
    assert_eq!(browser.complaints(), [] as [serde_json::Value; 0]);
    let answer = ticking.http.get("/").ok();
    assert!(answer.contains("<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>"), "{answer}");
}

#[test]
fn readings_go_on_without_questions_and_leave_a_gap_while_the_database_is_away() {
    let cluster = Cluster::builder().name("away").start();
    let ticking = Ticking::on(&cluster);
    ticking.job.start();
    let sessions = "select count(*) from pg_stat_activity
                    where pid <> pg_backend_pid() and query like '%pg_total_relation_size(i.inhrelid)%'";
    wait_until("the queues are read", || match ticking.database.value(sessions).as_str() {
        "1" => Ok(()),
        count => Err(count.to_owned()),
    });
    let pieces = |page: &str| between(page, "ticker-lag-desc", "</figure>").matches("<polyline").count();
    let pieces_of = |count: usize| {
        wait_until(&format!("the line has {count} pieces"), || {
            let page = ticking.http.get("/").ok();
            if pieces(&page) == count { Ok(()) } else { Err(page) }
        });
    };
    pieces_of(1);
    cluster.stop(Shutdown::Immediate);
    wait_for_page(&ticking.http, "<h2 id=\"verdict\">Not everything can be read</h2>");
    cluster.start();
    wait_for_metrics(&ticking.http, "the queues are read again", |metrics| metrics.count("pgq_queue_size_bytes") == 1);
    pieces_of(2);
}
