//! Mail addresses.

use chaos_relay::channels::email::{EmailAddress, new_inbound_address};

pub fn check(input: &[u8]) {
    let text = super::text(input);
    for address in EmailAddress::parse(&text).into_iter().chain(EmailAddress::parse_list(&text)) {
        check_address(&address);
    }
    let user = EmailAddress::parse_bare(&text).ok();
    if let Some(address) = &user {
        check_address(address);
    }
    let user = user.unwrap_or_else(|| EmailAddress::parse_bare("ana@example.com").expect("it is an address"));
    let made = new_inbound_address("in.example.net", Some(&text), &user);
    assert_eq!(EmailAddress::parse_bare(&made).map(|made| made.for_routing()), Ok(made));
}

fn check_address(address: &EmailAddress) {
    let (normal, written) = (address.as_str(), address.as_written());
    assert!(normal.len() <= 254 && normal.is_ascii());
    assert_eq!(normal, format!("{}@{}", address.local(), address.domain()));
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>,;:\"()[]\\".contains(&byte)), "{normal}");
    assert!(address.domain().contains('.') && !address.domain().contains('@'));
    assert!(written.eq_ignore_ascii_case(normal));
    for text in [normal, &written, &format!("Ana <{written}>")] {
        assert_eq!(EmailAddress::parse(text).as_ref(), Ok(address), "{text}");
    }
    assert_eq!(EmailAddress::parse_list(&format!("{written}, {normal}")), [address.clone(), address.clone()]);
    let routed = address.for_routing();
    assert!(routed.ends_with(&format!("@{}", address.domain())) && routed.len() <= normal.len());
}
