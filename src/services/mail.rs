//! Inbound mail: the provider tells that there is one, and the relay fetches it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use super::Relay;
use super::error::Error;
use super::known_channel::KnownChannel;
use super::receive::{Counted, new_record};
use crate::channels::adapter::Inbound;
use crate::channels::api::CallError;
use crate::channels::email::{Email, EmailAddress, Fetched, Notice, ReceivedNotice};
use crate::domain::channel::ChannelKind;
use crate::domain::connection::Connection;
use crate::domain::conversation::Origin;
use crate::domain::digest::Digest;
use crate::domain::event_signature::verify_svix;
use crate::domain::timestamp::Timestamp;
use crate::store::{Ingest, IngestOutcome};
use crate::telemetry::traces::within;

/// How long the provider's API may take to show a mail. The provider itself waits 15 s for the relay's answer.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// When the provider should deliver again, in seconds, if the mail could not be fetched.
const FETCH_RETRY_SECONDS: u64 = 30;
/// How often a mail is judged again because a channel was changed meanwhile.
const TRIES: usize = 5;

/// What inbound mail is verified with.
#[derive(Debug)]
pub struct MailSettings {
    /// The secrets that the provider may sign with.
    pub secrets: Vec<SecretString>,
    /// Whether events are taken without a signature when there is no secret.
    pub allow_unsigned: bool,
}

/// An event of the mail provider.
pub struct MailRequest<'a> {
    /// `svix-id`
    pub id: &'a str,
    /// `svix-timestamp`
    pub timestamp: &'a str,
    /// `svix-signature`
    pub signature: &'a str,
    /// The bytes that are signed.
    pub body: &'a [u8],
}

impl Relay {
    /// Takes an event. When this returns, the mail is safe in every channel that it is for, or nobody wants it.
    pub async fn receive_mail(&self, request: MailRequest<'_>) -> Result<(), Error> {
        self.verify_mail(&request)?;
        let Some(email) = &self.shared.platforms.email else {
            return Err(Error::NotConfigured(
                "mail is not set up here: CHAOS_EMAIL_DOMAIN and RESEND_API_KEY are needed",
            ));
        };
        let notice = match email.read_notice(request.body) {
            Notice::Received(notice) => notice,
            Notice::Other => return Ok(()),
        };
        let refusal = email.judge_notice(&notice);
        let mut wanting = Vec::new();
        let mut limited = None;
        for channel in self.recipients(&notice).await? {
            match self.is_wanted(channel, &notice, refusal).await? {
                Wanted::Yes(channel) => wanting.push(channel),
                Wanted::No => {}
                Wanted::Later(error) => limited = Some(error),
            }
        }
        if let (Ok(sender), false) = (&notice.from, wanting.is_empty()) {
            self.fetch_and_store(email, &notice, sender, wanting).await?;
        }
        // Delivered again, it is a duplicate where it was stored.
        limited.map_or(Ok(()), Err)
    }

    fn verify_mail(&self, request: &MailRequest<'_>) -> Result<(), Error> {
        let settings = &self.shared.mail;
        if settings.secrets.is_empty() {
            return if settings.allow_unsigned {
                Ok(())
            } else {
                Err(Error::NotConfigured("inbound mail is not set up here: RESEND_WEBHOOK_SECRET is needed"))
            };
        }
        let MailRequest { id, timestamp, signature, body } = request;
        verify_svix(&settings.secrets, id, timestamp, signature, body, Timestamp::now()).map_err(|error| {
            tracing::debug!(%error, "an event of the mail provider was not believed");
            Error::Unauthorized { code: "invalid_signature", message: "the event is not signed as it must be" }
        })
    }

    /// The channels whose addresses the mail went to, each once.
    async fn recipients(&self, notice: &ReceivedNotice) -> Result<Vec<Arc<KnownChannel>>, Error> {
        let mut channels: Vec<Arc<KnownChannel>> = Vec::new();
        for address in &notice.recipients {
            let Some(holder) = self.store.identity_holder(&format!("email:{address}")).await? else { continue };
            if channels.iter().any(|known| known.channel().id == holder.channel) {
                continue;
            }
            channels.extend(self.known_channel(&holder.channel).await?);
        }
        Ok(channels)
    }

    /// Whether a channel wants the mail, judged by what the event says. The mail is counted.
    async fn is_wanted(
        &self,
        mut channel: Arc<KnownChannel>,
        notice: &ReceivedNotice,
        refusal: Option<&'static str>,
    ) -> Result<Wanted, Error> {
        let mut admitted = None;
        for _ in 0..TRIES {
            if !matches!(channel.connection, Connection::Email(_)) {
                return Ok(Wanted::No);
            }
            match self.count(&channel, &mut admitted).await? {
                Counted::OverLimit(status) => return Ok(Wanted::Later(Error::Limited(status))),
                Counted::Disabled => return Ok(Wanted::No),
                Counted::Changed => match self.load_channel(&channel.channel().id).await? {
                    Some(now) => channel = now,
                    None => return Ok(Wanted::No),
                },
                Counted::Admitted => {
                    let why_not = refusal.or_else(|| why_not(&channel, notice));
                    if let Some(why) = why_not {
                        tracing::debug!(channel = %channel.channel().id, why, "a mail is of no interest");
                    }
                    return Ok(if why_not.is_none() { Wanted::Yes(channel) } else { Wanted::No });
                }
            }
        }
        Err(try_again())
    }

    async fn fetch_and_store(
        &self,
        email: &Email,
        notice: &ReceivedNotice,
        sender: &EmailAddress,
        channels: Vec<Arc<KnownChannel>>,
    ) -> Result<(), Error> {
        let fetched = match timeout(FETCH_TIMEOUT, self.call(email.fetch(&notice.email_id))).await {
            Ok(Ok(answer)) => email.read_fetched(&answer),
            Ok(Err(error @ CallError::TooLarge(_))) => Fetched::Gone(error.to_string()),
            Ok(Err(error)) => Fetched::Later(error.to_string()),
            Err(_) => Fetched::Later("the provider's API does not answer".to_owned()),
        };
        let mail = match fetched {
            Fetched::Mail(mail) => Some(mail),
            Fetched::Gone(why) => {
                tracing::info!(why, "a mail cannot be fetched, and is stored without its text");
                None
            }
            Fetched::Later(why) => {
                tracing::warn!(why, "a mail could not be fetched; it will be delivered again");
                return Err(try_again());
            }
        };
        if let Some(why) = mail.as_ref().and_then(|mail| email.judge_mail(sender, mail)) {
            tracing::debug!(why, "a mail is of no interest");
            return Ok(());
        }
        for channel in channels {
            let Connection::Email(mailbox) = &channel.connection else { continue };
            let inbound = email.to_inbound(notice, sender, mail.as_deref(), &mailbox.inbound_address);
            self.store_mail(channel, notice, inbound).await?;
        }
        Ok(())
    }

    async fn store_mail(
        &self,
        mut channel: Arc<KnownChannel>,
        notice: &ReceivedNotice,
        inbound: Inbound,
    ) -> Result<(), Error> {
        let origin =
            Origin { conversation: inbound.conversation.clone(), details: inbound.details.clone(), is_question: false };
        for _ in 0..TRIES {
            if !channel.channel().allows(&inbound.sender) {
                return Ok(());
            }
            let mut record = new_record(&channel, &inbound);
            let step = self.shared.ingest_step(&mut record, &channel.channel().id, ChannelKind::Email);
            let ingest = Ingest {
                is_admitted: true,
                idempotency: Some(Digest::of(notice.email_id.as_bytes())),
                origin: Some(&origin),
                record: Some(&record),
                ..self.ingest_of(&channel)
            };
            let outcome = within(step.context(), self.store.append_message(&ingest)).await?;
            drop(step);
            self.shared.note_ingested(&outcome, channel.user, &channel.channel().id, ChannelKind::Email);
            match outcome {
                IngestOutcome::Changed => match self.load_channel(&channel.channel().id).await? {
                    Some(now) => channel = now,
                    None => return Ok(()),
                },
                // Accepted, a duplicate, or the channel went or was disabled since it was asked.
                _ => return Ok(()),
            }
        }
        Err(try_again())
    }
}

/// What a channel makes of a mail.
enum Wanted {
    Yes(Arc<KnownChannel>),
    No,
    Later(Error),
}

fn try_again() -> Error {
    Error::TryAgain {
        message: "the mail cannot be taken at the moment: deliver it again",
        seconds: FETCH_RETRY_SECONDS,
    }
}

/// Why a channel does not want a mail.
fn why_not(channel: &KnownChannel, notice: &ReceivedNotice) -> Option<&'static str> {
    match &channel.connection {
        Connection::Email(mailbox) if mailbox.verified => {}
        _ => return Some("the mailbox is not verified"),
    }
    let Ok(sender) = &notice.from else { return Some("the sender is not one address") };
    (!channel.channel().allows(&sender.as_str().into())).then_some("the sender is not on the list")
}
