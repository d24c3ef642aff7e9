//! Catches a panic: its text becomes the reason why a node is down, and nothing is printed.
//!
//! Panics that are not caught here reach the hook that was set before.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// What the panic of this thread said; none while its panics are not caught.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs this. A panic in it becomes its words and place, in one line.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !note(panic) {
                before(panic);
            }
        }));
    });
    let outer = CAUGHT.replace(Some(String::new()));
    let result = catch_unwind(AssertUnwindSafe(run));
    let noted = CAUGHT.replace(outer).filter(|reason| !reason.is_empty());
    // Another part of the process may have put its own hook in the place of this one: then the place is not known.
    result.map_err(|panic| noted.unwrap_or_else(|| words(&*panic)).replace('\n', "; "))
}

/// Keeps what the panic says, if it is caught.
fn note(panic: &PanicHookInfo<'_>) -> bool {
    CAUGHT.with_borrow_mut(|caught| {
        let Some(reason) = caught else { return false };
        *reason = words(panic.payload());
        if let Some(place) = panic.location() {
            *reason = format!("{reason} ({}:{})", place.file(), place.line());
        }
        true
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_words_and_place() {
        let reason = caught(|| panic!("two leaders in term {}", 4)).expect_err("it panicked");
        assert!(reason.starts_with("two leaders in term 4 (src/panics.rs:"), "{reason}");
        assert_eq!(caught(|| 5), Ok(5));
    }
}
