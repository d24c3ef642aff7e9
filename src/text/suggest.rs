//! Near misses: which known word was probably meant.

use strsim::osa_distance;

/// The longest word that is looked up.
const LETTERS_MAX: usize = 40;

/// The known word nearest to `word`: begun by it, or a slip or two away. The first wins a tie.
pub fn nearest<'a>(word: &str, known: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > LETTERS_MAX {
        return None;
    }
    let within = |slips: usize| {
        known
            .clone()
            .map(|candidate| (osa_distance(&word, candidate), candidate))
            .filter(|(distance, candidate)| *distance <= slips && *distance < candidate.len())
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, candidate)| candidate)
    };
    let begun =
        |least: usize| known.clone().find(|candidate| length >= least && candidate.starts_with(&word));
    begun(3).or_else(|| within(1)).or_else(|| begun(2)).or_else(|| if length > 3 { within(2) } else { None })
}

/// `: did you mean 'crash'?` or, without a near word, `: ` and the advice.
pub fn advice<'a>(word: &str, known: &(impl Iterator<Item = &'a str> + Clone), otherwise: &str) -> String {
    match nearest(word, known) {
        Some(near) => format!(": did you mean '{near}'?"),
        None => format!(": {otherwise}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_slip_or_a_beginning_away() {
        let near =
            |word: &str| nearest(word, &["crash", "restart", "resume", "partition", "ls"].iter().copied());
        assert_eq!(near("crsh"), Some("crash"));
        assert_eq!(near("CRAHS"), Some("crash"), "letters that are swapped are one slip");
        assert_eq!(near("part"), Some("partition"));
        assert_eq!(near("lss"), Some("ls"));
        assert_eq!(near("xyzzy"), None);
        assert_eq!(near(""), None);
    }
}
