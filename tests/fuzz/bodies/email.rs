//! Mail: the event that tells of one, and the mail as it is fetched.

use chaos_relay::channels::api::ApiAnswer;
use chaos_relay::channels::email::{Authentication, Fetched, Notice};
use chaos_relay::domain::channel::ChannelKind;
use chaos_relay::domain::text;

use super::calls::{MAIL_DOMAIN, PLATFORMS, check_call};

/// Most text that is made of a mail, in bytes: what is read of its HTML, and what its layout may add to the last line.
const MAX_HTML_TEXT: usize = 1024 * 1024;

pub fn check(input: &[u8]) {
    let [event, fetched] = super::parts(input);
    let email = PLATFORMS.email.as_ref().expect("this deployment has mail");
    let answer = ApiAnswer { status: 200, headers: Vec::new(), body: fetched.to_vec().into() };
    let mail = match email.read_fetched(&answer) {
        Fetched::Mail(mail) => Some(mail),
        Fetched::Gone(why) | Fetched::Later(why) => {
            assert!(!why.is_empty());
            None
        }
    };
    if let Some(mail) = &mail {
        assert!(mail.text.len() <= MAX_HTML_TEXT.max(fetched.len()));
        assert!(mail.attachments.len() <= 50);
        assert!(mail.attachments.iter().all(|name| name.chars().count() <= 200 && !name.contains(['[', ']', '\n'])));
        assert!(mail.subject.as_ref().is_none_or(|subject| *subject == text::single_line(subject)));
    }
    let Notice::Received(notice) = email.read_notice(event) else { return };
    check_call(ChannelKind::Email, &email.fetch(&notice.email_id));
    assert!(notice.recipients.len() <= 50);
    for recipient in &notice.recipients {
        assert!(recipient.contains('@') && *recipient == recipient.to_ascii_lowercase());
    }
    let is_wanted = email.judge_notice(&notice).is_none();
    let Ok(sender) = &notice.from else {
        assert!(!is_wanted, "nobody sent it");
        return;
    };
    assert!(!is_wanted || sender.domain() != MAIL_DOMAIN, "the relay would talk to itself");
    if let Some(mail) = &mail {
        let is_forged = Authentication::read(&mail.headers, sender).is_forged();
        assert!(!is_forged || email.judge_mail(sender, mail).is_some(), "a forged sender is believed");
    }
    let inbound = email.to_inbound(&notice, sender, mail.as_deref(), "ana-0123456789@in.example.net");
    assert_eq!(inbound.from, sender.as_str());
    assert_eq!(inbound.conversation.chat, sender.as_str());
    super::messages::check_said(ChannelKind::Email, &PLATFORMS, &inbound);
}
