//! A page as a whole: its head, its parts, and how a file is known to be one.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::text::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page says of its maker, near its beginning.
const MAKER: &str = concat!("<meta name=\"generator\" content=\"raftlab ", env!("CARGO_PKG_VERSION"), "\">");

/// The part of it that a page of any version has, and within how many bytes.
const MARK: &str = "<meta name=\"generator\" content=\"raftlab ";
const HEAD_BYTES: u64 = 1 << 10;

/// A number that stands out.
pub struct Tile {
    pub name: &'static str,
    pub value: String,
    pub note: String,
    /// Drawn in the color of an alarm: something went wrong.
    pub alarming: bool,
}

/// A whole page of this title and these parts.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n{MAKER}\n\
         <title>{}</title>\n<style>\n{STYLE}</style></head>\n<body>\n{body}<script>\n{SCRIPT}</script>\n</body></html>\n",
        escape(title)
    )
}

/// Whether a page may be written there: nothing is lost but an older page.
///
/// # Errors
/// One line: the file that is there is something else.
pub fn may_replace(path: &Path) -> Result<(), String> {
    let mut head = String::new();
    let read = |head: &mut String| File::open(path)?.take(HEAD_BYTES).read_to_string(head);
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Who opens a pipe waits for its other end.
        Ok(there)
            if there.is_file() && read(&mut head).is_ok_and(|read| read == 0 || head.contains(MARK)) =>
        {
            Ok(())
        }
        _ => Err(format!("{} is there and is no report of raftlab: choose another name", path.display())),
    }
}

/// The verdict, a line for each property, beside numbers that stand out.
pub fn summary(verdict: &[String], tiles: &[Tile]) -> String {
    let mut html = "<div class=\"summary\">\n<div class=\"verdict\">\n".to_string();
    lines(verdict, &mut html);
    html.push_str("</div>\n");
    for Tile { name, value, note, alarming } in tiles {
        let class = if *alarming { "tile alarming" } else { "tile" };
        let [value, note] = [value, note].map(|text| escape(text));
        let _ = writeln!(
            html,
            "<div class=\"{class}\"><span>{name}</span><strong>{value}</strong><small>{note}</small></div>"
        );
    }
    html.push_str("</div>\n");
    html
}

/// Lines of a verdict, each in the color of what it says.
pub fn lines(lines: &[String], html: &mut String) {
    for line in lines {
        let (class, sign) = match line.split(' ').next() {
            Some("PASS") => ("pass", "\u{2713}"),
            Some("FAIL") => ("fail", "\u{2717}"),
            _ => ("soft", "\u{2022}"),
        };
        let _ = writeln!(html, "<p class=\"{class}\"><i>{sign}</i> {}</p>", escape(line));
    }
}

/// A table with a head; numbers stand at the right.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>, html: &mut String) {
    let dense = if head.len() > 10 { " dense" } else { "" };
    let _ = write!(html, "<div class=\"scroll\"><table class=\"numbers{dense}\">\n<tr>");
    for cell in head {
        let _ = write!(html, "<th>{}</th>", escape(cell));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{}</td>", escape(&cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

/// Names and what belongs to each.
pub fn list(rows: impl IntoIterator<Item = (String, String)>, html: &mut String) {
    html.push_str("<div class=\"scroll\"><table>\n");
    for (name, value) in rows {
        let _ = writeln!(html, "<tr><th>{}</th><td>{}</td></tr>", escape(&name), escape(&value));
    }
    html.push_str("</table></div>\n");
}

/// Parts beside one another where there is room.
pub fn side_by_side(parts: &[String], html: &mut String) {
    html.push_str("<div class=\"columns\">\n");
    for part in parts {
        let _ = writeln!(html, "<div>\n{part}</div>");
    }
    html.push_str("</div>\n");
}

/// A part that is shown when it is asked for.
pub fn folded(title: &str, part: &str, html: &mut String) {
    let _ = writeln!(html, "<details><summary>{}</summary>\n{part}</details>", escape(title));
}

pub fn heading(title: &str, html: &mut String) {
    let _ = writeln!(html, "<h2>{}</h2>", escape(title));
}

/// A sentence that explains.
pub fn remark(text: &str, html: &mut String) {
    let _ = writeln!(html, "<p class=\"soft\">{}</p>", escape(text));
}

/// A command to be typed again.
pub fn command(text: &str, html: &mut String) {
    let _ = writeln!(html, "<pre>{}</pre>", escape(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_replaces_nothing_but_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.html");
        assert_eq!(may_replace(&path), Ok(()), "nothing is there");
        for (text, replaced) in [(document("a < b", "<p>x</p>"), true), (String::new(), true)] {
            std::fs::write(&path, text).expect("the folder can be written");
            assert_eq!(may_replace(&path).is_ok(), replaced);
        }
        for other in ["my notes", "<!doctype html><title>another</title>"] {
            std::fs::write(&path, other).expect("the folder can be written");
            assert!(may_replace(&path).is_err_and(|reason| !reason.contains('\n')), "{other}");
        }
        assert!(may_replace(folder.path()).is_err(), "a folder is no page");
        #[cfg(unix)]
        {
            let pipe = folder.path().join("pipe");
            let made =
                std::process::Command::new("mkfifo").arg(&pipe).status().expect("a tool of the system");
            assert!(made.success());
            assert!(may_replace(&pipe).is_err(), "nor is a pipe without a reader");
        }
    }

    #[test]
    fn a_page_names_no_other_place() {
        let page = document("a < b", "<p>x</p>");
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for outside in ["http", "src=", "href=", "url(", "@import", "import(", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("<title>a &lt; b</title>"));
    }
}
