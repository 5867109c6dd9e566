use super::*;

#[test]
fn every_record_of_the_table_is_of_a_kind() {
    let table = include_str!("../keys.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    let mut found = 0;
    for row in table.filter(|row| row.contains('`')) {
        let name = row.split(" | ").next().unwrap().replace('`', "");
        // What a session owns is told in one row, and then each kind of it with dots in its place.
        let name = name.replace('…', "d number").replace(" NUL", "").replace(" id", "");
        if name.starts_with("d number d") {
            continue;
        }
        let is_same = |kind: &Kind| {
            let tag = |pattern: &str| pattern.split(' ').take(if kind.is_owned { 3 } else { 1 }).collect::<String>();
            tag(kind.pattern) == tag(&name)
        };
        assert!(KINDS.iter().any(is_same), "{name} is of no kind");
        found += 1;
    }
    assert!(found > 25, "the table was not found: {found}");
}

#[test]
fn kinds_have_names_of_their_own_and_find_their_own_keys() {
    for (n, kind) in KINDS.iter().enumerate() {
        assert!(KINDS[..n].iter().all(|other| other.name != kind.name && other.pattern != kind.pattern));
        let key = [kind.start(3), vec![0; 64]].concat();
        let key = match kind.rest {
            Rest::Nothing => kind.start(3),
            Rest::Number => kind.start(3).into_iter().chain([0; 8]).collect(),
            _ => key,
        };
        assert_eq!(Kind::of(&key).map(|found| found.name), Some(kind.name));
    }
}

#[test]
fn a_value_of_another_form_is_shown_as_far_as_it_can_be_read() {
    let reply = Kind::named("reply").unwrap();
    assert_eq!(reply.fields(b"").len(), 0);
    assert_eq!(reply.fields(&[0xff; 11]).len(), 1);
    assert_eq!(reply.expires(&5_u64.to_be_bytes()), Some(5));
    assert_eq!(Kind::named("session").unwrap().expires(&5_u64.to_be_bytes()), None);
}
