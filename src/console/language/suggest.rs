//! Near misses: which known word was probably meant, and how a person's own text is quoted back.

use crate::quoting::visible;

/// The longest piece of a person's text that an error repeats.
const SHOWN_MAX: usize = 40;

/// The known word nearest to `word`: begun by it, or a slip or two away. The first wins a tie.
pub(crate) fn nearest<'a>(word: &str, known: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > SHOWN_MAX {
        return None;
    }
    let within = |slips: usize| {
        known
            .clone()
            .map(|candidate| (distance(&word, candidate), candidate))
            .filter(|(distance, candidate)| *distance <= slips && *distance < candidate.len())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| candidate)
    };
    let begun =
        |least: usize| known.clone().find(|candidate| length >= least && candidate.starts_with(&word));
    begun(3).or_else(|| within(1)).or_else(|| begun(2)).or_else(|| if length > 3 { within(2) } else { None })
}

/// `: did you mean 'crash'?` or, without a near word, `: ` and the advice.
pub(crate) fn advice<'a>(
    word: &str,
    known: &(impl Iterator<Item = &'a str> + Clone),
    otherwise: &str,
) -> String {
    match nearest(word, known) {
        Some(near) => format!(": did you mean '{near}'?"),
        None => format!(": {otherwise}"),
    }
}

/// A person's text, fit to stand in a one-line error: cut when long, with control characters made visible.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        None => visible(text).into_owned(),
        Some((end, _)) => format!("{}...", visible(&text[..end])),
    }
}

/// How many letters must be added, removed, replaced or swapped with their neighbor to turn one word into the
/// other (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row];
        for column in 1..=to.len() {
            let replaced = above[column - 1] + usize::from(from[row - 1] != to[column - 1]);
            let mut best = replaced.min(above[column] + 1).min(current[column - 1] + 1);
            let swapped =
                row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                best = best.min(before[column - 2] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        for (from, to, slips) in [
            ("crash", "crash", 0),
            ("crsh", "crash", 1),
            ("raed", "read", 1),
            ("", "abc", 3),
            ("cut", "put", 1),
        ] {
            assert_eq!(distance(from, to), slips, "{from} to {to}");
            assert_eq!(distance(to, from), slips, "{to} to {from}");
        }
    }

    #[test]
    fn the_nearest_word_is_a_slip_or_a_beginning_away() {
        let near =
            |word: &str| nearest(word, &["crash", "restart", "resume", "partition", "ls"].iter().copied());
        assert_eq!(near("crsh"), Some("crash"));
        assert_eq!(near("CRAHS"), Some("crash"));
        assert_eq!(near("part"), Some("partition"));
        assert_eq!(near("lss"), Some("ls"));
        assert_eq!(near("xyzzy"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn text_in_errors_is_short_and_on_one_line() {
        assert_eq!(shorten("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(shorten(&"x".repeat(10_000_000)).len(), SHOWN_MAX + 3);
    }
}
