//! Clients' requests in the picture, and what a message that is chosen is asked.

use raftlab::window::page_of_trace;
use serde_json::json;

use crate::controls::{live, sent};
use crate::driver::key;
use crate::{at, opened, sample};

#[test]
fn a_request_goes_from_the_clients_to_its_node_and_the_answer_back() {
    let Some(browser) = opened(&sample::trace()) else { return };
    let drawn =
        "[...document.querySelectorAll('.flight.of-client')].map((one) => one.dataset.message).join()";
    // What the page shows of where a flight is, as a distance from the place of the clients.
    let away = "(() => { const {x, y} = byId('ring').querySelector('.door circle').getBoundingClientRect(); \
        const own = document.querySelector('.flight.of-client').getBoundingClientRect(); return Math.hypot(own.x - x, own.y - y); })()";
    let distance = |t| {
        at(&browser, t);
        browser.value(away).as_f64().expect("a distance")
    };
    browser.run("clock.speed = 0.1", &[]);
    let early = distance(250_100);
    assert_eq!(browser.text(drawn), "Request");
    assert!(distance(252_000) > early, "the request comes nearer to its node");
    at(&browser, 256_000);
    assert!(browser.text(drawn).contains("RequestReply"), "{}", browser.text(drawn));
    let said = browser.text(
        "describe(trace.flightsAt(250100, 16000).find(({flight}) => flight.sent.message === 'Request'))",
    );
    assert_eq!(said, "0.250 s n1 receives command 1 of c1, 9 bytes; answered at 0.255 s: done");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_message_is_chosen_by_keyboard_and_asked_about() {
    let Some(browser) = live() else { return };
    at(&browser, 300_100);
    browser.run("byId('under-way').open = true", &[]);
    let entries = "[...byId('under-way-list').querySelectorAll('button')].find((one) => one.textContent.includes('AppendEntries'))";
    browser.wait(&format!("Boolean({entries})"));
    browser.run(&format!("{entries}.focus()"), &[]);
    browser.press(key::ENTER);
    browser.wait("window.sent.length === 1");
    assert_eq!(sent(&browser), ["why 3"]);
    at(&browser, 200_100);
    browser.run(
        "document.querySelector('[data-message=RequestVote]').dispatchEvent(new MouseEvent('click', {bubbles: true}))",
        &[],
    );
    browser.wait("window.sent.length === 1");
    assert_eq!(sent(&browser), ["why term 1"]);
}

#[test]
fn a_message_is_asked_why_its_entry_was_lost_only_if_that_entry_was() {
    let Some(browser) = live() else { return };
    let removed = |t: u64, node: &str, from: u64, to: u64| json!({"t": t, "at": node, "e": "truncated", "from": from, "to": to});
    let other = json!({"t": 485_000, "at": "n3", "e": "state", "last": {"term": 3, "index": 3}, "terms": [{"term": 3, "first": 1, "last": 3}]});
    // The message left at 0.3 s with entry 3 of term 1, which n2 has got.
    let events = [
        (removed(299_000, "n2", 3, 3), "why 3", "it was sent later"),
        (removed(480_000, "n2", 2, 2), "why 3", "another entry"),
        (removed(480_000, "n2", 4, 9), "why 3", "other entries"),
        (other, "why 3", "nothing was removed"),
        (removed(486_000, "n3", 2, 3), "why 3", "an entry 3 of another term"),
        (removed(490_000, "n2", 2, 3), "why lost 3", "this entry"),
    ];
    for (number, (mut event, line, reason)) in (890..).zip(events) {
        event["k"] = json!(number);
        browser.run("hear(arguments[0])", &[json!(event.to_string())]);
        let asked = browser.text("flightLine(trace.flights.find(({sent}) => sent.first === 3), trace)");
        assert_eq!(asked, line, "{reason}: {event}");
    }
}

#[test]
fn a_disk_that_is_behind_or_stalled_and_a_next_index_are_drawn_and_said() {
    let Some(browser) = live() else { return };
    let label = |node: &str| {
        browser.text(&format!("document.querySelector('[data-node={node}]').getAttribute('aria-label')"))
    };
    let disks = "document.querySelectorAll('.node .disk').length";
    assert_eq!(browser.value(disks), 0);
    let events = [
        json!({"at": "n2", "e": "disk", "blocked": true, "text": "the disk of n2 completes no write"}),
        json!({"at": "n3", "e": "state", "durable": 1, "last": {"term": 1, "index": 3}}),
        json!({"at": "n1", "e": "started"}),
        json!({"at": "n1", "e": "state", "followers": {"n2": {"next": 2, "matched": 1}, "n3": {"next": 4, "matched": 3}}}),
    ];
    for (number, mut event) in (900..).zip(events) {
        event["t"] = json!(500_000);
        event["k"] = json!(number);
        browser.run("hear(arguments[0])", &[json!(event.to_string())]);
    }
    browser.run("clock.live(trace); changed()", &[]);
    browser.drawn();
    assert_eq!(browser.value(disks), 2);
    assert!(label("n2").ends_with(", disk stalled, the leader sends it entry 2 next"), "{}", label("n2"));
    assert!(label("n3").ends_with(", disk has still to write 2"), "{}", label("n3"));
    assert_eq!(browser.value("document.querySelectorAll('#log-table td.next').length"), 1);
    browser.run("byId('twin').open = true", &[]);
    browser.wait("byId('twin-table').textContent.includes('stalled')");
    assert!(browser.text("byId('twin-table').querySelectorAll('tr')[2].textContent").ends_with("2stalled"));
}

#[test]
fn requests_that_the_trace_left_out_are_counted_in_the_picture() {
    let trace = sample::trace().replacen("\"attempt\":2,", "\"attempt\":2,\"left_out\":19900,", 1);
    let Some(browser) = opened(&trace) else { return };
    browser.open_page(&page_of_trace(&trace));
    at(&browser, 250_100);
    let said = browser.text("byId('ring-note').textContent");
    assert!(said.contains("19900 requests of clients not shown"), "{said}");
}

#[test]
fn what_can_be_done_to_a_message_under_way_is_offered_while_time_stands() {
    let Some(browser) = live() else { return };
    let end = browser.value("trace.end").as_u64().expect("a time");
    let hear = |event: serde_json::Value| browser.run("hear(arguments[0])", &[json!(event.to_string())]);
    hear(
        json!({"k": 890, "t": end, "at": "n1", "e": "sent", "flight": 77, "to": "n2", "message": "AppendEntries", "term": 3,
        "copies": 1, "arrives": end + 2_000, "quiet": false}),
    );
    at(&browser, end);
    let flight = "trace.flights.find(({sent}) => sent.flight === 77)";
    let offered =
        || browser.text("[...byId('flight-buttons').children].map((one) => one.textContent).join()");
    browser.run(&format!("byId('under-way').open = true; choose({{flight: {flight}}})"), &[]);
    assert_eq!(offered(), "lose n1>n2 77,hold n1>n2 50ms 77");
    assert_eq!(browser.value("byId('under-way').open"), false, "the list does not cover them");
    assert_eq!(browser.text("document.activeElement.textContent"), "lose n1>n2 77");
    browser.run("window.sent.length = 0", &[]);
    browser.run("byId('flight-buttons').children[1].click()", &[]);
    browser.wait("window.sent.length === 1");
    assert_eq!(sent(&browser), ["hold n1>n2 50ms 77"]);
    hear(
        json!({"k": 891, "t": end, "at": "n1", "e": "held", "flight": 77, "to": "n2", "arrives": end + 52_000}),
    );
    let is_drawn = |after: u64| {
        browser.value(&format!("trace.flightsAt({}, 0).some((one) => one.flight === {flight})", end + after))
    };
    assert_eq!((is_drawn(50_000), is_drawn(60_000)), (json!(true), json!(false)), "it arrives later");
    at(&browser, end - 1_000);
    browser.wait("byId('flight-buttons').children.length === 0");
    browser.run(&format!("choose({{flight: {flight}}})"), &[]);
    assert_eq!(offered(), "", "the past is only looked at");
}

#[test]
fn what_the_network_lost_of_a_client_does_not_arrive_in_the_picture() {
    let Some(browser) = live() else { return };
    let end = browser.value("trace.end").as_u64().expect("a time");
    let client = |k: u64, name: &str, more: serde_json::Value| {
        let mut event =
            json!({"k": k, "t": end, "at": "n2", "e": name, "client": "c7", "attempt": 9, "text": name});
        event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        browser.run("hear(arguments[0])", &[json!(event.to_string())]);
    };
    client(890, "request_received", json!({"call": "command"}));
    client(891, "replied", json!({"outcome": "done"}));
    client(892, "reply_lost", json!({"reason": "link cut"}));
    client(893, "request_lost", json!({"attempt": 10, "reason": "loss"}));
    let of_client = "trace.flights.filter(({sent}) => sent.client === 'c7')";
    let ends = browser
        .text(&format!("{of_client}.map(({{sent, ends}}) => `${{sent.message}} ${{ends[0].e}}`).join()"));
    assert_eq!(ends, "Request arrived,RequestReply lost,Request lost");
    let crosses = format!(
        "trace.flightsAt({}, 1000).filter((one) => one.lost && one.flight.sent.client).map((one) => one.reason).join()",
        end + 900
    );
    assert_eq!(browser.text(&crosses), "loss,link cut");
}
