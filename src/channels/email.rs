//! stub
use super::adapter::*;
use super::api::*;
use crate::domain::{connection::*, conversation::*};
use secrecy::SecretString;
use serde_json::{Map, Value};
pub struct Email {
    base: String,
    api_key: SecretString,
    domain: String,
}
pub struct EmailAddress(String);
impl EmailAddress {
    pub fn bare(t: &str) -> Result<Self, ()> {
        Ok(Self(t.to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
pub fn new_inbound_address(domain: &str, _n: Option<&str>, _u: &str) -> String {
    format!("a@{domain}")
}
pub struct ReceivedNotice {
    pub email_id: String,
    pub from: Result<EmailAddress, ()>,
    pub recipients: Vec<String>,
}
pub enum Notice {
    Received(ReceivedNotice),
    Other,
}
pub struct FetchedMail;
pub enum Fetched {
    Mail(FetchedMail),
    Gone,
    Later,
}
impl Email {
    pub fn new(base: &str, api_key: SecretString, domain: String) -> Self {
        Self { base: base.to_owned(), api_key, domain }
    }
    pub fn domain(&self) -> &str {
        &self.domain
    }
    pub fn is_own(&self, _a: &EmailAddress) -> bool {
        false
    }
    pub fn read_notice(&self, _b: &[u8]) -> Notice {
        Notice::Other
    }
    pub fn fetch(&self, id: &str) -> ApiCall {
        ApiCall::new(crate::domain::channel::ChannelKind::Email, "x", Method::Get, id.to_owned())
    }
    pub fn read_fetched(&self, _: &ApiAnswer) -> Fetched {
        Fetched::Later
    }
    pub fn to_inbound(&self, _: &ReceivedNotice, _: Option<&FetchedMail>, _: &str) -> Result<Inbound, &'static str> {
        Err("x")
    }
    pub fn verification_mail(&self, _: &str, _: &str, _: &SecretString, _: &str) -> ApiCall {
        self.fetch(&self.base)
    }
    pub fn read_sent(&self, _: &ApiAnswer) -> Result<(), RegistrationError> {
        let _ = &self.api_key;
        Ok(())
    }
}
impl SendAdapter for Email {
    fn destination(&self, _: &Map<String, Value>) -> Option<Destination> {
        None
    }
    fn next_call(&self, _: &Outgoing<'_>, _: &Progress) -> Option<ApiCall> {
        None
    }
    fn interpret(&self, _: &Outgoing<'_>, _: &mut Progress, _: &ApiAnswer) -> Verdict {
        Verdict::Reformed
    }
    fn typing(&self, _: &Connection, _: &ConnectionSecrets, _: &ConversationKey) -> Option<ApiCall> {
        None
    }
}
