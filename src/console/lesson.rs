//! Lessons: a script as steps, each some sentences and the lines that show what they say.
//!
//! The same file is a script, a test and a lesson. Its `echo` lines and comments are the sentences; a line that only waits,
//! or that says what is expected, belongs to the one before. Pure: nothing here knows a cluster.

use std::path::PathBuf;

use super::scripts::Head;

/// Lines that have no effect of their own to look at.
const QUIET: [&str; 3] = ["wait", "sleep", "expect"];

/// What a lesson consists of, and what it has to be played on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lesson {
    pub head: Head,
    pub nodes: u8,
    /// The file of settings that its command names.
    pub settings: Option<PathBuf>,
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step {
    /// What is said before, a paragraph each.
    pub said: Vec<String>,
    /// The lines, with their numbers in the file.
    pub lines: Vec<(usize, String)>,
}

impl Lesson {
    /// The lesson that a script with this text is.
    ///
    /// # Errors
    /// One line: its head asks for what no cluster has.
    pub fn of(text: &str) -> Result<Lesson, String> {
        let head = Head::of(text);
        let words: Vec<&str> = head.command.split(' ').collect();
        let settings = words.windows(2).find(|pair| pair[0] == "--config").map(|pair| PathBuf::from(pair[1]));
        let nodes = head.nodes()?.unwrap_or(3);
        Ok(Lesson { steps: steps(text, head.lines), nodes, settings, head })
    }
}

/// The steps that stand behind the first lines.
fn steps(text: &str, begun: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut in_comment = false;
    for (number, line) in (1..).zip(text.lines()).skip(begun) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            match said.last_mut().filter(|_| in_comment) {
                Some(last) => last.push_str(comment.trim_end()),
                None => said.push(comment.trim().to_string()),
            }
            in_comment = true;
            continue;
        }
        in_comment = false;
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (verb, steps.last_mut()) {
            ("", _) => {}
            ("echo", _) => said.push(rest.trim().to_string()),
            (quiet, Some(step)) if QUIET.contains(&quiet) && said.is_empty() => {
                step.lines.push((number, line.to_string()));
            }
            _ => {
                steps.push(Step { said: std::mem::take(&mut said), lines: vec![(number, line.to_string())] });
            }
        }
    }
    if !said.is_empty() {
        steps.push(Step { said, lines: Vec::new() });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_sentences_with_the_lines_that_show_them() {
        let text = "# cluster 5 --config scripts/figure-8.toml --memory --script scripts/x.raft\n\
                    # Votes are split (5.2).\n\
                    # A comment\n# of two lines.\necho Said.\n\ncrash leader\nwait leader\n\nlog\necho The end.\n";
        let lesson = Lesson::of(text).expect("a lesson");
        assert_eq!((lesson.nodes, lesson.head.sections.as_str()), (5, "5.2"));
        assert_eq!(lesson.settings, Some(PathBuf::from("scripts/figure-8.toml")));
        let told = |step: &Step| {
            (
                step.said.join("|"),
                step.lines.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>().join("|"),
            )
        };
        let steps: Vec<(String, String)> = lesson.steps.iter().map(told).collect();
        let expected =
            [("A comment of two lines.|Said.", "crash leader|wait leader"), ("", "log"), ("The end.", "")];
        assert_eq!(steps, expected.map(|(said, lines)| (said.to_string(), lines.to_string())));
        assert_eq!(lesson.steps[0].lines[1].0, 8, "lines have the numbers of the file");
    }

    #[test]
    fn notes_without_a_head_are_a_lesson_on_three_nodes() {
        let lesson = Lesson::of("wait leader\ncheck\n").expect("a lesson");
        assert_eq!((lesson.nodes, lesson.steps.len()), (3, 2));
    }

    #[test]
    fn a_head_of_one_line_hides_no_directive() {
        let lesson = Lesson::of("# cluster 3\ncrash leader\n").expect("a lesson");
        assert_eq!(lesson.steps[0].lines, [(2, "crash leader".to_string())]);
    }
}
