//! The window: the page that shows a run while it happens, or a trace of one. No network but its program, no font, no build step.
//!
//! All of it is in one file: `src/window` holds its parts, and each file of script one idea. `fold.js` is the table of the
//! trace's format, held by a test against the views of real runs. What a trace says is set as text and never as markup.

/// The page's body, which its script fills.
const BODY: &str = include_str!("window/window.html");
const STYLE: &str = include_str!("window/window.css");

/// The scripts in the order in which they are read: what is defined first is used below.
const SCRIPTS: [&str; 20] = [
    include_str!("window/dom.js"),
    include_str!("window/kinds.js"),
    include_str!("window/fold.js"),
    include_str!("window/lanes.js"),
    include_str!("window/requests.js"),
    include_str!("window/trace.js"),
    include_str!("window/clock.js"),
    include_str!("window/rules.js"),
    include_str!("window/shapes.js"),
    include_str!("window/ring.js"),
    include_str!("window/log.js"),
    include_str!("window/feed.js"),
    include_str!("window/timeline.js"),
    include_str!("window/standing.js"),
    include_str!("window/controls.js"),
    include_str!("window/prompt.js"),
    include_str!("window/stream.js"),
    include_str!("window/save.js"),
    include_str!("window/address.js"),
    include_str!("window/main.js"),
];

/// What a page may do that is opened as a file: its own style and script, and nothing from elsewhere.
const FILE_POLICY: &str = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'";

/// The nonce of a page that is a file: what it holds cannot become script, with or without it.
const FILE_NONCE: &str = "trace";

/// What closes the page of a trace, behind its last line. A file that lacks it can be opened all the same.
pub const AFTER_TRACE: &str = "</script></body></html>\n";

/// The page that a program serves, and that asks it for a run. Its style and script carry the nonce of the policy with
/// which it is sent.
pub fn page(nonce: &str) -> String {
    format!("{}</body></html>\n", document(nonce, "", "live"))
}

/// The page of a trace, whole in itself: it asks no program for anything and needs no network.
pub fn page_of_trace(trace: &str) -> String {
    format!("{}{}{AFTER_TRACE}", before_trace(), trace_line(trace))
}

/// The page of a trace up to the trace's first line, for those who write line by line.
pub fn before_trace() -> String {
    let policy = format!(
        "<meta http-equiv=\"Content-Security-Policy\" \
         content=\"{FILE_POLICY}; script-src 'nonce-{FILE_NONCE}'; style-src 'nonce-{FILE_NONCE}'\">\n"
    );
    let page = document(FILE_NONCE, &policy, "recorded");
    format!("{page}<script type=\"application/json\" id=\"trace\">\n")
}

/// A line as it stands in a page: each `<` is escaped as JSON does it, since an end of the element must not stand in a text.
pub fn trace_line(line: &str) -> String {
    line.replace('<', "\\u003c")
}

/// The page up to what follows its script.
fn document(nonce: &str, policy: &str, class: &str) -> String {
    let script = SCRIPTS.concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n{policy}\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>raftlab</title>\n\
         <style nonce=\"{nonce}\">\n{STYLE}</style></head>\n<body class=\"{class}\">\n{BODY}\
         <script nonce=\"{nonce}\">\n'use strict';\n{script}</script>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_the_element_that_holds_the_trace() {
        let line = "{\"t\":1,\"k\":1,\"text\":\"</script><img src=x onerror=alert(1)><!--<script>\"}\n";
        let page = page_of_trace(line);
        let (_, rest) = page.split_once("id=\"trace\">\n").expect("the trace is embedded");
        let (inside, _) = rest.split_once("</script>").expect("its element ends");
        let read: serde_json::Value = serde_json::from_str(inside).expect("it is still JSON");
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"));
    }

    #[test]
    fn the_page_of_a_program_is_small_and_asks_no_other() {
        let page = page("n");
        assert!(page.len() < 250_000, "{} bytes", page.len());
        let addresses =
            page.split("http").skip(1).filter(|rest| rest.starts_with("://") || rest.starts_with("s://"));
        let foreign: Vec<&str> = addresses.filter(|rest| !rest.contains("www.w3.org/2000/svg")).collect();
        assert_eq!(foreign, Vec::<&str>::new());
    }

    #[test]
    fn the_script_sets_text_only_as_text() {
        for script in SCRIPTS {
            for markup in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
            {
                assert!(
                    !script.contains(markup),
                    "{markup} in a script that begins {:?}",
                    script.lines().next()
                );
            }
        }
    }
}
