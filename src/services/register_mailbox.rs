//! Registering mailboxes: an address of the relay's, and proof that the person owns theirs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::Relay;
use super::authenticate::{Caller, Passed};
use super::error::Error;
use crate::channels::email::{Email, EmailAddress, new_inbound_address};
use crate::domain::channel::{ChannelKind, PlatformSettings};
use crate::domain::connection::{Connection, Mailbox, Pending};
use crate::domain::digest::Digest;
use crate::domain::fields::{Fields, InvalidField};
use crate::domain::ids::ChannelId;
use crate::domain::limit::Limit;
use crate::domain::pairing;
use crate::domain::timestamp::Timestamp;
use crate::store::{Holder, LimitUse};

/// Random bytes of a verification token: 192 bits.
const TOKEN_BYTES: usize = 24;
/// Verification mails to one address. Part of the wire contract.
const MAILS: Limit = Limit::new(3, Duration::from_secs(60 * 60));
/// How often another address is drawn when one is taken: with ten random characters, never in practice.
const ADDRESS_TRIES: usize = 3;

/// A link in a verification mail, as it came back.
#[derive(Debug, Clone, Copy)]
pub struct VerificationLink<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The token.
    pub token: &'a str,
}

/// A mailbox that a page is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxShown {
    /// The address of the person.
    pub user_email: String,
    /// The address that people write to.
    pub inbound_address: String,
}

impl Relay {
    /// Makes an address and mails the person a link that proves theirs.
    pub async fn register_email(
        &self,
        caller: &Caller,
        body: Result<Map<String, Value>, Error>,
    ) -> Result<Passed<Value>, Error> {
        let gate = caller.limited_gate("channels", self.shared.limits.channels);
        let passed = self.passed(&gate, self.store.authorize(&gate).await)?;
        let fields = body?;
        let Some(email) = &self.shared.platforms.email else {
            return Err(Error::NotConfigured(
                "the relay has no mail: its operator has to set CHAOS_EMAIL_DOMAIN and RESEND_API_KEY",
            ));
        };
        self.public_url()?;
        let user_email = read_address(&fields)?;
        let settings = PlatformSettings::from_json(&fields)?;
        let counter = format!("verification-mail:{}", Digest::of(user_email.as_str().as_bytes()).to_hex());
        let mails = self.store.count_use(&LimitUse { counter, limit: MAILS }).await?;
        if mails.is_exceeded() {
            return Err(Error::Limited(mails));
        }
        let (id, token) = (ChannelId::random(), new_token());
        let holder = Holder { user: caller.user, channel: id.clone() };
        let inbound_address = self.new_address(email, &settings, &user_email, &holder).await?;
        let mailbox = Mailbox {
            inbound_address: inbound_address.clone(),
            user_email: user_email.as_str().to_owned(),
            verified: false,
        };
        let connection = Connection::Email(mailbox);
        let label = settings.name.clone().unwrap_or_else(|| inbound_address.clone());
        let pending = Pending { digest: digest_of(token.expose_secret()), issued: Timestamp::now() };
        let stored =
            self.store_channel(caller, &id, ChannelKind::Email, settings, connection.clone(), None, pending).await;
        let sent = match stored {
            Ok(()) => self.send_verification(email, &id, &token, &user_email, &inbound_address, &label).await,
            Err(error) => Err(error),
        };
        if sent.is_err() {
            self.store.drop_identity(&connection.identity(), &holder).await?;
        }
        self.keep_or_undo(caller, &id, sent).await?;
        let answer = json!({"channelId": id, "inboundAddress": inbound_address});
        Ok(Passed { value: answer, limit: passed.limit })
    }

    /// An address that nobody has, held for this channel from now on.
    async fn new_address(
        &self,
        email: &Email,
        settings: &PlatformSettings,
        user_email: &EmailAddress,
        holder: &Holder,
    ) -> Result<String, Error> {
        for _ in 0..ADDRESS_TRIES {
            let address = new_inbound_address(email.domain(), settings.name.as_deref(), user_email);
            if self.store.hold_identity(&format!("email:{address}"), holder, false).await?.is_none() {
                return Ok(address);
            }
        }
        Err(Error::Internal("no free mail address was found".to_owned()))
    }

    async fn send_verification(
        &self,
        email: &Email,
        id: &ChannelId,
        token: &SecretString,
        user_email: &EmailAddress,
        inbound_address: &str,
        label: &str,
    ) -> Result<(), Error> {
        let link = format!("{}/email/verify?token={}&channelId={id}", self.public_url()?, token.expose_secret());
        let answer = self.call(email.verification_mail(user_email, inbound_address, &link, label)).await?;
        email.read_sent(&answer).map_err(Error::from)
    }

    /// The mailbox that a link is about, if the link is good. Nothing is spent.
    pub async fn mailbox_to_verify(&self, link: VerificationLink<'_>) -> Result<Option<MailboxShown>, Error> {
        let Ok(id) = link.channel.parse::<ChannelId>() else { return Ok(None) };
        let Some(channel) = self.load_channel(&id).await? else { return Ok(None) };
        let is_good = channel.channel().pending.as_ref().is_some_and(|pending| opens(pending, link.token));
        Ok(match &channel.connection {
            Connection::Email(mailbox) if is_good => Some(MailboxShown {
                user_email: mailbox.user_email.clone(),
                inbound_address: mailbox.inbound_address.clone(),
            }),
            _ => None,
        })
    }

    /// Spends a link: the mailbox is verified, and its owner may write. `None` when the link is not good, or no
    /// longer.
    pub async fn verify_mailbox(&self, link: VerificationLink<'_>) -> Result<Option<MailboxShown>, Error> {
        let Some(shown) = self.mailbox_to_verify(link).await? else { return Ok(None) };
        let Ok(id) = link.channel.parse::<ChannelId>() else { return Ok(None) };
        let Some(user) = self.store.channel_owner(&id).await? else { return Ok(None) };
        let spent = self.change_stored(&user, &id, |channel| {
            let is_good = channel.pending.as_ref().is_some_and(|pending| opens(pending, link.token));
            if !is_good {
                // Somebody else pressed the button at the same time.
                return Err(Error::no_channel(id.as_str()));
            }
            channel.allow(shown.user_email.as_str().into())?;
            channel.pending = None;
            if let Some(Connection::Email(mailbox)) = &mut channel.connection {
                mailbox.verified = true;
            }
            Ok(())
        });
        match spent.await {
            Ok(()) => Ok(Some(shown)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn opens(pending: &Pending, token: &str) -> bool {
    digest_of(token) == pending.digest && pairing::is_live(pending.issued, Timestamp::now())
}

fn digest_of(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

fn new_token() -> SecretString {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes).expect("the system's random generator works");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

fn read_address(fields: &Map<String, Value>) -> Result<EmailAddress, Error> {
    let text = Fields::of(fields).text("userEmail")?.unwrap_or_default();
    EmailAddress::parse_bare(text.trim())
        .map_err(|_| InvalidField::new("userEmail", "one mail address, such as ana@example.com").into())
}
