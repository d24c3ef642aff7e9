//! The two faces of payloads, their weights, and batches.

use super::*;

#[test]
fn either_face_gives_the_other() {
    let made = Payload::new(vec![1_u32, 2]);
    assert_eq!(made.text(), "[1,2]");
    let read = Payload::from_text("[1,2]");
    assert_eq!(read.value::<Vec<u32>>(), Ok(&vec![1, 2]));
    assert_eq!(made, read);
}

#[test]
fn weighing_it_does_not_make_its_text() {
    let made = Payload::new(vec!["x".repeat(100)]);
    let estimate = made.weight();
    assert!((100..150).contains(&estimate), "{estimate}");
    let faces = made.0.as_any().downcast_ref::<FromValue<Vec<String>>>().expect("it was made of this");
    assert!(faces.text.get().is_none(), "it was not asked for");
    made.text();
    assert_eq!(made.weight(), estimate, "what is counted in is counted out as the same");
    assert_eq!(Payload::from_text("[1,2]").weight(), 5);
}

#[test]
fn batches_that_no_one_else_holds_become_one_and_are_taken_apart_again() {
    let mut all = Payload::batch(["a", "b"]);
    let weights = all.weight() + Payload::batch(["c"]).weight();
    assert_eq!(all.append(Payload::batch(["c"])), Ok(()));
    assert_eq!((all.text(), all.items(), all.weight()), (r#"["a","b","c"]"#, Some(3), weights));
    assert_eq!(all.digest(), Payload::from_text(all.text()).digest());
    assert_eq!(all.append(Payload::batch(["d"])), Ok(()), "its text is made again");
    assert_eq!(all.text(), r#"["a","b","c","d"]"#);
    assert_eq!(all.digest(), Payload::from_text(all.text()).digest());

    let held = all.clone();
    let more = Payload::batch(["e"]);
    assert_eq!(all.append(more.clone()), Err(more.clone()), "both are held by others");
    drop(held);
    assert_eq!(all.append(more.clone()), Err(more));
    assert_eq!(all.append(Payload::batch([1])), Err(Payload::batch([1])), "another type");
    assert_eq!(all.append(Payload::new(1)), Err(Payload::new(1)), "no list");
    assert_eq!(all.append(Payload::from_text("[1]")), Err(Payload::batch([1])));
    assert_eq!(all.text(), r#"["a","b","c","d"]"#);

    assert_eq!(all.split([1, 3]), [Payload::batch(["a"]), Payload::batch(["b", "c", "d"])]);
}

#[test]
fn what_json_cannot_hold_is_told_apart_shown_and_kept_out_of_batches() {
    let wrong = || Payload::batch([std::collections::BTreeMap::from([((1, 2), 3)])]);
    assert_eq!(wrong().check(), Err("key must be a string"));
    assert_eq!((format!("{:?}", wrong()), wrong().weight()), ("<key must be a string>".to_string(), 0));
    let one = wrong();
    assert!(one == one.clone() && one != wrong(), "nothing is known to be equal to it but itself");
    let mut all = Payload::batch([std::collections::BTreeMap::<(u8, u8), u8>::new()]);
    let apart = Payload::batch([std::collections::BTreeMap::from([((1, 2), 3)])]);
    assert!(all.append(Payload::batch([std::collections::BTreeMap::<(u8, u8), u8>::new()])).is_ok());
    assert!(all.append(apart).is_err());
    assert_eq!((all.text(), all.check()), ("[{},{}]", Ok(())));
}

#[test]
fn a_list_weighs_what_its_items_add() {
    let (item, wrong) = ("text".to_string(), std::collections::BTreeMap::from([((1, 2), 3)]));
    let weight = Payload::weight_in_list(&item).expect("JSON can hold it");
    assert_eq!(weight, Payload::batch([item.clone()]).weight());
    let two = Payload::batch_weighing([item.clone(), item.clone()].into_iter().collect(), 2 * weight);
    let mut joined = Payload::batch([item.clone()]);
    joined.append(Payload::batch([item])).expect("they are held once");
    assert_eq!((two.weight(), two.items(), &two), (joined.weight(), Some(2), &joined));
    assert_eq!(Payload::weight_in_list(&wrong), None);
}

#[test]
fn a_text_that_does_not_decode_says_why_each_time() {
    let wrong = Payload::from_text("{");
    let first = wrong.value::<Vec<u32>>().map_err(str::to_string);
    assert!(first.is_err());
    assert_eq!(first, wrong.value::<Vec<u32>>().map_err(str::to_string));
    assert!(Payload::new(1_u32).value::<String>().is_err(), "another type is refused");
}
